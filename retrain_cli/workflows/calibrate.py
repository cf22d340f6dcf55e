"""`retrain eval --calibrate`: fit a temperature on validation and keep it with the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.splits import SPLITS, Split
from retrain_cli.errors import RunError, setting
from retrain_cli.evaluation.reliability import Reliability
from retrain_cli.heads.temperature import fit_temperature
from retrain_cli.heads.validation import MOST_IMAGES, drawn, most_fitted
from retrain_cli.notebook.sheets import Cell, Grid, sheet
from retrain_cli.runs.calibration import Calibration, all_normalisers
from retrain_cli.runs.run import CALIBRATION_FILE, Run, RunStore
from retrain_cli.runs.run_digests import remove_from_run, replacing_in_run
from retrain_cli.workflows.shared.run_scores import trained_logs_of
from retrain_cli.workspace import Workspace


@dataclass(frozen=True, eq=False)
class CalibrationEffect:
    """What calibration does on one split: the same images before and after."""

    split: Split
    before: Reliability
    after: Reliability

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "split": self.split,
            "images": self.before.total,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
        }


@dataclass(frozen=True, eq=False)
class CalibrationSummary:
    """A calibrated run.

    Attributes:
        run: the run, calibrated.
        calibration: how.
        effects: on validation, which it was fitted to, and on test where there is one.
    """

    run: Run
    calibration: Calibration
    effects: tuple[CalibrationEffect, ...]

    def _repr_html_(self) -> str:
        rows: list[list[Cell]] = [
            [
                one.split,
                one.before.total,
                one.before.expected_calibration_error,
                one.after.expected_calibration_error,
            ]
            for one in self.effects
        ]
        columns = ("split", "photos", "calibration error before", "now")
        title = f"run {self.run.name}, calibrated"
        return sheet(title, f"temperature {self.calibration.temperature:.3f}", Grid(columns, rows))

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        effects = [effect.to_dict() for effect in self.effects]
        return {"run": self.run.name, **self.calibration.to_dict(), "effects": effects}


def calibrate(name: str | None, workspace: Workspace) -> CalibrationSummary:
    """Calibrate a run, the latest for None; one that is calibrated is fitted anew.

    The temperature is fitted to the validation images, to 10,000 of them at most, and of more than
    10,000 classes to fewer; see `most_fitted`.

    Raises:
        RetrainError: no such run; one without validation images, or without mistakes on them; or
            scores that are neither saved nor to be computed.
    """
    run = RunStore(workspace.runs_dir).get(name)
    _check_prior(run)
    rows = _validation_rows(run)
    pieces = list(trained_logs_of(run, rows, workspace))
    temperature = fit_temperature(pieces, run.trained_predictions.images.labels[rows])
    if temperature is None:
        raise _no_temperature(run, rows)
    every = np.arange(len(run.trained_predictions))
    normalisers = all_normalisers(trained_logs_of(run, every, workspace), temperature)
    calibration = Calibration(temperature, len(rows), normalisers)
    with replacing_in_run(run.folder, CALIBRATION_FILE) as draft:
        calibration.save(draft)
    fresh = Run(run.folder)
    return CalibrationSummary(fresh, calibration, tuple(_effects(fresh)))


def _check_prior(run: Run) -> None:
    """Validation photos come in their own shares, so they do not fit scores for a uniform prior."""
    config = run.config
    uniform = config.balance == "prior" and config.prior == "uniform"
    if uniform and not run.provenance.is_tuned:  # fine-tuning makes scores of its own
        raise RunError(
            f"{setting('calibrate')} fits scores to validation photos in their own shares, and "
            f"those of run {run.name} are for classes of equal share: `retrain train` with "
            f"{setting('balance', 'prior')} has fitted them before it took the shares off, where "
            "it was not told to leave that out"
        )


def _no_temperature(run: Run, rows: NDArray[np.int64]) -> RunError:
    if (run.trained_predictions.rank[rows] == 1).all():
        return RunError(
            f"{setting('calibrate')} learns from mistakes, and run {run.name} is right on all "
            f"{len(rows)} validation images: train with a higher {setting('validation_percentage')}"
        )
    return RunError(
        f"{setting('calibrate')} needs answers that are better than chance, and those of run "
        f"{run.name} on its {len(rows)} validation images are not: train it longer, or on other "
        "photos"
    )


def _validation_rows(run: Run) -> NDArray[np.int64]:
    rows = run.trained_predictions.rows("validation")
    if not len(rows) and run.provenance.fit is not None:
        fit = run.provenance.fit
        raise RunError(
            f"{setting('calibrate')} fits scores to validation images, and run {run.name} has "
            f"none, but its scores were fitted when it was trained, by {fit.images} images that "
            f"were {fit.by}: there is nothing to do"
        )
    if not len(rows):
        raise RunError(
            f"{setting('calibrate')} fits scores to validation images, and run {run.name} has "
            f"none: train with a {setting('validation_percentage')} above 0"
        )
    most = min(MOST_IMAGES, most_fitted(len(run.labels)))
    return drawn(rows, most, run.config.seed)


def _effects(run: Run) -> Iterator[CalibrationEffect]:
    for split in SPLITS[1:]:
        before = Reliability.from_predictions(run.trained_predictions, split)
        if before.total:
            after = Reliability.from_predictions(run.predictions, split)
            yield CalibrationEffect(split, before, after)


def remove_calibration(name: str | None, workspace: Workspace) -> Run:
    """Let a run's scores be as trained again.

    Raises:
        RunError: no such run, or one that is not calibrated.
        WorkspaceError: the run cannot be changed.
    """
    run = RunStore(workspace.runs_dir).get(name)
    noted = run.digests is not None and CALIBRATION_FILE in run.digests.files
    if not (noted or run.calibration_path.exists()):
        raise RunError(f"run {run.name} is not calibrated, so there is nothing to undo")
    remove_from_run(run.folder, CALIBRATION_FILE)
    return Run(run.folder)
