"""The training photos of a run that are most like a photo, for the page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.sources.photo_source import source_of
from retrain_cli.errors import ImageError, RetrainError
from retrain_cli.images.decode import load_rgb
from retrain_cli.images.photo_files import read_file
from retrain_cli.runs.run import Run
from retrain_cli.similarity.neighbours import nearest
from retrain_cli.workflows.shared.run_scores import cached_bottlenecks
from retrain_cli.workspace import Workspace

_MOST_IN_MEMORY = 512 << 20
"""Bytes of vectors; the page of a larger training set does without similar photos."""

_SIDE = 192
"""Pixels of a small picture, at most."""


@dataclass(frozen=True)
class SimilarRow:
    """A training photo: its number, its class, and the cosine of the bottlenecks, -1 to 1."""

    row: int
    label: str
    similarity: float


class TrainingPhotos:
    """The training photos of a run, with their bottlenecks in memory.

    Args:
        paths: where they are.
        labels: their classes.
        vectors: `(n_photos, width) float32`.

    Attributes:
        picture: a small picture of one by its number, a JPEG without any metadata; None where there
            is none. The last ones are kept, as long as this object is.
    """

    def __init__(
        self, paths: list[PurePath], labels: list[str], vectors: NDArray[np.float32]
    ) -> None:
        self._paths, self._labels, self._vectors = paths, labels, vectors
        self.picture = lru_cache(maxsize=256)(self._picture)

    @classmethod
    def of(cls, run: Run, workspace: Workspace) -> TrainingPhotos | None:
        """Those of a run; None where their bottlenecks are not at hand, or are too many."""
        folder = run.info.provenance.image_dir
        try:
            rows = run.predictions.rows("training")
            if folder is None or not len(rows) or 4 * len(rows) * run.head.width > _MOST_IN_MEMORY:
                return None
            vectors = cached_bottlenecks(run, rows, workspace)
        except RetrainError:
            return None
        images = run.predictions.images
        source = source_of(folder)
        paths = [source.locate(images.paths[row]) for row in rows.tolist()]
        return cls(paths, [run.labels[images.labels[row]] for row in rows.tolist()], vectors)

    def nearest(self, vector: NDArray[np.float32], count: int) -> list[SimilarRow]:
        """Those most like a photo, best first.

        Args:
            vector: `(width,) float32`, its bottleneck.
            count: how many.
        """
        found = nearest(vector[None], self._vectors, count)
        return [
            SimilarRow(row, self._labels[row], value)
            for row, value in zip(found.rows[0].tolist(), found.similarity[0].tolist(), strict=True)
        ]

    def _picture(self, row: int) -> bytes | None:
        if not 0 <= row < len(self._paths):
            return None
        try:
            image = load_rgb(read_file(self._paths[row]), timeout=5.0)
        except (OSError, ImageError):
            return None
        image.thumbnail((_SIDE, _SIDE))
        packed = BytesIO()
        image.save(packed, "JPEG", quality=80)
        return packed.getvalue()
