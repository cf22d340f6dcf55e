"""Where a run looks for each class: the mean of its heatmaps over photos of the class."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.dataset import rows_of_classes
from retrain_cli.datasets.sources.photo_source import source_of
from retrain_cli.extraction.reading import Ready
from retrain_cli.runs.run import Run
from retrain_cli.workflows.explaining.explainer import Explainer, ExplainRequest
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workspace import Workspace

PHOTOS: Final = 600
"""Photos in all: a few seconds of a small network."""

FEWEST: Final = 5
"""Photos of a class of which a mean says something."""

_FEWEST_ASKED, _MOST_ASKED = 3, 30

BORDER: Final = 1.2
"""A mean map lies at the border where a field there has so many times what one within has.

Of 7 x 7 fields the outermost then have 54% of the evidence or more. Measured with MobileNetV2: 58%
for roses that were given stripes along two edges, 23% to 33% for the other flowers.
"""


@dataclass(frozen=True, eq=False)
class ClassHeat:
    """The mean heatmap of a class.

    Attributes:
        name: the class.
        n_photos: photos that it is the mean of.
        grid: `(rows, columns) float64`, of each field the mean share of what speaks for the class.
    """

    name: str
    n_photos: int
    grid: NDArray[np.float64]

    @property
    def at_the_border(self) -> float:
        """The share of what speaks for the class in the outermost ring of fields, 0 to 1."""
        total = float(self.grid.sum())
        return 1 - float(self.grid[1:-1, 1:-1].sum()) / total if total else 0.0

    @property
    def lies_at_the_border(self) -> bool:
        """Whether a field of that ring has `BORDER` times what a field within it has."""
        rows, columns = self.grid.shape
        within = max(0, rows - 2) * max(0, columns - 2)
        if not within or self.n_photos < FEWEST:
            return False
        ring = rows * columns - within
        share = self.at_the_border
        return bool(share / ring > BORDER * (1 - share) / within)


def drawn_rows(labels: NDArray[np.integer], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """As many photos of each class as make `PHOTOS` in all, the same ones each time.

    Args:
        labels: `(n_images,)`, the class of every image.
        rows: those among which to draw.
    """
    present = np.unique(labels[rows])
    each = int(np.clip(PHOTOS // max(1, len(present)), _FEWEST_ASKED, _MOST_ASKED))
    shuffled = np.random.default_rng(0).permutation(rows)
    classes = rows_of_classes(labels[shuffled], int(labels.max(initial=0)) + 1)
    return np.sort(np.concatenate([shuffled[own[:each]] for own in classes]))


def class_heats(
    run: Run, root: PurePath, rows: NDArray[np.int64], explainer: Explainer
) -> list[ClassHeat]:
    """The mean heatmap of each class over these photos, those that can be read.

    Args:
        run: the run.
        root: the image folder.
        rows: of the run's images.
        explainer: of the run.
    """
    images = run.predictions.images
    found_at = source_of(root)
    sources = [Source(str(found_at.locate(images.paths[row]))) for row in rows.tolist()]
    labels = images.labels[rows].tolist()
    wanted = {source.name: (label,) for source, label in zip(sources, labels, strict=True)}
    found: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for photo in explainer.explain(Ready.of(sources), wanted):
        for heatmap in photo.heatmaps[:1]:
            found[heatmap.label].append(np.maximum(heatmap.shares, 0))
    return [
        ClassHeat(name, len(grids), np.mean(grids, axis=0)) for name, grids in sorted(found.items())
    ]


def explainer_of(run: Run, workspace: Workspace, photo_timeout: float) -> Explainer:
    """An explainer of a run by its class activation maps."""
    return Explainer(ExplainRequest(str(run.folder), photo_timeout=photo_timeout), workspace)


def heats_of_run(
    run: Run, root: PurePath, workspace: Workspace, photo_timeout: float
) -> list[ClassHeat]:
    """The mean heatmap of each class over the run's test photos, or all photos where none test.

    Args:
        run: the run.
        root: the image folder.
        workspace: where the run is.
        photo_timeout: seconds of processor time for a photo that may take very long.

    Raises:
        RetrainError: the run cannot be explained by class activation maps.
    """
    predictions = run.predictions
    rows = predictions.rows("test")
    rows = drawn_rows(predictions.images.labels, rows if len(rows) else predictions.rows(None))
    with explainer_of(run, workspace, photo_timeout) as explainer:
        return class_heats(run, root, rows, explainer)
