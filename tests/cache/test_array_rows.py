"""Arrays of any shape and several views come back as they were put, and damage is found."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from retrain_cli.backbones.digests import identity_fingerprint
from retrain_cli.cache.array_batch import LARGEST_ARRAY, ArrayBatch, joined
from retrain_cli.cache.array_rows import ARRAYS_VERSION, ArrayRows
from retrain_cli.cache.salvage import salvage
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.cache.verification import verify_store
from retrain_cli.database import SCHEMA_VERSION
from retrain_cli.errors import CacheError
from retrain_cli.images.examine import content_digest

IDENTITY = {"name": "fake"}
DIGESTS = [content_digest(bytes([number])) for number in range(40)]
COLUMNS = ("digest", "view", "dtype", "shape", "scales", "data", "checksum")


def finite(width: Literal[16, 32, 64]) -> Any:
    return st.floats(width=width, allow_nan=False, allow_infinity=False)


SHAPES = array_shapes(min_dims=2, max_dims=5, max_side=4)
FLOAT32 = SHAPES.flatmap(lambda shape: arrays(np.float32, shape, elements=finite(32)))
FLOAT16 = SHAPES.flatmap(lambda shape: arrays(np.float16, shape, elements=finite(16)))
BATCHES = st.one_of(
    FLOAT32.map(ArrayBatch),
    FLOAT16.map(ArrayBatch),
    st.builds(
        lambda values, per_channel: ArrayBatch.quantised(values, per_channel=per_channel),
        FLOAT32,
        st.booleans(),
    ),
)


def activations(count: int, shape: tuple[int, ...] = (7, 7, 32)) -> np.ndarray[Any, Any]:
    return np.random.default_rng(count).normal(size=(count, *shape)).astype(np.float16)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / f"fake-{identity_fingerprint(IDENTITY)}.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[BottleneckStore]:
    """Ten photos: a vector each, and three views of 7 x 7 x 32 float16."""
    with BottleneckStore(path, IDENTITY) as store:
        store.put(DIGESTS[:10], np.ones((10, 8), np.float32))
        keys = [(digest, view) for digest in DIGESTS[:10] for view in range(3)]
        store.arrays.put(keys, ArrayBatch(activations(30)))
        yield store


def assert_same(one: ArrayBatch, other: ArrayBatch) -> None:
    assert one.data.dtype == other.data.dtype
    np.testing.assert_array_equal(one.data, other.data)
    assert (one.scales is None) == (other.scales is None)
    if one.scales is not None and other.scales is not None:
        np.testing.assert_array_equal(one.scales, other.scales)


@given(BATCHES, st.data())
def test_any_array_comes_back(
    tmp_path_factory: pytest.TempPathFactory, batch: ArrayBatch, data: st.DataObject
) -> None:
    keys = data.draw(
        st.lists(
            st.tuples(st.sampled_from(DIGESTS), st.integers(0, 2**31 - 1)),
            min_size=len(batch),
            max_size=len(batch),
            unique=True,
        )
    )
    order = data.draw(st.lists(st.integers(0, len(batch) - 1), min_size=1, max_size=9))
    file = tmp_path_factory.mktemp("store") / "cache.sqlite"
    with BottleneckStore(file, IDENTITY) as store:
        store.arrays.put(keys, batch)
    with BottleneckStore(file, read_only=True) as store:
        assert len(store.arrays) == len(keys)
        assert not verify_store(store).damaged
        assert set(store.arrays.all_keys()) == store.arrays.present(keys) == set(keys)
        wanted = ArrayBatch(
            batch.data[order], None if batch.scales is None else batch.scales[order]
        )
        assert_same(store.arrays.read([keys[place] for place in order]), wanted)


@given(st.one_of(FLOAT32, FLOAT16), st.booleans())
def test_eight_bits_are_within_half_a_step(values: np.ndarray[Any, Any], per_channel: bool) -> None:
    batch = ArrayBatch.quantised(values, per_channel=per_channel)
    assert batch.scales is not None
    step = batch.scales[:, 0].astype(np.float64).reshape(len(values), *(1,) * (values.ndim - 2), -1)
    error = np.abs(batch.values().astype(np.float64) - values.astype(np.float64))
    rounding = np.abs(values).astype(np.float64) * 2.0**-23 + 2.0**-149  # of the result
    assert (error <= step / 2 + rounding).all()


def test_a_scale_a_channel_keeps_a_quiet_channel_beside_a_loud_one() -> None:
    values = np.random.default_rng(0).normal(size=(2, 7, 7, 320)).astype(np.float32)
    values[..., 0] *= 1000
    quiet = np.abs(ArrayBatch.quantised(values).values() - values)[..., 1:].max()
    loud = np.abs(ArrayBatch.quantised(values, per_channel=False).values() - values)[..., 1:].max()
    assert quiet < 0.02
    assert loud > 1


def test_views_of_one_photo_stand_under_its_digest(store: BottleneckStore) -> None:
    assert store.arrays.views(DIGESTS[3]) == [0, 1, 2]
    assert store.arrays.views(DIGESTS[30]) == []
    read = store.arrays.read([(DIGESTS[3], 2), (DIGESTS[3], 0)])
    np.testing.assert_array_equal(read.data, activations(30)[[11, 9]])
    np.testing.assert_array_equal(store.read(DIGESTS[:2]), np.ones((2, 8)))


def test_what_is_there_stays(store: BottleneckStore) -> None:
    store.arrays.put([(DIGESTS[0], 0)], ArrayBatch(np.zeros((1, 4), np.float32)))
    assert len(store.arrays) == 30
    np.testing.assert_array_equal(store.arrays.read([(DIGESTS[0], 0)]).data, activations(30)[:1])


def test_more_keys_than_one_statement_holds(store: BottleneckStore) -> None:
    keys = [(DIGESTS[20], view) for view in range(1300)]
    values = np.arange(1300, dtype=np.float32)[:, None]
    store.arrays.put(keys, ArrayBatch(values))
    assert store.arrays.present(keys) == set(keys)
    np.testing.assert_array_equal(store.arrays.read(keys[::-1]).data, values[::-1])
    assert store.remove([], keys) == 1300
    assert len(store.arrays) == 30


@pytest.mark.parametrize("call", ["read", "present", "remove", "views"])
def test_lookups_go_by_the_index(store: BottleneckStore, call: str) -> None:
    statements: list[str] = []
    with closing(sqlite3.connect(store.path)) as connection:
        connection.set_trace_callback(statements.append)
        rows = ArrayRows(connection, threading.Lock(), store.path)
        keys = [(DIGESTS[1], 1), (DIGESTS[2], 0)]
        getattr(rows, call)(*([DIGESTS[1]] if call == "views" else [keys]))
        (sql,) = [text for text in statements if "arrays ON" in text or "FROM arrays W" in text]
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
    assert any("INDEX sqlite_autoindex_arrays_1 (digest=?" in step for step in plan)
    assert "SCAN arrays" not in plan


def test_a_file_is_of_the_newer_format_only_when_it_holds_arrays(path: Path) -> None:
    def version() -> int:
        with closing(sqlite3.connect(path)) as connection:
            return int(connection.execute("PRAGMA user_version").fetchone()[0])

    with BottleneckStore(path, IDENTITY) as store:
        store.put(DIGESTS[:1], np.ones((1, 8), np.float32))
        assert not list(store.arrays.all_keys())
        assert not list(store.arrays.scan())
        assert store.arrays.present([(DIGESTS[0], 0)]) == set()
        assert (len(store.arrays), store.remove([], [(DIGESTS[0], 0)])) == (0, 0)
        assert version() == SCHEMA_VERSION == 1
        store.arrays.put([(DIGESTS[0], 0)], ArrayBatch(np.ones((1, 8), np.float16)))
    assert version() == ARRAYS_VERSION > SCHEMA_VERSION


def test_another_process_makes_the_table(store: BottleneckStore, tmp_path: Path) -> None:
    with (
        BottleneckStore(tmp_path / "cache.sqlite", IDENTITY) as one,
        BottleneckStore(tmp_path / "cache.sqlite") as other,
    ):
        assert len(other.arrays) == 0
        one.arrays.put([(DIGESTS[0], 1)], ArrayBatch(np.ones((1, 8), np.float16)))
        assert len(other.arrays) == 1
        other.arrays.put([(DIGESTS[0], 2)], ArrayBatch(np.ones((1, 8), np.float16)))
        assert one.arrays.views(DIGESTS[0]) == [1, 2]


@pytest.mark.parametrize("column", COLUMNS)
def test_damage_anywhere_in_a_row_is_found_and_removed(store: BottleneckStore, column: str) -> None:
    connection = sqlite3.connect(store.path)
    changed = {
        "digest": DIGESTS[39],
        "view": 77,
        "dtype": "float32",
        "shape": "7x224",
        "scales": b"\0" * 8,
        "data": activations(30)[5].tobytes()[::-1],
        "checksum": 1,
    }[column]
    connection.execute(f"UPDATE arrays SET {column} = ? WHERE rowid = 5", (changed,))
    connection.commit()
    connection.close()
    (damage,) = verify_store(store).damaged
    assert damage.view is not None
    key = (bytes.fromhex(damage.digest), damage.view)
    with pytest.raises(CacheError, match="damaged row"):
        store.arrays.read([key])
    assert store.remove([], [key]) == 1
    assert not verify_store(store).damaged
    assert len(store.arrays) == 29


@pytest.mark.parametrize(
    ("batch", "reason"),
    [
        (lambda: ArrayBatch(np.ones((2, 3), np.float64)), "float64"),
        (lambda: ArrayBatch(np.ones(2, np.float32)), "not 0 of float32"),
        (lambda: ArrayBatch(np.ones((2, 1, 1, 1, 1, 1), np.float32)), "not 5 of float32"),
        (lambda: ArrayBatch(np.ones((2, 0), np.float32)), "has 0"),
        (lambda: ArrayBatch(np.broadcast_to(np.uint8(0), (1, LARGEST_ARRAY + 1))), "later layer"),
        (lambda: ArrayBatch(np.full((2, 3), np.inf, np.float16)), "finite"),
        (lambda: ArrayBatch(np.ones((2, 3), np.uint8)), "uint8 without"),
        (lambda: ArrayBatch(np.ones((2, 3), np.float16), np.ones((2, 2, 3), "f4")), "with them"),
        (lambda: ArrayBatch(np.ones((2, 3), np.uint8), np.ones((2, 2, 2), "f4")), "the scales"),
        (lambda: ArrayBatch(np.ones((2, 3), np.uint8), np.full((2, 2, 3), np.nan, "f4")), "finite"),
        (lambda: ArrayBatch.quantised(np.full((2, 3), np.nan, np.float32)), "finite"),
    ],
)
def test_what_cannot_be_kept(batch: Any, reason: str) -> None:
    with pytest.raises(CacheError, match=reason):
        batch()


def test_what_cannot_be_put_or_read(store: BottleneckStore) -> None:
    one = ArrayBatch(np.ones((1, 8), np.float32))
    for view in (-1, 2**31):
        with pytest.raises(CacheError, match="a view is a number"):
            store.arrays.put([(DIGESTS[0], view)], one)
    with pytest.raises(ValueError, match="2 keys of 1"):
        store.arrays.put([(DIGESTS[0], 8), (DIGESTS[0], 9)], one)
    with pytest.raises(CacheError, match=r"1 array\(s\) of 2"):
        store.arrays.read([(DIGESTS[0], 0), (DIGESTS[0], 9)])
    store.arrays.put([(DIGESTS[0], 9)], one)
    with pytest.raises(CacheError, match="float16 7x7x32, float32 8"):
        store.arrays.read([(DIGESTS[0], 0), (DIGESTS[0], 9)])
    with pytest.raises(CacheError, match="none at all"):
        store.arrays.read([])
    with pytest.raises(CacheError, match="none at all"):
        joined([])


@pytest.mark.parametrize("page", range(1, 16, 2))
def test_sound_arrays_are_saved_from_a_damaged_file(
    store: BottleneckStore, path: Path, page: int
) -> None:
    store.close()
    with path.open("r+b") as file:
        file.seek(page * 4096)
        file.write(b"\xff" * 4096)
    salvaged = salvage(path, IDENTITY)
    assert salvaged.saved + salvaged.lost == 40
    assert salvaged.saved >= 30  # a page of vectors takes all ten of them
    with BottleneckStore(path, IDENTITY) as saved:
        assert not verify_store(saved).damaged
        assert len(saved) + len(saved.arrays) == salvaged.saved
        for digest, view in list(saved.arrays.all_keys()):
            np.testing.assert_array_equal(
                saved.arrays.read([(digest, view)]).data,
                activations(30)[[3 * DIGESTS.index(digest) + view]],
            )
