"""Images that are named on the command line or on standard input, or come through it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from retrain_cli.cli.path_lists import listed_paths
from retrain_cli.errors import DatasetError

if TYPE_CHECKING:
    from retrain_cli.images.streams.stream import Skipped
    from retrain_cli.workflows.shared.embedding import Source

_STANDARD_INPUT = "-"
_READ_BYTES = 1 << 16
_PARTS_TOLD = 5


def images_of_stdin() -> Iterator[Source]:
    """Standard input as an image, or several that follow each other.

    Raises:
        DatasetError: behind the last image, so that all are labelled first: some of it is no image
            and was not understood.
        ImageError: an image is too large.
    """
    from retrain_cli.images.streams.stream import split_images
    from retrain_cli.workflows.shared.embedding import Source

    skipped: list[Skipped] = []
    images = split_images(iter(lambda: os.read(0, _READ_BYTES), b""), skipped.append)
    for number, data in enumerate(images, start=1):
        yield Source(f"stdin:{number}", data)
    if skipped:
        raise DatasetError(_not_understood(skipped))


def _not_understood(skipped: list[Skipped]) -> str:
    places = ", ".join(f"{part.length:,} at byte {part.offset:,}" for part in skipped[:_PARTS_TOLD])
    more = f", and {len(skipped) - _PARTS_TOLD:,} more" if len(skipped) > _PARTS_TOLD else ""
    return (
        "standard input must be images that follow each other; some bytes of it are none that is "
        f"read, and were passed over: {places}{more}: look at them, or give the images as files"
    )


def named_sources(
    paths: list[str], separator: str, ignore: Collection[Path] = ()
) -> Iterable[Source]:
    """Files, the images of folders, and for `-` the names that standard input lists.

    Without `-` they are ready, and need not be waited for.

    Args:
        paths: as given on the command line.
        separator: of that list: a line feed or a NUL.
        ignore: what is no image of a folder, such as the workspace.
    """
    from retrain_cli.extraction.reading import Ready

    sources = _named(paths, separator, ignore)
    return sources if _STANDARD_INPUT in paths else Ready.of(sources)


def _named(paths: list[str], separator: str, ignore: Collection[Path]) -> Iterator[Source]:
    from retrain_cli.datasets.sources.named_photos import photos_at
    from retrain_cli.storage.urls import as_place, is_url
    from retrain_cli.workflows.shared.embedding import Source

    for path in paths:
        names = _listed_on_stdin(separator) if path == _STANDARD_INPUT else iter([path])
        for name in names:
            if is_url(name) or os.path.isdir(name):  # noqa: PTH112 - as in `photos_at`
                yield from (Source(str(photo)) for photo in photos_at(as_place(name), ignore))
            else:
                yield Source(name)


def _listed_on_stdin(separator: str) -> Iterator[str]:
    """Paths as they arrive; read without a buffer of Python's, which would hold them back."""
    return listed_paths(iter(lambda: os.read(0, _READ_BYTES), b""), separator)
