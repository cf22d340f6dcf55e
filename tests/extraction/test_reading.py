"""Photos go through any readers in order: those that are there, and those that come slowly."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrain_cli.extraction import reading
from retrain_cli.extraction.process_readers import ProcessReaders
from retrain_cli.extraction.readers import Readers, ThreadReaders
from retrain_cli.extraction.reading import MANY_PHOTOS, Ready, read_arriving, read_ready
from retrain_cli.images.decode import decode_image
from retrain_cli.images.examine import content_digest

DECODE = partial(decode_image, size=(32, 32))


def readers_of(kind: str) -> Readers:
    if kind == "threads":
        return ThreadReaders(DECODE, None, 2)
    return ProcessReaders(DECODE, None, 3 * 32 * 32, 2)


def photos_below(root: Path) -> list[Path]:
    return sorted(root.rglob("*.png"))


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_bytes_are_read_like_files(photos: Path, kind: str) -> None:
    paths = photos_below(photos)
    with readers_of(kind) as readers:
        of_files = list(read_ready(readers, paths, str, 8))
    with readers_of(kind) as readers:
        of_bytes = list(read_ready(readers, paths, Path.read_bytes, 8))
    assert [path for path, _ in of_files] == [path for path, _ in of_bytes] == paths
    for (path, one), (_, other) in zip(of_files, of_bytes, strict=True):
        assert one.digest == other.digest == content_digest(path.read_bytes())
        assert one.pixels is not None
        np.testing.assert_array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_what_comes_slowly_is_read_as_it_comes(photos: Path, kind: str) -> None:
    paths, pipe = photos_below(photos)[:4], queue.Queue[Path | None]()
    with readers_of(kind) as readers:
        results = read_arriving(readers, iter(pipe.get, None), str, 8)
        for path in paths:
            pipe.put(path)
            result = next(results)
            assert result is not None
            assert result[0] == path
            assert next(results) is None  # a pause, and no photo comes before the next is put
        pipe.put(None)
        assert list(results) == []


def test_an_error_of_the_source_comes_after_what_came_before_it(photos: Path) -> None:
    def broken() -> Iterator[Path]:
        yield from photos_below(photos)[:3]
        raise OSError("the pipe broke")

    got: list[Any] = []
    with readers_of("threads") as readers, pytest.raises(OSError, match="the pipe broke"):
        got.extend(read_arriving(readers, broken(), str, 8))
    with readers_of("threads") as readers:
        results = read_arriving(readers, broken(), str, 8)
        seen = [next(results) for _ in range(4)]
        assert [item and item[0] for item in seen] == [*photos_below(photos)[:3], None]
        results.close()


def test_a_source_that_hangs_holds_nobody_up(photos: Path) -> None:
    hang = threading.Event()

    def hanging() -> Iterator[Path]:
        yield photos_below(photos)[0]
        hang.wait()

    with readers_of("threads") as readers:
        results = read_arriving(readers, hanging(), str, 8)
        assert next(results) is not None
        results.close()
    hang.set()


def test_memory_is_bounded_by_the_look_ahead(photos: Path) -> None:
    path, taken = photos_below(photos)[0], 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield path

    for read, ahead in ((read_ready, 10), (read_arriving, 10)):
        taken = 0
        with readers_of("threads") as readers:
            results = read(readers, endless(), str, ahead)
            for number in range(1, 101):
                next(results)
                assert taken <= number + ahead + readers.count + 2
            results.close()


def test_ready_photos_are_counted_until_they_are_many() -> None:
    listed = 0

    def names() -> Iterator[int]:
        nonlocal listed
        for number in range(3 * MANY_PHOTOS):
            listed += 1
            yield number

    ready = Ready.of(names())
    assert (ready.at_least, listed) == (MANY_PHOTOS, MANY_PHOTOS)
    assert list(ready) == list(range(3 * MANY_PHOTOS))
    assert Ready.of([1, 2, 3]).at_least == Ready.of(iter([1, 2, 3])).at_least == 3
    assert Ready.of(ready) is ready
    assert reading.MANY_PHOTOS == 1000
