"""What studies train on: all classes and photos, of which each trial takes its part."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.datasets.splits import SPLITS, Split
from retrain_cli.errors import CacheError
from retrain_cli.evaluation.predictions import ImageTable
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.sampling import select_classes, select_training
from retrain_cli.studies.split_draws import SplitDraws


@dataclass(frozen=True, eq=False)
class StudyData:
    """A dataset, or the part of it that a trial takes; no vector is copied for a part.

    Attributes:
        data: bottlenecks, labels, and which rows train and validate.
        images: the same rows as predictions name them.
        origins: INT or EXT of each class.
        draws: the split of each repeat; None where all have the split that `images` says.
    """

    data: HeadData
    images: ImageTable
    origins: tuple[ClassOrigin, ...]
    draws: SplitDraws | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their index."""
        return self.data.class_names

    @property
    def varies_test(self) -> bool:
        """Whether each repeat has other test photos."""
        return self.draws is not None and self.draws.vary_test

    def rows(self, split: Split) -> NDArray[np.int64]:
        """The rows of a split whose class takes part; of training those that are chosen."""
        if split == "training":
            return self.data.training
        taking_part = self.data.labels >= 0
        return np.flatnonzero(taking_part & (self.images.split == SPLITS.index(split)))

    def n_training(self) -> NDArray[np.int64]:
        """Training images of each class, `(n_classes,) int64`."""
        labels = self.data.labels[self.data.training]
        return np.bincount(labels, minlength=self.data.n_classes)

    def classes_of(self, origin: str) -> list[str]:
        """Names of the INT or of the EXT classes."""
        return [entry.class_name for entry in self.origins if entry.origin == origin]

    def split_by(self, seed: int) -> StudyData:
        """The same photos in the split of the repeat of this seed."""
        if self.draws is None:
            return self
        codes = self.draws.codes(seed)
        training, validation = (
            np.flatnonzero(codes == SPLITS.index(split)) for split in ("training", "validation")
        )
        whole = self.data
        data = _part(whole, whole.labels, whole.class_names, training, validation)
        return StudyData(data, replace(self.images, split=codes), self.origins)

    def with_vectors_of(self, other: StudyData) -> StudyData:
        """The same photos in the same splits, with the vectors of another backbone.

        Raises:
            CacheError: the photos of the other are not the same ones.
        """
        if not np.array_equal(self.images.digest, other.images.digest):
            raise CacheError(
                "backbones are compared on the same photos, and these have changed meanwhile: run "
                "the study again"
            )
        vectors = other.data.bottlenecks
        return replace(
            self,
            data=replace(self.data, bottlenecks=vectors, layer_widths=other.data.layer_widths),
        )

    def of_layers(self, places: Sequence[int]) -> StudyData:
        """The same photos with some of the layers of `layer_widths` side by side; a copy."""
        whole = self.data
        starts = np.cumsum([0, *whole.layer_widths])
        parts = [whole.bottlenecks[:, starts[one] : starts[one + 1]] for one in places]
        widths = tuple(whole.layer_widths[one] for one in places)
        chosen = np.ascontiguousarray(np.concatenate(parts, axis=1))
        return replace(
            self,
            data=replace(whole, bottlenecks=chosen, layer_widths=widths if len(widths) > 1 else ()),
        )

    def select(self, config: TrainingConfig) -> StudyData:
        """The part that a trial of these settings takes: its split, its classes, its examples."""
        part = self.split_by(config.seed)
        if config.classes is not None:
            part = part._only(config.classes)
        data = part.data
        chosen = select_training(data.labels, data.training, config.examples_per_class, config.seed)
        data = _part(data, data.labels, data.class_names, chosen, data.validation)
        return StudyData(data, part.images, part.origins)

    def _only(self, classes: tuple[str, ...]) -> StudyData:
        whole = self.data
        labels, names = select_classes(whole.labels, whole.class_names, classes)
        training, validation = (
            rows[labels[rows] >= 0] for rows in (whole.training, whole.validation)
        )
        data = _part(whole, labels, names, training, validation)
        origins = tuple(entry for entry in self.origins if entry.class_name in set(names))
        return StudyData(data, self.images, origins)

    def test_images(self) -> ImageTable:
        """The test images of the classes that take part."""
        rows, images = self.rows("test"), self.images
        paths = [images.paths[row] for row in rows.tolist()]
        return ImageTable(images.split[rows], images.digest[rows], paths, self.data.labels[rows])

    def fingerprint(self) -> str:
        """Digest of what the photos are, their classes and splits, in whatever order."""
        names = self.class_names
        rows = sorted(
            f"{digest.tobytes().hex()} {split} {names[label]}"
            for digest, split, label in zip(
                self.images.digest, self.images.split, self.data.labels, strict=True
            )
        )
        text = "\n".join(rows).encode("utf-8", "surrogateescape")
        return hashlib.blake2b(text, digest_size=8).hexdigest()


def _part(
    whole: HeadData,
    labels: NDArray[np.int32],
    names: tuple[str, ...],
    training: NDArray[np.int64],
    validation: NDArray[np.int64],
) -> HeadData:
    return HeadData(
        whole.bottlenecks,
        labels,
        names,
        training,
        validation,
        views=whole.views,
        layer_widths=whole.layer_widths,
    )
