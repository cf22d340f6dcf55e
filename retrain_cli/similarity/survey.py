"""Look at every photo of a dataset once; what was seen is remembered by content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from retrain_cli.datasets.dataset import Dataset
from retrain_cli.errors import ImageError
from retrain_cli.images.examine import content_digest, read_file
from retrain_cli.images.looks import PhotoLook, look_at
from retrain_cli.parallel import bounded_map
from retrain_cli.similarity.photo_facts import PhotoFacts

Told = Callable[[int, int], None]
"""Is told how many are done, of how many."""

_KEPT_AT_A_TIME = 500
_AHEAD = 256


def survey(
    dataset: Dataset, facts: PhotoFacts, threads: int, on_progress: Told = lambda done, total: None
) -> dict[bytes, PhotoLook]:
    """The looks of a dataset's photos, by digest; only those not known yet are opened.

    A file that is gone or has changed since the dataset was read has no look. An interruption
    keeps what was seen.
    """
    looks = facts.looks()
    wanted = dict(zip(dataset.digests, dataset.paths, strict=True))
    new = [(digest, dataset.root / path) for digest, path in wanted.items() if digest not in looks]
    seen: dict[bytes, PhotoLook] = {}
    try:
        for done, (digest, look) in enumerate(_look_at_all(new, threads), start=1):
            if look is not None:
                looks[digest] = seen[digest] = look
            if len(seen) == _KEPT_AT_A_TIME:
                facts.remember_looks(seen)
                seen = {}
            on_progress(done, len(new))
    finally:
        facts.remember_looks(seen)
    return {digest: looks[digest] for digest in wanted if digest in looks}


def _look_at_all(
    photos: list[tuple[bytes, Path]], threads: int
) -> Iterator[tuple[bytes, PhotoLook | None]]:
    with (
        ThreadPoolExecutor(threads, "reader") as readers,
        closing(bounded_map(readers, _look, photos, _AHEAD)) as results,
    ):
        for (digest, _), look in results:
            yield digest, look


def _look(photo: tuple[bytes, Path]) -> PhotoLook | None:
    digest, path = photo
    try:
        data = read_file(path)
        return look_at(data) if content_digest(data) == digest else None
    except (OSError, ImageError):
        return None
