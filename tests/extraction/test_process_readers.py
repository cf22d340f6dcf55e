"""Reader processes find what threads find, survive their decoders, and leave nobody behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import odd_decoders
import pytest

from retrain_cli.cache.store import BottleneckStore
from retrain_cli.errors import CacheError, ConfigError
from retrain_cli.extraction import process_readers
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.extraction.process_readers import ProcessReaders, ReaderError, ReaderProcess
from retrain_cli.extraction.readers import Location, Readers, ThreadReaders
from retrain_cli.extraction.reading import read_ready
from retrain_cli.images.decode import decode_image
from retrain_cli.images.examine import Decoder, Examined, content_digest

SIZE = (32, 32)
DECODE: Decoder = partial(decode_image, size=SIZE)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BottleneckStore]:
    with BottleneckStore(tmp_path / "cache.sqlite", {"name": "test"}) as opened:
        yield opened


def files_below(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def crew(store: BottleneckStore | None, decode: Decoder = DECODE, count: int = 2) -> ProcessReaders:
    return ProcessReaders(decode, store, 3 * SIZE[0] * SIZE[1], count)


def read(readers: Readers, root: Path, ahead: int = 64) -> dict[str, Examined]:
    with readers:
        found = list(read_ready(readers, files_below(root), str, ahead))
    assert [path for path, _ in found] == files_below(root)
    return {str(path.relative_to(root)): seen for path, seen in found}


@pytest.mark.parametrize("count", [1, 3])
def test_they_find_what_threads_find(photos: Path, store: BottleneckStore, count: int) -> None:
    (photos / "ant" / "empty.jpg").touch()
    (photos / "ant" / "note.txt").write_text("not meant as a photo")
    (photos / "bee" / "a\nb \udcff'.png").write_bytes((photos / "bee" / "0000.png").read_bytes())
    (photos / "bee" / "cut.png").write_bytes((photos / "bee" / "0001.png").read_bytes()[:-99])
    found = read(crew(store, count=count), photos)
    expected = read(ThreadReaders(DECODE, store, 2), photos)
    assert found.keys() == expected.keys()
    assert len(found) == 40
    for path, seen in found.items():
        assert (seen.digest, seen.problem) == (expected[path].digest, expected[path].problem)
        np.testing.assert_array_equal(seen.pixels, expected[path].pixels)


def no_room(descriptor: int, start: int, size: int) -> None:
    raise OSError("no room")


@pytest.mark.parametrize("lacking", ["system", "posix_fallocate", "room"])
def test_without_shared_memory_pixels_come_through_a_pipe(
    photos: Path, store: BottleneckStore, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    ways: list[str] = []
    for way in ("_take_shared", "_take_piped"):
        monkeypatch.setattr(ReaderProcess, way, _told(way, ways, getattr(ReaderProcess, way)))
    shared = read(crew(store, count=1), photos)
    assert set(ways) == {"_take_shared"}
    ways.clear()
    if lacking == "system":
        monkeypatch.setattr(process_readers, "_CAN_SHARE", False)
    elif lacking == "posix_fallocate":
        monkeypatch.setattr(os, lacking, no_room)
    else:  # images are larger than was said
        monkeypatch.setattr(process_readers, "_MOST_PHOTOS", 1)
    piped = read(ProcessReaders(DECODE, store, 1, 1), photos)
    assert set(ways) == {"_take_piped"}
    assert piped.keys() == shared.keys()
    for path, seen in piped.items():
        assert seen.digest == shared[path].digest
        np.testing.assert_array_equal(seen.pixels, shared[path].pixels)


def _told(name: str, told: list[str], method: Callable[..., Any]) -> Callable[..., Any]:
    def tell(*arguments: Any) -> Any:
        told.append(name)
        return method(*arguments)

    return tell


def test_what_is_cached_is_not_decoded(photos: Path, store: BottleneckStore) -> None:
    known = content_digest((photos / "bee" / "0003.png").read_bytes())
    store.put([known], np.ones((1, 4), np.float32))
    found = read(crew(store), photos)
    assert [path for path, seen in found.items() if seen.pixels is None] == ["bee/0003.png"]
    assert found["bee/0003.png"].digest == known


@pytest.mark.parametrize(
    ("decode", "reason"),
    [
        (odd_decoders.crash_on_poison, "its decoder crashed (SIGSEGV)"),
        (odd_decoders.be_killed_on_poison, "its process was killed: too little memory?"),
    ],
)
def test_a_crash_costs_the_photo_alone(
    photos: Path, store: BottleneckStore, decode: Decoder, reason: str
) -> None:
    bad = {"ant/0005.png", "bee/0000.png", "bee/0001.png", "teapot/0011.png"}
    for path in bad:
        odd_decoders.poison(photos / path)
    found = read(crew(store, decode), photos)
    assert {path for path, seen in found.items() if seen.problem} == bad
    assert {seen.problem for seen in found.values()} == {None, reason}
    assert sum(seen.pixels is not None for seen in found.values()) == 36 - len(bad)


def test_a_fault_of_ours_is_told_as_one(photos: Path, store: BottleneckStore) -> None:
    with pytest.raises(RuntimeError, match="KeyError: 'no luck with"):
        read(crew(store, odd_decoders.have_a_fault), photos)


@pytest.mark.parametrize(
    ("decode", "told"),
    [
        (odd_decoders.run_out_of_memory, MemoryError),
        (odd_decoders.meet_a_bad_cache, CacheError),
    ],
)
def test_what_the_machine_refuses_a_process_is_told_as_that(
    photos: Path, decode: Decoder, told: type[Exception]
) -> None:
    with pytest.raises(told):
        read(crew(None, decode, count=1), photos)


def test_large_images_are_decoded_here(
    photos: Path, store: BottleneckStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    here: list[str] = []
    examine_here = ProcessReaders._examine_here

    def spy(self: ProcessReaders, location: Location) -> Examined:
        here.append(str(location))
        return examine_here(self, location)

    monkeypatch.setattr(ProcessReaders, "_examine_here", spy)
    monkeypatch.setattr(process_readers, "_LEAST_PIXELS", 0)
    monkeypatch.setattr(process_readers, "MAX_PIXELS", 2 * 40 * 30 - 1)
    found = read(crew(store), photos)
    assert all(seen.pixels is not None for seen in found.values())
    assert len(here) == 36


@pytest.mark.parametrize("program", ["/no/such/python", "false"])
def test_one_that_does_not_start(
    photos: Path, store: BottleneckStore, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    with pytest.raises(ReaderError, match="readers='threads' goes on without them"):
        read(crew(store), photos)


def test_one_that_ends_while_it_gets_ready(photos: Path, store: BottleneckStore) -> None:
    with pytest.raises(ReaderError, match="one does not start"):
        read(crew(store, odd_decoders.CannotBeLoaded()), photos)


def test_nobody_is_left_when_the_caller_has_had_enough(
    photos: Path, store: BottleneckStore
) -> None:
    readers = crew(store, count=3)
    with readers:
        results = read_ready(readers, files_below(photos), str, 4)
        next(results)
        results.close()
    for process in readers._processes:
        assert process._process is not None
        assert process._process.poll() is not None


def test_which_kind_reads() -> None:
    few, many = ExtractionSettings(workers=2), ExtractionSettings(workers=16)
    for auto in (few, many):
        assert auto.takes_processes(1000, 96)
        assert not auto.takes_processes(999, 96)
    assert many.takes_processes(1000, 299)
    assert not few.takes_processes(1000, 299)
    assert not ExtractionSettings(workers=1).takes_processes(10**6, 96)
    assert ExtractionSettings(workers=1, readers="processes").takes_processes(1, 299)
    assert not ExtractionSettings(readers="threads").takes_processes(10**6, 96)
    with pytest.raises(ConfigError, match="readers takes one of auto, threads, processes"):
        ExtractionSettings(readers="forks")  # type: ignore[arg-type]
