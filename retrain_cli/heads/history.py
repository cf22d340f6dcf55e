"""How a training went: its history, its progress while it runs, and its result."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from retrain_cli.evaluation.arrays import damaged
from retrain_cli.files import read_file
from retrain_cli.heads.head import Head
from retrain_cli.heads.temperature import ScoreFit

StoppedBy = Literal["steps", "patience", "interrupt", "converged"]


@dataclass(frozen=True)
class HistoryRow:
    """One evaluation.

    Attributes:
        step: optimiser steps (lbfgs: iterations) taken so far.
        loss: mean training loss since the evaluation before, l2 term included.
        training_accuracy: share of right answers on the batches since the evaluation before.
        validation_loss: mean cross-entropy on validation; None without validation images.
        validation_accuracy: share of right answers on validation; None likewise.
    """

    step: int
    loss: float
    training_accuracy: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None


_COLUMNS = [field.name for field in dataclasses.fields(HistoryRow)]


@dataclass(frozen=True)
class TrainingProgress:
    """Told after each evaluation.

    Attributes:
        row: the evaluation.
        steps: how many steps there will be at most.
        best_step: step of the best head so far.
        best_accuracy: its validation accuracy; None without validation images.
    """

    row: HistoryRow
    steps: int
    best_step: int
    best_accuracy: float | None


ProgressListener = Callable[[TrainingProgress], None]


@dataclass(frozen=True, eq=False)
class TrainedHead:
    """The result of a training.

    Attributes:
        head: the best on validation; the last one where there are no validation images.
        history: the evaluations, in order.
        best_step: the step that `head` comes from; 0 if training never improved on the start.
        stopped_by: why training ended.
        fit: how its scores were fitted, and what was chosen; None where they are as trained.
        took_spare: whether the spare images of the data trained it, too.
    """

    head: Head
    history: tuple[HistoryRow, ...]
    best_step: int
    stopped_by: StoppedBy
    fit: ScoreFit | None = None
    took_spare: bool = False


def write_history(path: Path, history: Sequence[HistoryRow]) -> None:
    """Write the history as CSV with a header; a figure that does not exist is an empty cell."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(dataclasses.astuple(row) for row in history)


def read_history(path: Path) -> tuple[HistoryRow, ...]:
    """Read what `write_history` wrote.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        reader = csv.DictReader(io.StringIO(read_file(path).decode("utf-8"), newline=""))
        if reader.fieldnames != _COLUMNS:
            raise ValueError("its header is another")
        return tuple(_row(cells) for cells in reader)
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise damaged(path, "the history of a run", error) from error


def _row(cells: Mapping[str, str]) -> HistoryRow:
    return HistoryRow(
        int(cells["step"]),
        float(cells["loss"]),
        float(cells["training_accuracy"]),
        _optional(cells["validation_loss"]),
        _optional(cells["validation_accuracy"]),
    )


def _optional(cell: str) -> float | None:
    return float(cell) if cell else None
