"""`retrain compare`: is one run better than another, and what else is different."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from retrain_cli.datasets.class_names import name_key, same_name
from retrain_cli.datasets.splits import SPLITS
from retrain_cli.errors import ConfigError, RunError, setting
from retrain_cli.evaluation.comparing.comparison import (
    ClassChange,
    CommonImages,
    Flip,
    PairedFigure,
    class_changes,
    flips,
    paired_figures,
)
from retrain_cli.evaluation.intervals import Estimate
from retrain_cli.evaluation.predictions import ImageTable
from retrain_cli.notebook.frames import frame
from retrain_cli.notebook.sheets import Cell, Grid, sheet
from retrain_cli.runs.run import Run, RunStore
from retrain_cli.workspace import Workspace

if TYPE_CHECKING:
    from pandas import DataFrame

_TEST = "test"


@dataclass(frozen=True)
class SettingChange:
    """A setting that differs; None where a run does not have it."""

    name: str
    first: Any
    second: Any


@dataclass(frozen=True, eq=False)
class RunComparison:
    """A run against the first one.

    Attributes:
        first: the run compared with.
        second: the run that is compared.
        settings: what differs of training, backbone, dataset and versions.
        data: what differs of the photos.
        n_images: common test images; both figures and flips are about these.
        n_classes: classes of these.
        figures: accuracies of both, and their differences.
        classes: the classes on which they differ.
        flips: the images on which they differ.
    """

    first: Run
    second: Run
    settings: tuple[SettingChange, ...]
    data: DataChanges
    n_images: int
    n_classes: int
    figures: tuple[PairedFigure, ...]
    classes: tuple[ClassChange, ...]
    flips: tuple[Flip, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "first": self.first.name,
            "second": self.second.name,
            "common_test_images": self.n_images,
            "common_classes": self.n_classes,
            "figures": [figure.to_dict() for figure in self.figures],
            "classes": [change.to_dict() for change in self.classes],
            "flips": [vars(flip) for flip in self.flips],
            "settings": [vars(change) for change in self.settings],
            "data": self.data.to_dict(),
        }

    def to_frame(self) -> DataFrame:
        """A row for each figure of both, with the difference and its 95% interval.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        columns = ("figure", "images", "first", "second", "difference", "low", "high", "p_value")
        rows = [
            [
                one.name,
                one.n_images,
                one.first,
                one.second,
                one.difference.value,
                one.difference.low,
                one.difference.high,
                one.p_value,
            ]
            for one in self.figures
        ]
        return frame(columns, rows)

    def _repr_html_(self) -> str:
        figures: list[list[Cell]] = [
            [one.name, one.first, one.second, _points(one.difference), _p_value(one.p_value)]
            for one in self.figures
        ]
        classes: list[list[Cell]] = [
            [one.class_name, one.n_images, one.first, one.second, one.verdict]
            for one in self.classes
        ]
        settings = [[one.name, str(one.first), str(one.second)] for one in self.settings]
        names = (self.first.name, self.second.name)
        return sheet(
            f"run {names[1]} against {names[0]}",
            f"{self.n_images:,} common test photos of {self.n_classes:,} classes, "
            f"{len(self.flips):,} of them right in one run alone",
            Grid(("", *names, "difference (95% CI)", "p"), figures),
            Grid(("class", "photos", *names, ""), classes, "Classes that differ"),
            Grid(("setting", *names), settings, "Settings that differ"),
        )


def _points(difference: Estimate) -> str:
    low, high = 100 * difference.low, 100 * difference.high
    return f"{100 * difference.value:+.1f} points ({low:+.1f} to {high:+.1f})"


def _p_value(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def compare_runs(names: Sequence[str], workspace: Workspace) -> list[RunComparison]:
    """Compare each run with the first one, on the images that are in the test split of both.

    Images are known by their content. A photo that either run trained on is left out, and so are
    classes that only one of them knows, and photos that they count to different classes.

    Raises:
        ConfigError: fewer than two different runs.
        RunError: no such run, or no common test image.
    """
    store = RunStore(workspace.runs_dir)
    runs = [store.get(name) for name in names]
    if len(runs) < 2 or len({run.folder for run in runs}) < len(runs):
        raise ConfigError(
            f"a comparison needs two or more different runs, not {' '.join(names) or 'none'}: "
            "`retrain runs` lists them"
        )
    first, *others = map(Photos.of, runs)
    return [_compare(first, second) for second in others]


def _compare(first: Photos, second: Photos) -> RunComparison:
    images = _common_images(first, second)
    return RunComparison(
        first.run,
        second.run,
        tuple(_setting_changes(first.run, second.run)),
        data_changes(first, second),
        len(images.rows),
        len(np.unique(images.labels)),
        paired_figures(images),
        class_changes(images),
        flips(images),
    )


def _common_images(first: Photos, second: Photos) -> CommonImages:
    rows = [
        (one, other)
        for digest, one in first.row_of.items()
        if (other := second.row_of.get(digest)) is not None
        and first.split(one) == second.split(other) == _TEST
        and same_name(first.label(one), second.label(other))
    ]
    if not rows:
        raise RunError(
            f"a comparison needs photos that are in the {_TEST} split of both runs, and "
            f"{first.run.name} and {second.run.name} have none in common: train both on the same "
            f"photos and with a {setting('testing_percentage')} above 0"
        )
    return CommonImages(
        first.run.predictions,
        first.run.labels,
        second.run.predictions,
        second.run.labels,
        np.array(rows, np.int64),
        first.run.origins,
    )


def _setting_changes(first: Run, second: Run) -> Iterator[SettingChange]:
    one, other = _settings(first), _settings(second)
    for name in sorted({*one, *other}):
        if one.get(name) != other.get(name):
            yield SettingChange(name, one.get(name), other.get(name))


def _settings(run: Run) -> dict[str, Any]:
    info = run.info
    calibration = run.calibration
    return {
        **_named("training", info.training.to_dict()),
        **_named("backbone", info.backbone.to_dict()),
        **_named("dataset", run.provenance.facts()),
        **_named("versions", info.versions),
        "best_step": info.best_step,
        "stopped_by": info.stopped_by,
        "temperature": calibration and calibration.temperature,
    }


def _named(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Each value by its full name, also those inside of others: a difference is of one of them."""
    named: dict[str, Any] = {}
    for name, value in values.items():
        full = f"{prefix}.{name}"
        named |= _named(full, value) if isinstance(value, Mapping) else {full: value}
    return named


@dataclass(frozen=True)
class Moved:
    """A photo that is in both runs, in another split or class: from where to where."""

    path: str
    before: str
    after: str


@dataclass(frozen=True)
class DataChanges:
    """Differences from the first run's photos to the second's; paths are in the second's words.

    Attributes:
        common: how many distinct photos are in both.
        added: paths of photos that only the second has.
        removed: paths, of the first, of photos that only the first has.
        moved: photos in another split.
        relabelled: photos in another class.
        classes_added: classes that only the second knows.
        classes_removed: classes that only the first knows.
    """

    common: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    moved: tuple[Moved, ...]
    relabelled: tuple[Moved, ...]
    classes_added: tuple[str, ...]
    classes_removed: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        values = {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self).items()}
        for name in ("moved", "relabelled"):
            values[name] = [vars(entry) for entry in values[name]]
        return values


@dataclass(frozen=True, eq=False)
class Photos:
    """The distinct photos of a run: digest to row; of exact duplicates the first."""

    run: Run
    row_of: dict[bytes, int]

    @classmethod
    def of(cls, run: Run) -> Photos:
        """Those of a run."""
        digests = [digest.tobytes() for digest in run.predictions.images.digest]
        return cls(run, {digest: row for row, digest in reversed(list(enumerate(digests)))})

    @property
    def images(self) -> ImageTable:
        """The rows' columns."""
        return self.run.predictions.images

    def split(self, row: int) -> str:
        """Name of the row's split."""
        return SPLITS[int(self.images.split[row])]

    def label(self, row: int) -> str:
        """Name of the row's class."""
        return self.run.labels[int(self.images.labels[row])]


def data_changes(first: Photos, second: Photos) -> DataChanges:
    """Compare the photos of two runs."""
    moved, relabelled = [], []
    common = [digest for digest in second.row_of if digest in first.row_of]
    for digest in common:
        one, other = first.row_of[digest], second.row_of[digest]
        path = second.images.paths[other]
        if first.split(one) != second.split(other):
            moved.append(Moved(path, first.split(one), second.split(other)))
        if not same_name(first.label(one), second.label(other)):
            relabelled.append(Moved(path, first.label(one), second.label(other)))
    return DataChanges(
        len(common),
        _only_in(second, first),
        _only_in(first, second),
        tuple(sorted(moved, key=lambda entry: entry.path)),
        tuple(sorted(relabelled, key=lambda entry: entry.path)),
        _only_named_in(second.run, first.run),
        _only_named_in(first.run, second.run),
    )


def _only_named_in(one: Run, other: Run) -> tuple[str, ...]:
    known = set(map(name_key, other.labels))
    return tuple(name for name in one.labels if name_key(name) not in known)


def _only_in(one: Photos, other: Photos) -> tuple[str, ...]:
    rows = (row for digest, row in one.row_of.items() if digest not in other.row_of)
    return tuple(sorted(one.images.paths[row] for row in rows))
