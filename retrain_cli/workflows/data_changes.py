"""What changed between the photos of two runs, known by their content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from retrain_cli.evaluation.predictions import ImageTable
from retrain_cli.heads.runs import Run
from retrain_cli.images.splits import SPLITS


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
        if first.label(one) != second.label(other):
            relabelled.append(Moved(path, first.label(one), second.label(other)))
    return DataChanges(
        len(common),
        _only_in(second, first),
        _only_in(first, second),
        tuple(sorted(moved, key=lambda entry: entry.path)),
        tuple(sorted(relabelled, key=lambda entry: entry.path)),
        tuple(name for name in second.run.labels if name not in set(first.run.labels)),
        tuple(name for name in first.run.labels if name not in set(second.run.labels)),
    )


def _only_in(one: Photos, other: Photos) -> tuple[str, ...]:
    rows = (row for digest, row in one.row_of.items() if digest not in other.row_of)
    return tuple(sorted(one.images.paths[row] for row in rows))
