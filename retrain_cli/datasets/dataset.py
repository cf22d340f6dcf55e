"""A dataset as training sees it: one row per usable photo, read from the index without a walk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.class_names import check_class_names, listed
from retrain_cli.datasets.file_index import FileIndex, FolderRecord
from retrain_cli.datasets.splits import Split, SplitItem, assign_splits, nohash_group, straddling
from retrain_cli.errors import DatasetError


@dataclass(frozen=True, eq=False)
class Dataset:
    """The usable photos of one image folder.

    Attributes:
        root: the image folder, or its URL.
        class_names: names of the classes, sorted.
        paths: path of each photo, relative to `root`.
        digests: content digest of each photo.
        labels: `(n_images,) int32`, index into `class_names`.
        given: the split that the folder tree gives each photo, or None.
        problems: files that are not usable, as (path, reason).
        bad_classes: classes all of whose files are bad.
        founders: for each digest the founder of its group of near duplicates; empty where these
            are not grouped.
    """

    root: PurePath
    class_names: tuple[str, ...]
    paths: list[str]
    digests: list[bytes]
    labels: NDArray[np.int32]
    given: list[Split | None]
    problems: list[tuple[str, str]]
    bad_classes: tuple[str, ...]
    founders: Mapping[bytes, bytes] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.paths)

    def only(
        self, rows: NDArray[np.int64], labels: NDArray[np.int32], class_names: tuple[str, ...]
    ) -> Dataset:
        """Some of the photos, with new labels."""
        chosen = rows.tolist()
        return replace(
            self,
            class_names=class_names,
            paths=[self.paths[row] for row in chosen],
            digests=[self.digests[row] for row in chosen],
            labels=labels,
            given=[self.given[row] for row in chosen],
        )

    def check(self) -> None:
        """Refuse what no classifier can be trained on.

        Raises:
            DatasetError: fewer than two classes, names that differ only in case, or a class
                without one usable photo.
        """
        if self.bad_classes:
            more = f" and {len(self.bad_classes) - 3} more" if len(self.bad_classes) > 3 else ""
            raise DatasetError(
                "every class needs a usable photo, and all are bad in "
                f"{listed(self.bad_classes[:3])}{more}: repair the photos or remove the folder; "
                "all other bottlenecks are kept"
            )
        check_class_names(self.class_names)

    def splits(self, validation_percentage: float, testing_percentage: float) -> list[Split]:
        """The split of each photo; see `retrain_cli.datasets.splits`."""
        return assign_splits(self.split_items(), validation_percentage, testing_percentage)

    def straddling(self, splits: Sequence[Split]) -> int:
        """Distinct photos that stand in more than one given split."""
        return straddling(self.split_items(), splits)

    def split_items(self) -> list[SplitItem]:
        """The photos as far as splits and folds are concerned."""
        return [
            SplitItem(
                digest,
                int(label),
                nohash_group(path.rpartition("/")[2]),
                given,
                self.founders.get(digest),
            )
            for digest, label, path, given in zip(
                self.digests, self.labels, self.paths, self.given, strict=True
            )
        ]


def load_dataset(index: FileIndex, root: PurePath) -> Dataset:
    """Read the dataset at `root` from the index."""
    dataset = index.dataset_id(root)
    folders = index.folders(dataset)
    usable: list[tuple[str, bytes, FolderRecord]] = []
    problems: list[tuple[str, str]] = []
    classes_with_problems: set[str] = set()
    for file in index.files(dataset):
        path, folder = f"{file.folder}/{file.name}", folders[file.folder]
        if file.problem is not None:
            problems.append((path, file.problem))
            classes_with_problems.add(folder.class_name)
        elif file.digest is not None:
            usable.append((path, file.digest, folder))
    class_names = tuple(sorted({folder.class_name for _, _, folder in usable}))
    number = {name: index for index, name in enumerate(class_names)}
    return Dataset(
        root=root,
        class_names=class_names,
        paths=[path for path, _, _ in usable],
        digests=[digest for _, digest, _ in usable],
        labels=np.array([number[folder.class_name] for _, _, folder in usable], np.int32),
        given=[folder.given_split for _, _, folder in usable],
        problems=problems,
        bad_classes=tuple(sorted(classes_with_problems.difference(class_names))),
    )


def rows_of_classes(labels: NDArray[np.integer], n_classes: int) -> list[NDArray[np.int64]]:
    """Rows of the images of each class, ascending; one pass, where one a class would be quadratic.

    Args:
        labels: `(n_images,)`, from 0 to n_classes - 1.
        n_classes: number of classes, those without images included.

    Returns:
        `n_classes` arrays, some of them perhaps empty.
    """
    ends = np.cumsum(np.bincount(labels, minlength=n_classes))
    return np.split(np.argsort(labels, kind="stable"), ends[:-1])
