"""Reading and decoding alone, as extraction does it: what its readers can deliver."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.photos import gather_photos
from benchmarks.timing import Comparison, Contestant, compare_rates
from retrain_cli.extraction.process_readers import ProcessReaders
from retrain_cli.extraction.readers import Readers, ThreadReaders
from retrain_cli.extraction.reading import read_ready
from retrain_cli.images.decode import decode_image
from retrain_cli.parallel import usable_processors

KINDS = ("processes", "threads")


def measure(
    source: Path | None, images: int, sides: Sequence[int], repeats: int
) -> list[Comparison]:
    """Compare processes with threads, as many of each as there are processors."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        count = gather_photos(source, photos, images)
        for side in sides:
            ours, reference = (contestant(kind, photos, (side, side), count) for kind in KINDS)
            lines += compare_rates(ours, [reference], "images", repeats)
    return lines


def contestant(kind: str, photos: Path, size: tuple[int, int], count: int) -> Contestant:
    """All photos of a folder through the readers of one kind; their start is part of it."""
    name = f"decoding to {size[0]} px by {usable_processors()} {kind}"
    return Contestant(name, lambda: _read(kind, photos, size), count)


def _read(kind: str, photos: Path, size: tuple[int, int]) -> None:
    decode, count = partial(decode_image, size=size), usable_processors()
    readers: Readers = (
        ProcessReaders(decode, None, 3 * size[0] * size[1], count)
        if kind == "processes"
        else ThreadReaders(decode, None, count)
    )
    with readers:
        for _, seen in read_ready(readers, sorted(photos.rglob("*.*")), str, ahead=64):
            assert seen.pixels is not None, seen.problem
