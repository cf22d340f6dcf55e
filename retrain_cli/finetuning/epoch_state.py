"""Where a fine-tuning stands after an epoch, on the disk: a kill costs the epoch that was running.

    finetuning/0123456789abcdef.npz   weights and optimiser now, the best weights, the history

The name is a digest of all that the numbers depend on, so another training never goes on from it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import RunError, setting
from retrain_cli.evaluation.arrays import read_arrays
from retrain_cli.heads.history import HistoryRow
from retrain_cli.workspace import replacing, writing_to

_LISTS = ("weights", "optimizer", "best")
_WHAT = "a fine-tuning that was cut short"


@dataclass(frozen=True, eq=False)
class EpochState:
    """Where a training stands.

    Attributes:
        epoch: how many epochs are done.
        best_epoch: the one that the best weights come from; 0 for the start.
        rows: the history so far, the start first.
        weights: of the network now.
        optimizer: the optimiser's variables.
        best: weights of the best epoch; empty for the start.
    """

    epoch: int
    best_epoch: int
    rows: tuple[HistoryRow, ...]
    weights: Sequence[NDArray[Any]]
    optimizer: Sequence[NDArray[Any]]
    best: Sequence[NDArray[Any]]


class StateFile:
    """The file of one training.

    Args:
        folder: where such files are.
        facts: all that the numbers depend on, as JSON values.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        text = json.dumps(facts, sort_keys=True, default=str)
        self.path = folder / f"{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}.npz"

    def save(self, state: EpochState) -> None:
        """Put the state in the place of the one before.

        Raises:
            WorkspaceError: the disk is full.
        """
        head = json.dumps([state.epoch, state.best_epoch, [astuple(row) for row in state.rows]])
        arrays: dict[str, Any] = {"head": np.array(head)}
        for name in _LISTS:
            some = getattr(state, name)
            arrays |= {f"{name}_{place:05}": one for place, one in enumerate(some)}
        with writing_to(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as draft, draft.open("wb") as file:
            np.savez(file, **arrays)

    def load(self) -> EpochState | None:
        """What was saved last; None where nothing was.

        Raises:
            RunError: the file is damaged.
        """
        if not self.path.is_file():
            return None
        try:
            arrays = read_arrays(self.path, ("head",), _WHAT, also=_LISTS)
            epoch, best_epoch, rows = json.loads(str(arrays["head"]))
            lists = {
                name: [arrays[key] for key in sorted(arrays) if key.startswith(f"{name}_")]
                for name in _LISTS
            }
            return EpochState(epoch, best_epoch, tuple(HistoryRow(*row) for row in rows), **lists)
        except (RunError, ValueError, KeyError, TypeError) as error:
            reason = error.__cause__ if isinstance(error, RunError) else error
            raise RunError(
                f"{self.path} should hold {_WHAT} and cannot be read ({reason}): run it without "
                f"{setting('resume', True)}, and it begins anew"
            ) from error

    def remove(self) -> None:
        """The training is at its end."""
        with suppress(OSError):
            self.path.unlink()
