"""`retrain compare`: is one run better than another, and what else is different."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrain_cli.errors import ConfigError, RunError
from retrain_cli.evaluation.comparison import (
    ClassChange,
    CommonImages,
    Flip,
    PairedFigure,
    class_changes,
    flips,
    paired_figures,
)
from retrain_cli.heads.runs import Run, RunStore
from retrain_cli.workflows.data_changes import DataChanges, Photos, data_changes
from retrain_cli.workspace import Workspace

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


def compare_runs(names: Sequence[str], workspace: Workspace) -> list[RunComparison]:
    """Compare each run with the first one, on the images that are in the test split of both.

    Images are known by their content. A photo that either run trained on is left out, and so are
    classes that only one of them knows, and photos that they count to different classes.

    Raises:
        ConfigError: fewer than two different runs.
        RunError: no such run, or no common test image.
    """
    if len(names) < 2 or len(set(names)) < len(names):
        raise ConfigError(
            f"a comparison needs two or more different runs, not {' '.join(names) or 'none'}: "
            "`retrain runs` lists them"
        )
    store = RunStore(workspace.runs_dir)
    first, *others = [Photos.of(store.get(name)) for name in names]
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
        and first.label(one) == second.label(other)
    ]
    if not rows:
        raise RunError(
            f"a comparison needs photos that are in the {_TEST} split of both runs, and "
            f"{first.run.name} and {second.run.name} have none in common: train both on the same "
            "photos and with a --testing-percentage above 0"
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
    counted = ("images", "trained_on", "training_images", "validation_images", "test_images")
    dataset = {name: value for name, value in info.dataset.items() if name not in counted}
    calibration = run.calibration
    return {
        **_named("training", info.training.to_dict()),
        **_named("backbone", info.backbone),
        **_named("dataset", dataset),
        **_named("versions", info.versions),
        "best_step": info.best_step,
        "stopped_by": info.stopped_by,
        "temperature": calibration and calibration.temperature,
    }


def _named(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{name}": value for name, value in values.items()}
