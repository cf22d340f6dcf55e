"""What a head says about every image: computed once, saved with the run, read by all reports."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.splits import SPLITS, Split
from retrain_cli.evaluation.arrays import checked, damaged, in_range, read_arrays
from retrain_cli.evaluation.ranking import rank_of, top_k

_CHUNK_VALUES = 8_000_000  # of a chunk's bottlenecks or scores, whichever is more: 32 MB
_FEWEST_ROWS = 256  # fewer images at a time cost more: each time all weights are gone through
_SAVED_SCORES = 20_000_000  # at most this many saved scores in all, 160 MB with their indices
_FEWEST_SAVED, _MOST_SAVED = 5, 100


class Classifier(Protocol):
    """What can be asked for predictions, such as a `Head`."""

    @property
    def n_classes(self) -> int:
        """Number of classes."""

    def log_probabilities(self, bottlenecks: NDArray[np.float32], /) -> NDArray[np.float32]:
        """`(n_images, n_classes)` natural logarithms of `(n_images, width)` bottlenecks."""


@dataclass(frozen=True, eq=False)
class ImageTable:
    """Which images they are, row by row.

    Attributes:
        split: `(n_images,) uint8`, index into `SPLITS`.
        digest: `(n_images, 16) uint8`, BLAKE2b-128 of the file's bytes.
        paths: `(n_images,)` paths, relative to the image folder.
        labels: `(n_images,) int32`, index of the true class.
    """

    split: NDArray[np.uint8]
    digest: NDArray[np.uint8]
    paths: Sequence[str]
    labels: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.labels)

    def only(self, rows: NDArray[np.int64]) -> ImageTable:
        """Some of the images, in the order of `rows`."""
        paths = [self.paths[row] for row in rows.tolist()]
        return ImageTable(self.split[rows], self.digest[rows], paths, self.labels[rows])


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions of one head.

    Attributes:
        images: which images they are.
        n_classes: number of classes of the head.
        rank: `(n_images,) int32`, rank of the true class, 1 for the best; of classes with equal
            scores the one with the lower index ranks first.
        log_probability: `(n_images,) float32`, natural logarithm of the true class's probability.
        top_classes: `(n_images, k) int32`, the k best classes, best first.
        top_scores: `(n_images, k) float32`, their probabilities.
    """

    images: ImageTable
    n_classes: int
    rank: NDArray[np.int32]
    log_probability: NDArray[np.float32]
    top_classes: NDArray[np.int32]
    top_scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, split: Split | None) -> NDArray[np.int64]:
        """The rows of a split, in order; all rows for None."""
        if split is None:
            return np.arange(len(self))
        return np.flatnonzero(self.images.split == SPLITS.index(split))

    @classmethod
    def blank(cls, images: ImageTable, n_classes: int) -> Predictions:
        """Room for the predictions of these images, for `fill`."""
        n_images, k = len(images), n_saved_classes(len(images), n_classes)
        return cls(
            images,
            n_classes,
            rank=np.empty(n_images, np.int32),
            log_probability=np.empty(n_images, np.float32),
            top_classes=np.empty((n_images, k), np.int32),
            top_scores=np.empty((n_images, k), np.float32),
        )

    def fill(
        self,
        classifier: Classifier,
        bottlenecks: NDArray[np.float32],
        rows: NDArray[np.int64],
        places: NDArray[np.int64],
    ) -> None:
        """Ask a head about some images, a chunk at a time.

        Args:
            classifier: the head.
            bottlenecks: `(n, width) float32`, may be memory-mapped.
            rows: the rows of `bottlenecks` to ask about.
            places: which images of this table they are, as many.
        """
        for chunk in chunks(len(rows), max(self.n_classes, bottlenecks.shape[1])):
            self._fill(places[chunk], classifier.log_probabilities(bottlenecks[rows[chunk]]))

    def _fill(self, places: NDArray[np.int64], logs: NDArray[np.float32]) -> None:
        labels, best = self.images.labels[places], top_k(logs, self.top_classes.shape[1])
        self.rank[places] = rank_of(logs, labels)
        self.log_probability[places] = np.take_along_axis(logs, labels[:, None], axis=1)[:, 0]
        self.top_classes[places] = best
        self.top_scores[places] = np.exp(np.take_along_axis(logs, best, axis=1))

    def save(self, path: Path, **more: Any) -> None:
        """Write an `.npz` without pickles; a path's bytes are UTF-8 with surrogate escapes.

        Args:
            path: the file.
            more: other arrays that it holds, for who asks for them by name.
        """
        paths = PackedStrings.pack(self.images.paths)
        with path.open("wb") as file:
            np.savez(
                file,
                split=self.images.split,
                digest=self.images.digest,
                path_bytes=paths.data,
                path_offsets=paths.offsets,
                labels=self.images.labels,
                n_classes=np.int64(self.n_classes),
                rank=self.rank,
                log_probability=self.log_probability,
                top_classes=self.top_classes,
                top_scores=self.top_scores,
                **more,
            )

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Read what `save` wrote.

        Raises:
            RunError: the file is missing or damaged.
        """
        saved = read_arrays(path, _SAVED, _WHAT)
        try:
            return cls._from_arrays(saved)
        except (ValueError, TypeError, OverflowError) as error:
            raise damaged(path, _WHAT, error) from error

    @classmethod
    def _from_arrays(cls, saved: dict[str, NDArray[Any]]) -> Predictions:
        n_classes = int(checked(saved["n_classes"], "n_classes", "iu"))
        n_images = len(checked(saved["labels"], "labels", "iu", None))
        paths = PackedStrings(
            checked(saved["path_bytes"], "path_bytes", "u", None).astype(np.uint8, copy=False),
            checked(saved["path_offsets"], "path_offsets", "i", n_images + 1),
        )
        split = checked(saved["split"], "split", "iu", n_images)
        digest = checked(saved["digest"], "digest", "u", n_images, 16)
        rank = checked(saved["rank"], "rank", "iu", n_images)
        top_classes = checked(saved["top_classes"], "top_classes", "iu", n_images, None)
        n_top = top_classes.shape[1]
        top_scores = checked(saved["top_scores"], "top_scores", "f", n_images, n_top)
        logs = checked(saved["log_probability"], "log_probability", "f", n_images)
        in_range(split, "split", 0, len(SPLITS) - 1)
        in_range(saved["labels"], "labels", 0, n_classes - 1)
        in_range(rank, "rank", 1, n_classes)
        in_range(top_classes, "top_classes", 0, n_classes - 1)
        if n_top < 1:
            raise ValueError("top_classes is empty")
        images = ImageTable(split, digest, paths, saved["labels"])
        return cls(images, n_classes, rank, logs, top_classes, top_scores)


_SAVED = (
    "split",
    "digest",
    "labels",
    "rank",
    "log_probability",
    "top_classes",
    "top_scores",
    "path_bytes",
    "path_offsets",
    "n_classes",
)
_WHAT = "the predictions of a run"


def n_saved_classes(n_images: int, n_classes: int) -> int:
    """How many of the best classes are kept per image: all, up to 5 to 100 as space allows."""
    fits = _SAVED_SCORES // max(1, n_images)
    return min(n_classes, max(_FEWEST_SAVED, min(fits, _MOST_SAVED)))


def chunks(n_images: int, n_values: int) -> Iterator[slice]:
    """Pieces of the images whose `n_values` float32 each take 32 MB together, of at least 256."""
    size = max(_FEWEST_ROWS, _CHUNK_VALUES // n_values)
    for start in range(0, n_images, size):
        yield slice(start, min(start + size, n_images))


def predict(
    classifier: Classifier, bottlenecks: NDArray[np.float32], images: ImageTable
) -> Predictions:
    """Ask a head about every image.

    Args:
        classifier: the head.
        bottlenecks: `(n_images, width) float32`, may be memory-mapped; row i belongs to image i.
        images: the images, with labels from 0 to n_classes - 1.
    """
    result = Predictions.blank(images, classifier.n_classes)
    everything = np.arange(len(images))
    result.fill(classifier, bottlenecks, everything, everything)
    return result


@dataclass(frozen=True)
class Misclassified:
    """An image whose best class is not its true one.

    Attributes:
        path: relative to the image folder.
        true: the true class.
        predicted: the best class.
        score: probability of the predicted class.
    """

    path: str
    true: str
    predicted: str
    score: float


def list_misclassified(
    predictions: Predictions, split: Split | None, class_names: Sequence[str]
) -> list[Misclassified]:
    """The misclassified images of a split, those of which the head was surest first."""
    return [
        Misclassified(
            predictions.images.paths[row],
            class_names[predictions.images.labels[row]],
            class_names[predictions.top_classes[row, 0]],
            float(predictions.top_scores[row, 0]),
        )
        for row in misclassified_rows(predictions, split).tolist()
    ]


def misclassified_rows(predictions: Predictions, split: Split | None) -> NDArray[np.int64]:
    """Rows of the misclassified images, those of which the head was surest first."""
    rows = predictions.rows(split)
    wrong = rows[predictions.rank[rows] > 1]
    return wrong[np.argsort(-predictions.top_scores[wrong, 0], kind="stable")]


@dataclass(frozen=True, eq=False)
class PackedStrings(Sequence[str]):
    """A read-only sequence of strings.

    Attributes:
        data: the strings' bytes end to end, `uint8`: UTF-8 with surrogate escapes, which keeps
            file names that are not UTF-8.
        offsets: `(n + 1,) int64`, string i is `data[offsets[i]:offsets[i + 1]]`.
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        edges = self.offsets
        if (
            len(edges) < 1
            or edges[0] != 0
            or edges[-1] != len(self.data)
            or (edges[1:] < edges[:-1]).any()
        ):
            raise ValueError("the offsets do not fit the strings")

    @classmethod
    def pack(cls, strings: Iterable[str]) -> PackedStrings:
        """Pack the strings, in order."""
        encoded = [string.encode("utf-8", "surrogateescape") for string in strings]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(piece) for piece in encoded], out=offsets[1:])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: SupportsIndex) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = operator.index(index)
        i = i + len(self) if i < 0 else i
        if not 0 <= i < len(self):
            raise IndexError(i)
        piece = self.data[self.offsets[i] : self.offsets[i + 1]]
        return piece.tobytes().decode("utf-8", "surrogateescape")
