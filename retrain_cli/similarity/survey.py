"""Look at every photo of a dataset once; what was seen is remembered by content."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import PurePath

from retrain_cli.datasets.dataset import Dataset
from retrain_cli.datasets.sources.photo_source import source_of
from retrain_cli.errors import ImageError
from retrain_cli.images.examine import read_unchanged
from retrain_cli.images.limits.limited import PHOTO_TIMEOUT, Work, give_up
from retrain_cli.images.looks import PhotoLook, look_at
from retrain_cli.parallel import bounded_map
from retrain_cli.similarity.photo_facts import PhotoFacts

Told = Callable[[int, int], None]
"""Is told how many are done, of how many."""

_KEPT_AT_A_TIME = 500
_AHEAD = 256


def survey(
    dataset: Dataset,
    facts: PhotoFacts,
    threads: int,
    on_progress: Told = lambda done, total: None,
    photo_timeout: float = PHOTO_TIMEOUT,
    on_bad: Callable[[bytes, str], None] = lambda digest, reason: None,
) -> dict[bytes, PhotoLook]:
    """The looks of a dataset's photos, by digest; only those not known yet are opened.

    A file that is gone or has changed since the dataset was read has no look. An interruption
    keeps what was seen.

    Args:
        dataset: the photos.
        facts: where looks are remembered.
        threads: how many photos are looked at side by side.
        on_progress: is told of each photo that was opened.
        photo_timeout: as of `decode_image`.
        on_bad: is told the digest of a photo that cannot be decoded, or not in this time, and why.
    """
    looks = facts.looks()
    wanted = dict(zip(dataset.digests, dataset.paths, strict=True))
    source = source_of(dataset.root)
    new = [(digest, source.locate(path)) for digest, path in wanted.items() if digest not in looks]
    seen: dict[bytes, PhotoLook] = {}
    try:
        with closing(_look_at_all(new, threads, photo_timeout)) as results:
            for done, (digest, look) in enumerate(results, start=1):
                if isinstance(look, str):
                    on_bad(digest, look)
                elif look is not None:
                    looks[digest] = seen[digest] = look
                if len(seen) == _KEPT_AT_A_TIME:
                    facts.remember_looks(seen)
                    seen = {}
                on_progress(done, len(new))
    finally:
        facts.remember_looks(seen)
    return {digest: looks[digest] for digest in wanted if digest in looks}


def _look_at_all(
    photos: list[tuple[bytes, PurePath]], threads: int, photo_timeout: float
) -> Generator[tuple[bytes, PhotoLook | str | None], None, None]:
    work, look_at_one = Work(), partial(_look, photo_timeout)
    with (
        ThreadPoolExecutor(threads, "reader", work.join) as readers,
        closing(bounded_map(readers, look_at_one, photos, _AHEAD)) as results,
    ):
        try:
            for (digest, _), look in results:
                yield digest, look
        finally:
            give_up(work)  # else whoever is at a photo that takes long would be waited for


def _look(photo_timeout: float, photo: tuple[bytes, PurePath]) -> PhotoLook | str | None:
    """The look of a photo, or why it cannot be decoded; None where it is not what it was."""
    digest, path = photo
    data = read_unchanged(path, digest)
    if data is None:
        return None
    try:
        return look_at(data, photo_timeout)
    except ImageError as error:
        return str(error)
