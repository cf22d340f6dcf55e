"""Photos that somebody names one by one, or by the folder or URL that they are below."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path, PurePath

from retrain_cli.datasets.folders import images_below
from retrain_cli.datasets.sources.trees import ListedTree
from retrain_cli.images.formats import looks_like_image_name
from retrain_cli.storage.urls import UrlPath


def photos_at(place: PurePath, ignore: Collection[Path] = ()) -> Iterator[PurePath]:
    """A photo itself; of a folder, or of a URL that does not end like a photo, those below it.

    Args:
        place: as somebody names it.
        ignore: what of a folder is no photo, such as the workspace.

    Raises:
        StorageError: there is nothing below a URL, or no answer.
    """
    if isinstance(place, UrlPath):
        yield from [place] if looks_like_image_name(place.name) else _objects_below(place)
    elif os.path.isdir(place):  # noqa: PTH112 - Path.is_dir raises for names that cannot be
        yield from images_below(Path(place), ignore)
    else:
        yield place


def _objects_below(url: UrlPath) -> Iterator[UrlPath]:
    """Objects with the name of an image, in order."""
    from retrain_cli.storage.buckets import open_store

    found = open_store(url).list_below(url)
    tree = ListedTree.of(url, (one.path for one in found))
    for folder in tree.below(""):
        for name in tree.contents(folder).files:
            if looks_like_image_name(name):
                yield url / folder / name
