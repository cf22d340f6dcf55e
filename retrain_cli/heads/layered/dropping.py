"""What dropout keeps in each step: drawn here, so that every engine trains the same head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrain_cli.heads.config import TrainingConfig

_MOST_UNITS = 20_000_000  # drawn for a block of steps: 20 MB


class KeptUnits:
    """Draws what is kept, the same however many steps are asked for at a time.

    Args:
        config: the training settings.
        width: length of a bottleneck.
    """

    def __init__(self, config: TrainingConfig, width: int) -> None:
        self._dropout = np.float32(config.dropout)
        self._width = n_dropped(config, width)
        self._generator = np.random.default_rng([config.seed, 0xD409])

    def draw(self, n_steps: int, batch_size: int) -> NDArray[np.bool_] | None:
        """`(n_steps, batch_size, n_dropped) bool`; None where nothing is left out."""
        if not self._dropout:
            return None
        kept = np.empty((n_steps, batch_size, self._width), np.bool_)
        for step in kept:  # the random numbers of all would take four times the memory
            drawn = self._generator.random(step.shape, dtype=np.float32)
            np.greater_equal(drawn, self._dropout, out=step)
        return kept


def n_dropped(config: TrainingConfig, width: int) -> int:
    """Numbers of an image that dropout may leave out, of bottlenecks of this width."""
    return sum(config.hidden) or width


def most_steps(config: TrainingConfig, width: int) -> int:
    """How many steps a block may have, that what is kept in them takes little memory."""
    if not config.dropout:
        return 2**31
    return max(1, _MOST_UNITS // (config.batch_size * n_dropped(config, width)))
