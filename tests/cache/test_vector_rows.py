"""A cache of float16: half the size, what NumPy rounds to, and never taken for float32."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from helpers import SMALL_SPEC
from made_vectors import IDENTITY, digests, vectors

from retrain_cli.cache.array_batch import ArrayBatch
from retrain_cli.cache.salvage import salvage
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.cache.taking_over import cast_cache
from retrain_cli.cache.vector_rows import CACHE_DTYPES, checksum_of, dtype_of, encoded, page_size
from retrain_cli.cache.verification import verify_store
from retrain_cli.errors import CacheError

BACKBONE = SMALL_SPEC.settled_on_own().identity()
WIDTHS = (320, 512, 1024, 1280, 1536, 1792, 2048, 4096)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A cache of float16 with 20 vectors."""
    path = tmp_path / "cache.sqlite"
    with BottleneckStore(path, IDENTITY, dtype="float16") as store:
        store.put(digests(20), vectors(20))
    return path


def rounded(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16).astype(np.float32)


def test_rows_are_read_as_float32_and_the_file_remembers_its_dtype(path: Path) -> None:
    with BottleneckStore(path, IDENTITY) as store:
        assert store.dtype == "float16"
        found = store.read(digests(20))
        assert not verify_store(store).damaged
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, rounded(vectors(20)))


def test_a_program_that_knows_no_float16_refuses_the_file(path: Path) -> None:
    with BottleneckStore(path) as store:
        store.arrays.put([(digests(1)[0], 0)], ArrayBatch(np.ones((1, 4), np.float32)))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)


@pytest.mark.parametrize("dtype", CACHE_DTYPES)
def test_a_row_tells_its_dtype(dtype: str) -> None:
    (row,) = encoded(digests(1), vectors(1), dtype)  # type: ignore[arg-type]
    assert dtype_of(row) == dtype
    assert dtype_of((row[0], row[1], row[2] ^ 1)) is None
    assert len({checksum_of(b"d", b"v" * 8, one) for one in CACHE_DTYPES}) == 2


def test_what_float16_cannot_hold_is_refused_and_nothing_is_written(path: Path) -> None:
    large = vectors(3)
    large[1, 2] = 70_000
    with BottleneckStore(path) as store:
        with pytest.raises(CacheError, match=r"65,504, and these bottlenecks go up to 70,000"):
            store.put(digests(23)[20:], large)
        assert len(store) == 20


@pytest.mark.parametrize("width", WIDTHS)
def test_a_row_of_float16_takes_half_the_disk(tmp_path: Path, width: int) -> None:
    sizes = {}
    for dtype in CACHE_DTYPES:
        file = tmp_path / f"{dtype}.sqlite"
        with BottleneckStore(file, IDENTITY, dtype=dtype, width=width) as store:
            store.put(digests(1000), np.ones((1000, width), np.float32))
        sizes[dtype] = file.stat().st_size
    assert sizes["float16"] < 0.58 * sizes["float32"]
    assert page_size(width, "float32") is None


def test_float16_is_not_taken_for_float32_by_a_cache_of_it(path: Path, tmp_path: Path) -> None:
    with (
        BottleneckStore(path) as half,
        BottleneckStore(tmp_path / "full.sqlite", IDENTITY) as full,
    ):
        with pytest.raises(CacheError, match="rows of float16 are rounded ones"):
            full.put_rows(half.scan(), 8, half.dtype)
        full.put(digests(25), vectors(25))
        half.put_rows(full.scan(), 8, full.dtype)
        assert len(half) == 25
        np.testing.assert_array_equal(half.read(digests(25))[20:], rounded(vectors(25))[20:])
    with pytest.raises(CacheError, match="keeps float16, not float32"):
        BottleneckStore(path, dtype="float32")


def test_a_damaged_file_of_float16_is_saved_as_one(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("UPDATE meta SET value = 'float32' WHERE key = 'dtype'")
    renamed = path.rename(path.with_name("cache.damaged.sqlite"))
    assert salvage(renamed, IDENTITY).saved == 20
    with BottleneckStore(renamed) as store:
        assert store.dtype == "float16"
        np.testing.assert_array_equal(store.read(digests(20)), rounded(vectors(20)))


def test_a_cache_is_rounded_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    with BottleneckStore(path, BACKBONE) as store:
        store.put(digests(1200), vectors(1200))
        store.arrays.put([(digests(1)[0], 1)], ArrayBatch(np.ones((1, 4), np.float32)))
        store.set_meta("layer_widths", "3,5")
        store.set_meta("images_per_second", "12.5")
    assert [cast_cache(path, BACKBONE, "float16") for _ in range(2)] == [1200, 0]
    with BottleneckStore(path, BACKBONE) as store:
        assert (store.dtype, len(store), len(store.arrays)) == ("float16", 1200, 1)
        assert (store.layer_widths, store.images_per_second) == ((3, 5), 12.5)
        np.testing.assert_array_equal(store.read(digests(1200)), rounded(vectors(1200)))
    with pytest.raises(CacheError, match="what rounding took is gone"):
        cast_cache(path, BACKBONE, "float32")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_cache_that_cannot_be_rounded_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    large = vectors(20)
    large[7, 1] = -1e6
    with BottleneckStore(path, BACKBONE) as store:
        store.put(digests(20), large)
    with pytest.raises(CacheError, match="go up to 1,000,000"):
        cast_cache(path, BACKBONE, "float16")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE bottlenecks SET vector = zeroblob(32) WHERE rowid = 8")
    with pytest.raises(CacheError, match=r"1 in .* are not: `retrain cache verify --repair`"):
        cast_cache(path, BACKBONE, "float16")
    with BottleneckStore(path) as store:
        assert (store.dtype, len(store)) == ("float32", 20)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_an_empty_cache_may_become_either(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    BottleneckStore(path, BACKBONE, dtype="float16").close()
    cast_cache(path, BACKBONE, "float32")
    with BottleneckStore(path) as store:
        assert store.dtype == "float32"
