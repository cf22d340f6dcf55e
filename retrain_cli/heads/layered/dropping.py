"""What dropout keeps in each step: drawn here, so that every engine trains the same head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrain_cli.heads.config import TrainingConfig


class KeptUnits:
    """Draws what is kept, the same however many steps are asked for at a time.

    Args:
        config: the training settings.
        width: length of a bottleneck.
    """

    def __init__(self, config: TrainingConfig, width: int) -> None:
        self._dropout = np.float32(config.dropout)
        self._width = sum(config.hidden) or width
        self._generator = np.random.default_rng([config.seed, 0xD409])

    def draw(self, n_steps: int, batch_size: int) -> NDArray[np.bool_] | None:
        """`(n_steps, batch_size, n_dropped) bool`; None where nothing is left out."""
        if not self._dropout:
            return None
        shape = (n_steps, batch_size, self._width)
        kept: NDArray[np.bool_] = self._generator.random(shape, dtype=np.float32) >= self._dropout
        return kept
