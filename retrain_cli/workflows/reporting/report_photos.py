"""The photos of a report: thumbnails, nearest training photos, and the map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from retrain_cli.cache.store import BottleneckStore
from retrain_cli.datasets.sources.photo_source import locate_photo
from retrain_cli.datasets.splits import SPLITS, Split
from retrain_cli.errors import ImageError
from retrain_cli.evaluation.predictions import Predictions, misclassified_rows
from retrain_cli.images.examine import content_digest
from retrain_cli.images.limits.limited import PHOTO_TIMEOUT
from retrain_cli.images.photo_files import read_file
from retrain_cli.reports.content import Mistake, PhotoMap, ReportPhoto
from retrain_cli.reports.projection import MapMethod, project
from retrain_cli.reports.text import printable
from retrain_cli.reports.thumbnails import SIDE, SMALL_SIDE, thumbnail
from retrain_cli.similarity.neighbours import nearest

N_NEAREST = 3
MAP_POINTS = 3000  # more make the page large and the map no clearer

Tick = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Album:
    """The photos of a run on disk.

    Attributes:
        root: the image folder.
        predictions: the photos and what the run says about them.
        class_names: the classes by index.
        known: other places of a photo by digest, as the index remembers them.
        photo_timeout: as of `ReportRequest`.
    """

    root: PurePath
    predictions: Predictions
    class_names: tuple[str, ...]
    known: Mapping[bytes, str]
    photo_timeout: float = PHOTO_TIMEOUT

    def photo(self, row: int, similarity: float | None = None) -> ReportPhoto:
        """A photo with its thumbnail, or with the reason why there is none."""
        images = self.predictions.images
        path, name = images.paths[row], self.class_names[images.labels[row]]
        side = SIDE if similarity is None else SMALL_SIDE
        source, problem, note = self._picture(path, images.digest[row].tobytes(), side)
        return ReportPhoto(printable(path), name, source, problem, note, similarity)

    def _picture(self, path: str, digest: bytes, side: int) -> tuple[str | None, str | None, str]:
        """Thumbnail, else problem; and a note."""
        problem = ""
        for place in dict.fromkeys((path, self.known.get(digest, path))):
            try:
                data = read_file(locate_photo(self.root, place))
                if content_digest(data) != digest:
                    problem = problem or "changed since this run"
                    continue
                note = "" if place == path else f"now {printable(place)}"
                return thumbnail(data, side, self.photo_timeout), None, note
            except FileNotFoundError:
                problem = problem or "no longer there: moved or removed"
            except OSError as error:
                problem = problem or f"cannot be read ({error.strerror or error})"
            except ImageError as error:
                problem = problem or str(error)
        return None, problem, ""


def worst_mistakes(
    album: Album, split: Split | None, most: int, store: BottleneckStore | None, tick: Tick
) -> tuple[Mistake, ...]:
    """The mistakes of which the head was surest, each with the nearest training photos.

    Args:
        album: the photos.
        split: the evaluated split; None for all.
        most: how many at most.
        store: the cache; None where it is missing, and then no photo is near.
        tick: is told what is being done.
    """
    rows = misclassified_rows(album.predictions, split)[:most]
    neighbours: list[tuple[ReportPhoto, ...]] = [()] * len(rows)
    if store is not None and len(rows):
        neighbours = _nearest_photos(album, rows, store, tick)
    predictions = album.predictions
    tick("thumbnails")
    return tuple(
        Mistake(
            album.photo(row),
            album.class_names[predictions.top_classes[row, 0]],
            float(predictions.top_scores[row, 0]),
            near,
        )
        for row, near in zip(rows.tolist(), neighbours, strict=True)
    )


def _nearest_photos(
    album: Album, rows: NDArray[np.int64], store: BottleneckStore, tick: Tick
) -> list[tuple[ReportPhoto, ...]]:
    tick("nearest training photos")
    training = album.predictions.rows("training")
    matrix, queries = (_bottlenecks(album, which, store) for which in (training, rows))
    # One more than wanted: where training photos are looked at, each is its own nearest.
    found = nearest(queries, matrix, N_NEAREST + 1)
    result = []
    for row, places, similarities in zip(rows, found.rows, found.similarity, strict=True):
        near = [
            (int(training[place]), float(similarity))
            for place, similarity in zip(places, similarities, strict=True)
            if training[place] != row
        ]
        result.append(tuple(album.photo(*pair) for pair in near[:N_NEAREST]))
    return result


def _bottlenecks(
    album: Album, rows: NDArray[np.int64], store: BottleneckStore
) -> NDArray[np.float32]:
    digests = album.predictions.images.digest[rows]
    return store.read([digest.tobytes() for digest in digests])


def map_photos(
    album: Album, split: Split | None, store: BottleneckStore, method: MapMethod, tick: Tick
) -> PhotoMap:
    """A fair draw of the photos in two dimensions; up to half of it from the evaluated split."""
    tick("map")
    rows = _drawn(album.predictions, split)
    images = album.predictions.images
    projection = project(_bottlenecks(album, rows, store), method)
    scale = np.abs(projection.points).max() or 1.0
    x, y = np.round(projection.points / scale, 4).T
    return PhotoMap(
        projection.method,
        len(images),
        x.tolist(),
        y.tolist(),
        images.labels[rows].tolist(),
        album.predictions.top_classes[rows, 0].tolist(),
        images.split[rows].tolist(),
        [printable(images.paths[row]) for row in rows.tolist()],
    )


def _drawn(predictions: Predictions, split: Split | None) -> NDArray[np.int64]:
    generator = np.random.default_rng(0)
    wanted = np.zeros(len(predictions), bool)
    wanted[predictions.rows(split)] = True
    if split is None:
        wanted[:] = predictions.images.split != SPLITS.index("training")
    own, others = (generator.permutation(np.flatnonzero(mask)) for mask in (wanted, ~wanted))
    own = own[: max(MAP_POINTS // 2, MAP_POINTS - len(others))]
    return np.sort(np.concatenate([own, others[: MAP_POINTS - len(own)]]))
