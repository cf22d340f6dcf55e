"""Runs on disk: one folder each, there completely or not at all."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from retrain_cli.checks import is_finite
from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.datasets.splits import SPLITS
from retrain_cli.errors import ConfigError, RetrainError, RunError, setting
from retrain_cli.evaluation.predictions import Predictions
from retrain_cli.files import read_file
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import HistoryRow, read_history, write_history
from retrain_cli.paths import StrPath, as_path
from retrain_cli.runs.calibration import Calibration
from retrain_cli.runs.folder import (
    LATEST,
    NOTE_FILE,
    RunFolder,
    check_name,
    clean_leftovers,
    finished,
    is_run,
)
from retrain_cli.runs.info import RunInfo
from retrain_cli.runs.making import Grown, Trained, as_record
from retrain_cli.runs.naming import find_run
from retrain_cli.runs.older_runs import FOLDS_KEY, grown_by, trained_by, was_calibrated
from retrain_cli.runs.provenance import Provenance
from retrain_cli.runs.run_digests import RunDigests, write_digests
from retrain_cli.runs.run_sheets import run_sheet, runs_frame, runs_sheet
from retrain_cli.runs.shell import remove_line, shell_line
from retrain_cli.workspace import replacing, to_json, writing_to

if TYPE_CHECKING:
    from pandas import DataFrame

CALIBRATION_FILE = "calibration.npz"

_T = TypeVar("_T")


@dataclass(frozen=True)
class Run:
    """A finished run; everything is read when it is first asked for.

    Attributes:
        folder: where it is.
    """

    folder: Path

    @property
    def name(self) -> str:
        """Its name."""
        return self.folder.name

    @cached_property
    def digests(self) -> RunDigests | None:
        """What its files should be; None for a run of a version that did not note it.

        Raises:
            RunError: the list is damaged.
        """
        return RunDigests.load(self.folder)

    def file(self, name: str) -> Path:
        """Where a file of the run is, which was compared with its digest.

        Raises:
            RunError: the file is not what was written.
        """
        if self.digests is not None:
            self.digests.check(name)
        return self.folder / name

    @cached_property
    def info(self) -> RunInfo:
        """What the run was made of; a backbone of its own lies in its folder, wherever that is."""
        info = self._parsed("config.json", RunInfo.from_dict)
        return info.with_backbone_in(self.folder)

    @cached_property
    def provenance(self) -> Provenance:
        """What it was made from, and how; of a run of an older version as far as files tell it.

        Raises:
            RunError: the run is damaged; one that it came from and that is damaged is not known.
        """
        noted = self.info.provenance
        return noted if noted.complete else self._older_provenance(noted)

    def _older_provenance(self, noted: Provenance) -> Provenance:
        made = noted.made
        if isinstance(made, Trained):
            stopped = self.info.stopped_by == "interrupt"
            made = trained_by(made, self.metrics, self.history, interrupted=stopped)
        elif isinstance(made, Grown):
            made = grown_by(made, self.trained_predictions)
        parent = None if made.parent is None else self._older_parent(made.parent)
        if parent is None:
            return replace(noted, made=made)
        calibrated = (
            isinstance(made, Grown)
            and not made.retrain
            and was_calibrated(parent.trained_head, self.trained_head)
        )
        parents = parent.provenance.line(parent.name, calibrated=calibrated)
        return replace(noted, made=made, parents=parents)

    def _older_parent(self, name: str) -> Run | None:
        """The run of that name beside this one; None where there is none, or only a younger one."""
        beside = Run(self.folder.with_name(name))
        if name == self.name or not is_run(beside.folder):
            return None
        try:
            made, own = (datetime.fromisoformat(run.info.created) for run in (beside, self))
            _ = beside.provenance, beside.trained_head
            return beside if made <= own else None
        except (RunError, TypeError):  # damaged, or one of them tells no time zone
            return None

    @property
    def config(self) -> TrainingConfig:
        """The training settings."""
        return self.info.training

    @cached_property
    def origins(self) -> tuple[ClassOrigin, ...]:
        """The classes and where they come from, in the order of the head's outputs."""
        return self._parsed("labels.json", lambda rows: tuple(map(ClassOrigin.from_dict, rows)))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The class names, in the order of the head's outputs."""
        return tuple(origin.class_name for origin in self.origins)

    @cached_property
    def trained_head(self) -> Head:
        """The head as training left it."""
        return self._loaded_head()

    def _loaded_head(self) -> Head:
        head = Head.load(self.file("head.npz"))
        if head.labels != self.labels:
            raise RunError(
                f"a run's head must be for its labels, but in {self.folder} the classes of "
                "head.npz and labels.json differ: put the old file back, or train it again"
            )
        return head

    @cached_property
    def head(self) -> Head:
        """The head that answers: the trained one, calibrated where the run is."""
        if self.calibration is None:
            return self.trained_head
        return self.trained_head.at_temperature(self.calibration.temperature)

    @property
    def calibration_path(self) -> Path:
        """Where the calibration is kept."""
        return self.folder / CALIBRATION_FILE

    @cached_property
    def calibration(self) -> Calibration | None:
        """How its scores are calibrated; None where they are as trained."""
        path = self.file(CALIBRATION_FILE)
        return Calibration.load(path) if path.exists() else None

    @cached_property
    def history(self) -> tuple[HistoryRow, ...]:
        """The evaluations during training."""
        return read_history(self.file("history.csv"))

    @cached_property
    def trained_predictions(self) -> Predictions:
        """What the head said about every image of every split when it was trained.

        Raises:
            RunError: damaged, or of other classes than the labels.
        """
        predictions = Predictions.load(self.file("predictions.npz"))
        if predictions.n_classes != len(self.labels):
            raise RunError(
                f"a run's predictions must be about its labels, but {self.folder} holds "
                f"predictions of {predictions.n_classes} classes and {len(self.labels)} labels: "
                "put the old labels.json back, or train it again"
            )
        return predictions

    @cached_property
    def predictions(self) -> Predictions:
        """The same with the scores calibrated where the run is."""
        saved, calibration = self.trained_predictions, self.calibration
        return saved if calibration is None else calibration.apply(saved)

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The figures computed at the end of training, by split."""
        return self._parsed("metrics.json", _metrics)

    @property
    def note(self) -> str:
        """What its owner wrote about it, in one line; empty where that is nothing.

        Raises:
            RunError: it cannot be read.
        """
        return read_note(self.folder)

    def annotate(self, text: str) -> None:
        """Write a note about it, in place of an older one; an empty one removes it.

        Raises:
            WorkspaceError: the run cannot be changed.
        """
        with writing_to(self.folder):
            write_note(self.folder, text)

    def _repr_html_(self) -> str:
        return run_sheet(self)

    def _parsed(self, file_name: str, parse: Callable[[Any], _T]) -> _T:
        path = self.file(file_name)
        try:
            return parse(json.loads(read_file(path)))
        except (OSError, ValueError, TypeError, KeyError, RecursionError, ConfigError) as error:
            raise RunError(
                f"{path} should be part of a run but cannot be read ({error}): train it again, "
                f"or remove it with `{remove_line(self.name)}`"
            ) from error


@dataclass(frozen=True, eq=False)
class RunContents:
    """Everything that a finished run holds; see the properties of `Run`."""

    info: RunInfo
    origins: Sequence[ClassOrigin]
    head: Head
    history: Sequence[HistoryRow]
    predictions: Predictions
    metrics: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Write the files of a run."""
        _write_json(folder / "config.json", self.info.to_dict())
        _write_json(folder / "labels.json", [origin.to_dict() for origin in self.origins])
        self.head.save(folder / "head.npz")
        write_history(folder / "history.csv", self.history)
        self.predictions.save(folder / "predictions.npz")
        _write_json(folder / "metrics.json", self.metrics)


class RunWriter:
    """A run in the making, in a hidden folder beside its place.

    Attributes:
        folder: where files may be put meanwhile; they become part of the run.
        run: the finished run; None before `commit`.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self.folder = folder.draft
        self.run: Run | None = None

    def commit(self, contents: RunContents) -> Run:
        """Write all files to disk, then put the folder in its place in one step.

        Raises:
            RunError: another run took the name meanwhile.
            WorkspaceError: the disk is full.
        """
        with writing_to(self._folder.root):
            contents.write(self.folder)
            write_digests(self.folder)
            _make_newest(self.folder, self._folder.root)
            self.run = Run(self._folder.publish())
        return self.run


class RunStore:
    """The runs of a workspace.

    Args:
        root: the folder that holds them; need not exist yet.
    """

    def __init__(self, root: StrPath) -> None:
        self.root = as_path(root)

    def list(self) -> list[Run]:
        """All finished runs, newest first."""
        if not self.root.is_dir():
            return []
        runs = [Run(path) for path in self.root.iterdir() if is_run(path)]
        return sorted(runs, key=lambda run: (finished(run.folder), run.name), reverse=True)

    def to_frame(self) -> DataFrame:
        """A row for each run, the newest first; MissingExtraError without pandas."""
        return runs_frame(self.list())

    def _repr_html_(self) -> str:
        return runs_sheet(self.list())

    def readable(self) -> Iterator[Run]:
        """Those of them whose settings can be read, newest first."""
        for run in self.list():
            with suppress(RetrainError):
                _ = run.info
                yield run

    def latest(self) -> Run:
        """The newest run.

        Raises:
            RunError: there is none.
        """
        runs = self.list()
        if not runs:
            raise RunError("this needs a trained head, but there is no run yet: `retrain train`")
        return runs[0]

    def get(self, name: str | None = None) -> Run:
        """A run by its name, the latest for None.

        Args:
            name: the name, or how it begins where no other begins so; `latest`; or the folder of a
                run, in this workspace or elsewhere.

        Raises:
            RunError: no such run; the message names those that come close, or the newest.
        """
        return self.latest() if name is None or name == LATEST else Run(find_run(name, self.root))

    def path(self, name: str | None = None) -> Path:
        """The folder of a run, of the latest for None; raises as `get`."""
        return self.get(name).folder

    def remove(self, name: str) -> None:
        """Remove a run for good; raises as `get`."""
        folder = self.get(name).folder
        # Renamed first: a removal that is cut short leaves a leftover, never half a run.
        doomed = folder.with_name(f".removed-{uuid.uuid4().hex[:12]}")
        with writing_to(folder):
            folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    def check_new(self, name: str | None) -> None:
        """Refuse a name for a new run before the work that would be lost; None is always new.

        Raises:
            RunError: the name is taken or cannot be a folder's.
        """
        if name is not None and (self.root / check_name(name)).exists():
            raise RunError(
                f"a run's name must be new, but {name!r} is taken: "
                f"choose another {setting('name')}, or `{remove_line(name)}` first"
            )

    @contextmanager
    def create(self, name: str | None = None) -> Iterator[RunWriter]:
        """Begin a run; without `commit` inside the block nothing of it remains.

        Args:
            name: its name; None for one made of the time, such as `2026-11-20-185301`.

        Raises:
            RunError: the name is taken or cannot be a folder's.
            WorkspaceError: the workspace cannot be written.
        """
        with writing_to(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            clean_leftovers(self.root)
        self.check_new(name)
        with RunFolder.reserve(self.root, name) as folder:
            yield RunWriter(folder)


def _metrics(values: Any) -> dict[str, Any]:
    """The figures of each split, numbers or none; those of folds are their reader's."""
    metrics = dict(as_record(values))
    for split in {*SPLITS} & {*metrics}:
        for name, value in as_record(metrics[split] or {}).items():
            if value is not None and not is_finite(value):
                raise TypeError(f"{name} of {split} is {value!r:.40}")
    as_record(metrics.get(FOLDS_KEY) or {})
    return metrics


def _make_newest(draft: Path, root: Path) -> None:
    """Date a run after all others: the clock may have been set back."""
    newest = max((finished(run.folder) for run in RunStore(root).list()), default=0)
    if finished(draft) <= newest:
        os.utime(draft / "config.json", ns=(newest + 1,) * 2)


def read_note(folder: Path) -> str:
    """The note in the folder of a run; empty where there is none, RunError where it is damaged."""
    path = folder / NOTE_FILE
    try:
        return one_line(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(
            f"{path} should be a note in UTF-8 but cannot be read ({error}): write it again with "
            f"`retrain runs note {shell_line([folder.name])} TEXT`"
        ) from error


def write_note(folder: Path, text: str) -> None:
    """Put a note into the folder of a run, or of one in the making; an empty one removes it."""
    path = folder / NOTE_FILE
    if not one_line(text):
        with writing_to(path):
            path.unlink(missing_ok=True)
        return
    with replacing(path) as draft:
        draft.write_text(one_line(text) + "\n", encoding="utf-8", errors="replace")


def one_line(text: str) -> str:
    """The text without line breaks and spaces around, as a note is kept."""
    return " ".join(text.split())


def _write_json(path: Path, values: Any) -> None:
    path.write_text(to_json(values, indent=2) + "\n", encoding="utf-8")
