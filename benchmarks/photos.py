"""Photos to measure on: some of a folder, or made up, so that no data is needed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from retrain_cli.images.formats import looks_like_image_name
from retrain_cli.parallel import usable_processors

FOLDERS = 10
_MANY = 1000  # photos, from which on several processes make them up
_READABLE = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif"})  # by TensorFlow, too


def gather_photos(source: Path | None, target: Path, count: int, side: int = 400) -> int:
    """Put up to `count` photos into class folders below `target`.

    Args:
        source: any folder of photos, with sub-folders or without; None makes photos up.
        target: folder to make.
        count: photos at most.
        side: longer side of made-up photos, in pixels.

    Returns:
        How many there are.
    """
    for number in range(FOLDERS):
        (target / f"class_{number}").mkdir(parents=True)
    if source is None:
        _make_up(target, count, side)
        return count
    found = list(islice(_spread(source), count))
    for number, path in enumerate(found):
        shutil.copyfile(path, _place(target, number, path.suffix.lower()))
    return len(found)


def _place(target: Path, number: int, suffix: str) -> Path:
    return target / f"class_{number % FOLDERS}" / f"{number:06}{suffix}"


def _spread(source: Path) -> Iterator[Path]:
    """The photos of a folder, taken evenly over its sub-folders."""
    by_folder: dict[Path, list[Path]] = {}
    for path in sorted(source.rglob("*")):
        if looks_like_image_name(path.name) and path.suffix.lower() in _READABLE:
            by_folder.setdefault(path.parent, []).append(path)
    for rank in range(max(map(len, by_folder.values()), default=0)):
        yield from (paths[rank] for paths in by_folder.values() if rank < len(paths))


def _make_up(target: Path, count: int, side: int) -> None:
    write = partial(_write, target, side)
    if count < _MANY:
        list(map(write, range(count)))
        return
    with ProcessPoolExecutor(usable_processors(), get_context("spawn")) as processes:
        list(processes.map(write, range(count), chunksize=64))


def _write(target: Path, side: int, number: int) -> None:
    _synthesise(number, side).save(_place(target, number, ".jpg"), quality=90)


def _synthesise(number: int, side: int) -> Image.Image:
    """Smooth noise with some grain: about as many bytes a pixel as a photo has."""
    generator = np.random.default_rng(number)
    coarse = generator.integers(0, 256, (12, 16, 3), np.uint8)
    image = Image.fromarray(coarse).resize((side, side * 3 // 4), Image.Resampling.BICUBIC)
    grain = generator.normal(0, 6, (image.height, image.width, 1))
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))
