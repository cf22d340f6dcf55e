"""One cache file, and one index of files, that grow to millions of rows: does a row get dearer?

Rows are written as `cache merge` and extraction do, a thousand a transaction. At each size it is
told what the last rows cost to write, and what opening, counting, looking up and checking cost: in
processor time, which other programs disturb least, but for what is said to be by the clock. A
straight line through the larger half of the sizes says what to expect of ten million.
"""

from __future__ import annotations

import os
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from benchmarks.synthetic import digest
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.cache.vector_rows import CacheDtype
from retrain_cli.cache.verification import verify_store
from retrain_cli.datasets.file_index import FileIndex, FileRecord

WIDTH = 1280
FORECAST = 10_000_000
_BATCH = 1000
_LOOKED_UP = 10_000
_IDENTITY = {"name": "synthetic"}


@dataclass(frozen=True)
class CacheSize:
    """A cache file of so many rows.

    Attributes:
        rows: how many.
        insert: microseconds a row, of those that came since the size before.
        insert_clock: the same by the clock.
        bytes: of the file, a row.
        open_ms: milliseconds to open it and tell count and width, where nothing of it is in memory,
            by the clock.
        find: microseconds to look up whether one of 10,000 random digests is there.
        read: microseconds to read one of 10,000 random vectors.
        read_cold: the same where nothing of the file is in memory, by the clock.
        scan: microseconds a row to read all vectors in the order of the file.
        megabytes: of memory, at the peak so far.
    """

    rows: int
    insert: float
    insert_clock: float
    bytes: float
    open_ms: float
    find: float
    read: float
    read_cold: float
    scan: float
    megabytes: float


@dataclass(frozen=True)
class IndexSize:
    """An index of so many files, a thousand a folder.

    Attributes:
        rows: how many.
        insert: microseconds a file, of those that came since the size before.
        bytes: of the file, a row.
        open_ms: milliseconds to open it and find its dataset, by the clock.
        read: microseconds a file to read what is known of random folders.
    """

    rows: int
    insert: float
    bytes: float
    open_ms: float
    read: float


@dataclass(frozen=True)
class Divided:
    """Rows in so many files.

    Attributes:
        files: how many.
        rows: in all of them together.
        insert: microseconds a row, of the last quarter of them, a thousand at a time.
        insert_clock: the same by the clock.
    """

    files: int
    rows: int
    insert: float
    insert_clock: float


@dataclass(frozen=True)
class Checking:
    """What a cache of so many rows takes to be checked.

    Attributes:
        rows: how many.
        file_seconds: for SQLite's own check of the file.
        row_seconds: for all rows.
        sweep_seconds: to look at all digests, as `cache gc` does.
        count_seconds: to count the rows instead of looking up how many there are.
    """

    rows: int
    file_seconds: float
    row_seconds: float
    sweep_seconds: float
    count_seconds: float


def measure_cache(path: Path, sizes: Sequence[int], dtype: CacheDtype) -> list[CacheSize]:
    """Let a new cache at `path` grow from size to size."""
    vectors = np.random.default_rng(0).random((_BATCH, WIDTH), np.float32)
    found: list[CacheSize] = []
    begin = 0
    for rows in sizes:
        with (
            BottleneckStore(path, _IDENTITY, dtype=dtype, width=WIDTH) as store,
            timed() as took,
            timed(time.perf_counter) as took_by_clock,
        ):
            for start in range(begin, rows, _BATCH):
                store.put([digest(row) for row in range(start, start + _BATCH)], vectors)
        each = [seconds() / (rows - begin) for seconds in (took, took_by_clock)]
        found.append(_look_at(path, rows, *each))
        begin = rows
    return found


def _look_at(path: Path, rows: int, insert: float, by_clock: float) -> CacheSize:
    wanted = [digest(row) for row in random.Random(rows).sample(range(rows), _LOOKED_UP)]
    forget_file(path)
    with timed(time.perf_counter) as opening, BottleneckStore(path) as store:
        assert (len(store), store.width) == (rows, WIDTH)
        opened = opening()
        with timed(time.perf_counter) as cold:
            store.read(wanted)
        with timed() as warm:
            store.read(wanted)
        with timed() as finding:
            assert len(store.present(wanted)) == _LOOKED_UP
        with timed() as scanning:
            assert sum(1 for _ in store.scan()) == rows
    return CacheSize(
        rows,
        1e6 * insert,
        1e6 * by_clock,
        path.stat().st_size / rows,
        1e3 * opened,
        1e6 * finding() / _LOOKED_UP,
        1e6 * warm() / _LOOKED_UP,
        1e6 * cold() / _LOOKED_UP,
        1e6 * scanning() / rows,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    )


def measure_checking(path: Path) -> Checking:
    """Check the cache that `measure_cache` left."""
    with BottleneckStore(path) as store:
        with timed() as whole:
            verify_store(store)
        with timed() as of_file:
            store.file_faults()
        with timed() as sweeping:
            last = b""
            while digests := store.digests_after(last, 5_000):
                last = digests[-1]
        with timed() as counting:
            rows = sum(1 for _ in store.digests())
        return Checking(rows, of_file(), whole() - of_file(), sweeping(), counting())


def measure_index(path: Path, sizes: Sequence[int]) -> list[IndexSize]:
    """Let a new index of files at `path` grow from size to size."""
    found: list[IndexSize] = []
    begin = 0
    for rows in sizes:
        with FileIndex(path) as index, timed() as took:
            dataset = index.dataset_id(Path("/photos"))
            for start in range(begin, rows, _BATCH):
                index.remember(dataset, _records(start))
        insert = took() / (rows - begin)
        with timed(time.perf_counter) as opening, FileIndex(path) as index:
            dataset = index.dataset_id(Path("/photos"))
            opened = opening()
            folders = random.Random(rows).choices(range(0, rows, _BATCH), k=20)
            with timed() as reading:
                known = sum(len(index.folder(dataset, _folder(start))) for start in folders)
        size = path.stat().st_size / rows
        read = 1e6 * reading() / known
        found.append(IndexSize(rows, 1e6 * insert, size, 1e3 * opened, read))
        begin = rows
    return found


def measure_divided(folder: Path, rows: int, dtype: CacheDtype) -> list[Divided]:
    """The same rows in one file, and in sixteen by the first four bits of their digests."""
    vectors = np.random.default_rng(0).random((_BATCH, WIDTH), np.float32)
    found: list[Divided] = []
    for files in (1, 16):
        with ExitStack() as stack:
            stores = [
                stack.enter_context(
                    BottleneckStore(
                        folder / f"{number}-of-{files}.sqlite", _IDENTITY, dtype=dtype, width=WIDTH
                    )
                )
                for number in range(files)
            ]
            for start in range(0, rows, _BATCH):
                if start == rows - rows // 4:
                    took = stack.enter_context(timed())
                    by_clock = stack.enter_context(timed(time.perf_counter))
                digests = [digest(row) for row in range(start, start + _BATCH)]
                places = np.array([one[0] * files // 256 for one in digests])
                for place, store in enumerate(stores):
                    chosen = np.flatnonzero(places == place)
                    store.put([digests[row] for row in chosen], vectors[chosen])
            each = (1e6 * seconds() / (rows // 4) for seconds in (took, by_clock))
            found.append(Divided(files, rows, *each))
    return found


def _folder(start: int) -> str:
    return f"class_{start // _BATCH:06}"


def _records(start: int) -> Iterator[tuple[str, str, FileRecord]]:
    for row in range(start, start + _BATCH):
        record = FileRecord(40_000 + row, 10**18 + row, digest(row), None, 10**18 + row, row)
        yield _folder(start), f"{row:09}.jpg", record


@contextmanager
def timed(clock: Callable[[], float] = time.process_time) -> Iterator[Callable[[], float]]:
    """Seconds since the block began, or that it took once it has ended."""
    started = clock()
    ended: list[float] = []
    yield lambda: (ended[0] if ended else clock()) - started
    ended.append(clock())


def forget_file(path: Path) -> None:
    """Let the operating system forget what it holds of a file, where it can be told to."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def forecast(sizes: Sequence[CacheSize] | Sequence[IndexSize]) -> dict[str, float]:
    """Each figure at ten million rows, by a straight line through the larger half of the sizes."""
    sizes = sizes[min(len(sizes) // 2, len(sizes) - 2) :]
    rows = [one.rows for one in sizes]
    names = [one.name for one in fields(sizes[0]) if one.name != "rows"]
    lines = {name: np.polyfit(rows, [getattr(one, name) for one in sizes], 1) for name in names}
    return {name: float(np.polyval(line, FORECAST)) for name, line in lines.items()}


def measure(
    sizes: Sequence[int], dtype: CacheDtype, folder: Path | None = None
) -> tuple[list[CacheSize], Checking, list[IndexSize], list[Divided]]:
    """All of it, in a folder below `folder` that is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        cache, index = Path(place, "cache.sqlite"), Path(place, "index.sqlite")
        return (
            measure_cache(cache, sizes, dtype),
            measure_checking(cache),
            measure_index(index, sizes),
            measure_divided(Path(place), sizes[len(sizes) // 2], dtype),
        )
