"""The heatmaps of a report: of its mistakes, of the pairs that are confused, of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.sources.photo_source import locate_photo
from retrain_cli.datasets.splits import Split
from retrain_cli.errors import ImageError
from retrain_cli.evaluation.predictions import misclassified_rows
from retrain_cli.extraction.reading import Ready
from retrain_cli.images.placement import Placement
from retrain_cli.reports.content import (
    ExplainedPair,
    HeatImage,
    HeatSection,
    MeanHeat,
    Mistake,
    PairPhoto,
)
from retrain_cli.reports.heatmaps.heat_colours import SmallPhoto, levels, map_alone, over_photo
from retrain_cli.reports.heatmaps.heat_sheet import jpeg
from retrain_cli.reports.thumbnails import SIDE
from retrain_cli.runs.run import Run
from retrain_cli.workflows.explaining.class_heat import (
    ClassHeat,
    class_heats,
    drawn_rows,
    explainer_of,
)
from retrain_cli.workflows.explaining.explainer import ExplainedPhoto
from retrain_cli.workflows.reporting.report_photos import Album, Tick
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workspace import Workspace

MOST_MISTAKES, MOST_PAIRS, MOST_CLASSES = 60, 15, 100
"""What has heatmaps at most, so that the page stays small: together about 2 MB."""

RIGHT_ANSWERS = 3
"""Photos of each pair of classes."""

_MEAN_SIDE = 96


def add_heatmaps(
    run: Run,
    album: Album,
    split: Split | None,
    mistakes: Sequence[Mistake],
    pairs: Sequence[Mapping[str, Any]],
    workspace: Workspace,
    tick: Tick,
) -> tuple[tuple[Mistake, ...], HeatSection]:
    """Explain the photos that a report shows.

    Args:
        run: the run.
        album: its photos.
        split: the evaluated split; None for all.
        mistakes: the worst ones, in the order of the split's.
        pairs: classes that are confused, the most frequent first, as `eval --json` has them.
        workspace: where the run is.
        tick: is told what is being done.

    Returns:
        The mistakes with their heatmaps, and the rest.

    Raises:
        RetrainError: the run cannot be explained by class activation maps.
    """
    tick("heatmaps")
    wrong = misclassified_rows(album.predictions, split)[: min(MOST_MISTAKES, len(mistakes))]
    right = _right_answers(album, split, pairs[:MOST_PAIRS])
    explainer = explainer_of(run, workspace, album.photo_timeout)
    with explainer:
        predicted = album.predictions.top_classes[:, 0]
        labels = album.predictions.images.labels
        asked = [(row, int(predicted[row]), int(labels[row])) for row in wrong.tolist()]
        asked += [(row, *pair) for pair, rows in right.items() for row in rows]
        heats = _heats(explainer, album, asked)
        rows = drawn_rows(labels, album.predictions.rows(split))
        means = class_heats(run, album.root, rows, explainer)
    explained = tuple(
        replace(mistake, heats=heats.get(key, ()))
        for mistake, key in zip(mistakes, asked[: len(wrong)], strict=False)
    )
    shown = tuple(
        _pair(album, pair, rows, heats) for pair, rows in right.items()
    )  # fmt: skip
    return (*explained, *mistakes[len(explained) :]), HeatSection(
        tuple(pair for pair in shown if pair.photos), _means(means), len(means)
    )


def _right_answers(
    album: Album, split: Split | None, pairs: Sequence[Mapping[str, Any]]
) -> dict[tuple[int, int], list[int]]:
    """Of each pair the surest right answers of the true class, by (predicted, true)."""
    predictions = album.predictions
    rows = predictions.rows(split)
    rows = rows[predictions.rank[rows] == 1]
    rows = rows[np.argsort(-predictions.log_probability[rows], kind="stable")]
    found = {}
    for pair in pairs:
        true, taken = (album.class_names.index(pair[key]) for key in ("true", "predicted"))
        own = rows[predictions.images.labels[rows] == true]
        found[taken, true] = own[:RIGHT_ANSWERS].tolist()
    return found


Asked = tuple[int, int, int]
"""A row, and the two classes that it is explained for."""


def _heats(
    explainer: Any, album: Album, asked: Sequence[Asked]
) -> dict[Asked, tuple[HeatImage, ...]]:
    """Both heatmaps of each; a photo that is asked for twice is explained twice."""
    found: dict[Asked, tuple[HeatImage, ...]] = {}
    left = list(dict.fromkeys(asked))
    while left:
        once = {row: one for one in reversed(left) for row in one[:1]}
        left = [one for one in left if one not in once.values()]
        named = {str(locate_photo(album.root, album.predictions.images.paths[row])): one
                 for row, one in once.items()}  # fmt: skip
        wanted = {name: one[1:] for name, one in named.items()}
        for photo in explainer.explain(Ready.of([Source(name) for name in named]), wanted):
            if photo.heatmaps:
                found[named[photo.source.name]] = _drawn(photo, album.photo_timeout)
    return found


def _drawn(photo: ExplainedPhoto, timeout: float) -> tuple[HeatImage, ...]:
    assert photo.placement is not None
    try:
        small = SmallPhoto.read(photo.source.locate(), SIDE, timeout)
    except ImageError:
        return ()
    return tuple(
        HeatImage(
            heatmap.label,
            heatmap.score,
            jpeg(over_photo(small.pixels, levels(heatmap, photo.placement, small.drawn),
                            signed=False)),
        )
        for heatmap in photo.heatmaps
    )  # fmt: skip


def _pair(
    album: Album,
    pair: tuple[int, int],
    rows: Sequence[int],
    heats: Mapping[Asked, tuple[HeatImage, ...]],
) -> ExplainedPair:
    taken, true = pair
    photos = tuple(
        PairPhoto(album.photo(row, 1.0), tuple(reversed(heats[row, taken, true])))
        for row in rows
        if heats.get((row, taken, true))
    )
    return ExplainedPair(album.class_names[true], album.class_names[taken], photos)


def _means(means: Sequence[ClassHeat]) -> tuple[MeanHeat, ...]:
    """Those first that look at the border most."""
    square = Placement((1, 1), (0.0, 0.0, 1.0, 1.0))
    size = (_MEAN_SIDE, _MEAN_SIDE)
    ordered = sorted(means, key=lambda one: -one.at_the_border)[:MOST_CLASSES]
    return tuple(
        MeanHeat(
            one.name,
            one.n_photos,
            jpeg(map_alone(_shown(square.drawn(one.grid, size)), signed=False)),
            one.at_the_border,
            one.lies_at_the_border,
        )
        for one in ordered
    )


def _shown(heat: NDArray[np.float32]) -> NDArray[np.float32]:
    most = float(heat.max())
    return np.asarray(heat / most if most > 0 else heat, np.float32)
