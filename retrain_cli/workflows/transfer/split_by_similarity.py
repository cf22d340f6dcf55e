"""`retrain dataset split --by-similarity`: source and target as lists of photos, or links to them.

The photos themselves are left alone. The new folder appears under its name when it is complete.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from retrain_cli.datasets.sources.photo_source import is_folder, source_of
from retrain_cli.durable import draft_folder, make_folder, sync_tree
from retrain_cli.errors import ConfigError, DatasetError, setting
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.memory import available_memory
from retrain_cli.notebook.frames import frame
from retrain_cli.notebook.sheets import Grid, sheet
from retrain_cli.paths import StrPath, absolute
from retrain_cli.similarity.class_trees import Clustering, Linkage, Metric
from retrain_cli.studies.source_target.sides import PhotoPool, SourceTarget, first_level
from retrain_cli.workflows.shared.training_set import TrainingSet, load_training_set
from retrain_cli.workflows.sort_photos import PhotoSorter, SortRequest
from retrain_cli.workspace import Workspace, writing_to

if TYPE_CHECKING:
    from pandas import DataFrame

SIDES = ("source", "target")


@dataclass(frozen=True)
class SimilaritySplitRequest:
    """How the dataset last used is divided, and where that is written to.

    Attributes:
        by_similarity: the new folder; an empty one may be there.
        links: write a folder of symbolic links for each side, too.
        classes: photos of these classes only; () for all.
        linkage: how far apart two clusters are.
        metric: how far apart two photos are.
    """

    by_similarity: StrPath
    links: bool = False
    classes: tuple[str, ...] = ()
    linkage: Linkage = "ward"
    metric: Metric = "euclidean"

    @property
    def clustering(self) -> Clustering:
        """Linkage and metric."""
        return Clustering(self.linkage, self.metric)


@dataclass(frozen=True)
class SplitClass:
    """A class that was divided.

    Attributes:
        name: of the class.
        source: photos in the source.
        target: photos in the target.
    """

    name: str
    source: int
    target: int


@dataclass(frozen=True)
class SimilaritySplit:
    """What was written.

    Attributes:
        folder: where.
        files: the lists, and the folders of links.
        classes: counts of each class.
        distance: mean cosine distance of a photo of the source and one of the target.
        distance_of_means: cosine distance of the mean bottlenecks.
    """

    folder: Path
    files: tuple[Path, ...]
    classes: tuple[SplitClass, ...]
    distance: float
    distance_of_means: float

    def _repr_html_(self) -> str:
        return sheet(
            "source and target",
            f"in {self.folder}; cosine distance of their photos {self.distance:.3f}, of their "
            f"means {self.distance_of_means:.3f}",
            Grid(("class", "source", "target"), [[*vars(one).values()] for one in self.classes]),
        )

    def to_frame(self) -> DataFrame:
        """Counts of each class as a data frame of pandas.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return frame(("class", "source", "target"), [[*vars(one).values()] for one in self.classes])

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "folder": str(self.folder),
            "files": [str(path) for path in self.files],
            "classes": [vars(one) for one in self.classes],
            "distance": self.distance,
            "distance_of_means": self.distance_of_means,
        }


def split_by_similarity(request: SimilaritySplitRequest, workspace: Workspace) -> SimilaritySplit:
    """Divide the dataset last used: of each class the larger cluster is source, the smaller target.

    Raises:
        ConfigError: the folder is not empty or among the photos, a setting that cannot work.
        RetrainError: no bottlenecks, or classes that cannot be divided.
    """
    request.clustering.validate()
    folder = absolute(request.by_similarity)
    _check_empty(folder)
    config = TrainingConfig(classes=request.classes or None)
    found = load_training_set(workspace, config)
    _check_apart(folder, found.used.image_dir)
    if request.links and not is_folder(found.used.image_dir):
        raise ConfigError(
            f"{setting('links')} makes links to files, and the photos are those of "
            f"{found.used.image_dir}: leave it out, the lists name each photo"
        )
    data = found.data
    photos = PhotoPool(data.bottlenecks, data.labels, data.class_names, data.groups)
    trees = photos.grow_trees(request.clustering, available_memory() // 2)
    mix = first_level(photos, trees)
    with writing_to(folder):
        _write(folder, found, mix, with_links=request.links)
    names = [f"{side}.txt" for side in SIDES] + [*SIDES] * request.links
    counts = [photos.counts(rows).tolist() for rows in (mix.source, mix.target)]
    classes = (SplitClass(*one) for one in zip(photos.class_names, *counts, strict=True))
    return SimilaritySplit(
        folder, tuple(folder / name for name in names), tuple(classes), *mix.distances(photos)
    )


def _check_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if os.path.lexists(folder):
        what = "is not empty" if folder.is_dir() else "is a file"
        raise ConfigError(
            f"{setting('by_similarity')} takes a new or an empty folder, and {folder} {what}: "
            "name another one"
        )


def _check_apart(folder: Path, image_dir: PurePath) -> None:
    """Links among the photos would be photos of a class themselves."""
    real = folder.parent.resolve() / folder.name
    if isinstance(image_dir, Path) and real.is_relative_to(image_dir.resolve()):
        raise ConfigError(
            f"{setting('by_similarity')} takes a folder outside of the photos, and {folder} is in "
            f"{image_dir}: name another one"
        )


def _write(folder: Path, found: TrainingSet, mix: SourceTarget, *, with_links: bool) -> None:
    source = source_of(found.used.image_dir)
    make_folder(folder.parent)
    with draft_folder(folder.parent) as drafts:
        draft = drafts / "split"
        draft.mkdir()
        for side, rows in zip(SIDES, (mix.source, mix.target), strict=True):
            paths = [source.locate(found.images.paths[row]) for row in rows.tolist()]
            (draft / f"{side}.txt").write_bytes(_listed(paths))
            if with_links:
                labels = [found.data.class_names[one] for one in found.data.labels[rows].tolist()]
                _link(draft / side, [Path(path) for path in paths], labels)
        sync_tree(draft)
        if folder.is_dir():
            folder.rmdir()  # it is empty
        draft.rename(folder)


def _listed(paths: Sequence[PurePath]) -> bytes:
    """A path a line.

    Raises:
        DatasetError: a name with a line feed, which no line can hold.
    """
    for path in paths:
        if "\n" in str(path):
            raise DatasetError(
                f"a list has a path a line, and {str(path)!r} has a line feed in its name: rename "
                "it"
            )
    return b"".join(os.fsencode(path) + b"\n" for path in paths)


def _link(folder: Path, paths: Sequence[Path], labels: Sequence[str]) -> None:
    request = SortRequest(sort_into=folder, link="symbolic")
    with PhotoSorter(request, sorted(set(labels))) as sorter:
        for path, label in zip(paths, labels, strict=True):
            sorter.place(path, label)
