"""How a run, and the runs of a workspace, look in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retrain_cli.datasets.splits import SPLITS
from retrain_cli.errors import RetrainError
from retrain_cli.notebook.frames import frame
from retrain_cli.notebook.sheets import Cell, Grid, sheet

if TYPE_CHECKING:
    from pandas import DataFrame

    from retrain_cli.runs.run import Run

_COLUMNS = ("run", "created", "backbone", "classes", "photos", "validation_top1", "test_top1")
_SHOWN_CLASSES = 12


def run_sheet(run: Run) -> str:
    """A run with its settings and its figures on each split."""
    info, names = run.info, run.labels
    more = f" and {len(names) - _SHOWN_CLASSES:,} more" if len(names) > _SHOWN_CLASSES else ""
    splits = [
        [split, metrics["images"], metrics.get("top1"), metrics.get("macro_top1")]
        for split in SPLITS
        if (metrics := run.metrics.get(split))
    ]
    facts = [
        ["made", info.created.replace("T", " ")[:16]],
        ["backbone", info.backbone.label()],
        ["photos", str(info.provenance.image_dir)],
        ["classes", f"{len(names):,}: {', '.join(names[:_SHOWN_CLASSES])}{more}"],
        ["head", f"{run.config.optimizer}, best of {info.best_step:,} steps"],
        ["folder", str(run.folder)],
    ]
    return sheet(
        f"run {run.name}",
        run.note,
        Grid(("split", "photos", "top-1 of all", "mean of the classes"), splits),
        Grid(("", ""), facts),
    )


def runs_sheet(runs: Sequence[Run]) -> str:
    """The runs of a workspace, the newest first; damaged ones by their names alone."""
    rows: list[Sequence[Cell]] = [_row(run) for run in runs]
    columns = [name.replace("_top1", " top-1") for name in _COLUMNS]
    return sheet(f"{len(runs):,} run{'s' * (len(runs) != 1)}", Grid(columns, rows))


def runs_frame(runs: Sequence[Run]) -> DataFrame:
    """The same as a data frame of pandas.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    return frame(_COLUMNS, [_row(run) for run in runs])


def _row(run: Run) -> list[Any]:
    try:
        info, metrics = run.info, run.metrics
        counts = [len(run.labels), sum(metrics[one]["images"] for one in SPLITS if one in metrics)]
    except (RetrainError, KeyError, TypeError):
        return [run.name, "damaged", "", None, None, None, None]
    tops = [(metrics.get(one) or {}).get("top1") for one in ("validation", "test")]
    return [run.name, info.created[:16], info.backbone.label(), *counts, *tops]
