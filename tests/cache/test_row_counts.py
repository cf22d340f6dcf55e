"""The count that is kept of rows is the count of rows, whoever wrote them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_vectors import IDENTITY, digests, vectors

from retrain_cli.cache.array_batch import ArrayBatch
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.cache.verification import verify_store

SOME = st.lists(st.integers(0, 30), max_size=12)
CHANGES = st.lists(st.tuples(st.sampled_from(["put", "put arrays", "remove"]), SOME), max_size=12)


def change(store: BottleneckStore, what: str, some: list[int]) -> None:
    chosen = [digests(31)[number] for number in some]
    if what == "put":
        store.put(chosen, np.ones((len(some), 8), np.float32))
    elif what == "put arrays":
        batch = ArrayBatch(np.ones((len(some), 2), np.float32))
        store.arrays.put([(digest, 0) for digest in chosen], batch)
    else:
        store.remove(chosen, [(digest, 0) for digest in chosen[::2]])


@given(CHANGES)
def test_after_any_changes(tmp_path_factory: pytest.TempPathFactory, changes: Any) -> None:
    path = tmp_path_factory.mktemp("counts") / "cache.sqlite"
    with BottleneckStore(path, IDENTITY) as store:
        for what, some in changes:
            change(store, what, some)
            assert len(store) == len(list(store.digests()))
            assert len(store.arrays) == len(list(store.arrays.all_keys()))


def test_a_check_corrects_what_a_version_before_has_removed(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    with BottleneckStore(path, IDENTITY) as store:
        store.put(digests(20), vectors(20))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM bottlenecks WHERE rowid = 3")
    with BottleneckStore(path) as store:
        assert len(store) == 20
        verify_store(store)
        assert len(store) == 19


def test_rows_are_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    with BottleneckStore(path, IDENTITY) as store:
        store.put(digests(20), vectors(20))
        statements: list[str] = []
        store._connection.set_trace_callback(statements.append)
        assert len(store) == 20
        assert not [sql for sql in statements if "count(" in sql]


def test_rows_that_a_version_before_wrote_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    with BottleneckStore(path, IDENTITY) as store:
        store.put(digests(20), vectors(20))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO bottlenecks SELECT zeroblob(16), vector, checksum FROM "
                           "bottlenecks WHERE rowid = 3")  # fmt: skip
    with BottleneckStore(path) as store:
        assert len(store) == 21
        store.put(digests(22)[20:], vectors(2))
        assert len(store) == 23
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM meta WHERE key LIKE 'rows of %'")
    with BottleneckStore(path) as store:
        assert len(store) == 23
