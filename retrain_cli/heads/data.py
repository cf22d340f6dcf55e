"""What a head is trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.class_names import listed
from retrain_cli.errors import DatasetError, setting


@dataclass(frozen=True, eq=False)
class HeadData:
    """Bottlenecks, their labels, and which of them are for training and for validation.

    Attributes:
        bottlenecks: `(n_images, width) float32`; may be a `numpy.memmap` larger than memory.
        labels: `(n_images,) int32`, index into `class_names`; -1 where the image takes no part.
        class_names: names of the classes, in the order of their index.
        training: `(n_training,) int64` rows of `bottlenecks` to train on.
        validation: `(n_validation,) int64` rows to choose the best head by; may be empty.
        spare: `(n_spare,) int64` those of them that may train a head which is chosen without any.
        groups: `(n_images,) int64`, images of equal number are alike and are judged together; None
            where each is on its own.
        transform: what vectors go through when they are read for training, which gives an array of
            its own; None for nothing.
        views: `((1 + n_views) * n_images, width) float32`, the bottlenecks once more and below them
            those of the first distorted view of each image, then of the next; None without views.
        layer_widths: how many numbers of a bottleneck each layer gives, where there are several
            side by side; else empty.
    """

    bottlenecks: NDArray[np.float32]
    labels: NDArray[np.int32]
    class_names: tuple[str, ...]
    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    spare: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    groups: NDArray[np.int64] | None = None
    transform: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None
    views: NDArray[np.float32] | None = None
    layer_widths: tuple[int, ...] = ()

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def width(self) -> int:
        """Length of a bottleneck."""
        return int(self.bottlenecks.shape[1])

    @property
    def n_views(self) -> int:
        """Distorted views of each image that training draws from, too."""
        return 0 if self.views is None else len(self.views) // len(self.labels) - 1

    def with_spare(self) -> HeadData:
        """All images for training, none for validation but those that must be."""
        return replace(
            self,
            training=np.union1d(self.training, self.spare),
            validation=np.setdiff1d(self.validation, self.spare),
            spare=self.spare[:0],
        )

    def without_spare(self) -> HeadData:
        """The same where validation images stay what they are."""
        return replace(self, spare=self.spare[:0])

    def with_views(self) -> HeadData:
        """The same where the views of training images are training images themselves."""
        if self.views is None:
            return self
        n_images = len(self.labels)
        times = len(self.views) // n_images
        first_rows = n_images * np.arange(times)[:, None]
        return replace(
            self,
            bottlenecks=self.views,
            labels=np.tile(self.labels, times),
            training=(first_rows + self.training).reshape(-1),
            groups=None if self.groups is None else np.tile(self.groups, times),
            views=None,
        )

    def check(self) -> None:
        """Refuse what no head can be trained on.

        Raises:
            DatasetError: fewer than two classes, or a class without a training image.
        """
        if self.n_classes < 2:
            raise DatasetError(
                f"a classifier needs at least two classes, but there is {self.n_classes}: "
                "add a folder of photos for another class"
            )
        counts = np.bincount(self.labels[self.training], minlength=self.n_classes)
        empty = [self.class_names[index] for index in np.flatnonzero(counts == 0)]
        if empty:
            more = f" and {len(empty) - 3} more" if len(empty) > 3 else ""
            raise DatasetError(
                "each class needs at least one image to train on, but there is none of "
                f"{listed(empty[:3])}{more}: add photos, or leave the class out with "
                f"{setting('classes')}"
            )
