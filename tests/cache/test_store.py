"""The cache keeps what it is given, tells what is damaged, and refuses what is not its own."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from made_vectors import IDENTITY, digests, vectors

from retrain_cli.cache import store as store_module
from retrain_cli.cache.store import BottleneckStore, open_to_read
from retrain_cli.cache.verification import verify_store
from retrain_cli.errors import CacheError
from retrain_cli.images.examine import content_digest


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BottleneckStore]:
    with BottleneckStore(tmp_path / "cache.sqlite", IDENTITY) as store:
        store.put(digests(20), vectors(20))
        yield store


def test_vectors_come_back_in_the_order_asked_for(store: BottleneckStore) -> None:
    wanted = [digests(20)[number] for number in (7, 0, 19, 7)]
    np.testing.assert_array_equal(store.read(wanted), vectors(20)[[7, 0, 19, 7]])


def test_more_vectors_than_one_statement_holds(store: BottleneckStore) -> None:
    many = digests(1700)
    store.put(many[20:], vectors(1680))
    assert store.present(many) == set(many)
    np.testing.assert_array_equal(store.read(many[20:]), vectors(1680))


@given(
    arrays(np.float32, (3, 8), elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
)
def test_every_finite_number_survives(
    tmp_path_factory: pytest.TempPathFactory, values: Any
) -> None:
    path = tmp_path_factory.mktemp("store") / "cache.sqlite"
    with BottleneckStore(path, IDENTITY) as store:
        store.put(digests(3), values)
    with BottleneckStore(path) as store:
        np.testing.assert_array_equal(store.read(digests(3)), values)


def test_a_missing_vector_is_an_error_that_says_what_to_do(store: BottleneckStore) -> None:
    with pytest.raises(CacheError, match="run `retrain bottlenecks` again"):
        store.read([content_digest(b"never seen")])


def test_numbers_that_are_not_finite_are_refused_and_nothing_is_written(
    store: BottleneckStore,
) -> None:
    bad = vectors(2)
    bad[1, 3] = np.nan
    with pytest.raises(CacheError, match="finite"):
        store.put([content_digest(b"x"), content_digest(b"y")], bad)
    assert len(store) == 20


def test_another_width_is_refused(store: BottleneckStore) -> None:
    with pytest.raises(CacheError, match="width 8, not 4"):
        store.put([content_digest(b"x")], vectors(1, width=4))


def test_another_backbone_is_refused(store: BottleneckStore) -> None:
    with pytest.raises(CacheError, match="another backbone"):
        BottleneckStore(store.path, {"name": "other"})


def test_every_flipped_bit_of_a_row_is_found_and_removed(store: BottleneckStore) -> None:
    assert not verify_store(store).damaged
    victim = digests(20)[3]
    connection = sqlite3.connect(store.path)
    blob = connection.execute(
        "SELECT vector FROM bottlenecks WHERE digest = ?", (victim,)
    ).fetchone()[0]
    flipped = bytes([blob[0] ^ 1]) + blob[1:]
    connection.execute("UPDATE bottlenecks SET vector = ? WHERE digest = ?", (flipped, victim))
    connection.commit()
    connection.close()
    assert [damage.digest for damage in verify_store(store).damaged] == [victim.hex()]
    with pytest.raises(CacheError, match="damaged row"):
        store.read([victim])
    assert store.remove([victim]) == 1
    assert not verify_store(store).damaged


def test_a_newer_format_is_refused(store: BottleneckStore) -> None:
    store.close()
    connection = sqlite3.connect(store.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(CacheError, match="newer version"):
        BottleneckStore(store.path)


def test_a_file_that_is_no_database_is_an_error_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    path.write_bytes(b"hello" * 1000)
    with pytest.raises(CacheError, match="damaged or no file"):
        BottleneckStore(path)


def test_a_damaged_page_is_reported_by_verify(store: BottleneckStore) -> None:
    store.put(digests(500)[20:], vectors(480))
    store.close()
    with store.path.open("r+b") as file:
        file.seek(4096 * 6)
        file.write(b"\xff" * 4096)
    with BottleneckStore(store.path) as damaged:
        assert verify_store(damaged).damaged


@given(st.lists(st.integers(0, 39), max_size=60), st.floats(0, 1))
def test_lookups_and_scans_read_the_same(
    tmp_path_factory: pytest.TempPathFactory, wanted: list[int], share: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_module, "_SCAN_SHARE", share)
        path = tmp_path_factory.mktemp("store") / "cache.sqlite"
        with BottleneckStore(path, IDENTITY) as store:
            store.put(digests(40), vectors(40))
            out = np.full((len(wanted), 8), -1, np.float32)
            found = store.read([digests(40)[number] for number in wanted], out)
    assert found is out
    np.testing.assert_array_equal(found, vectors(40)[wanted])


def test_what_a_killed_command_left_in_its_log_is_read_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cache.sqlite"
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from retrain_cli.cache.store import BottleneckStore\n"
        "store = BottleneckStore(Path(sys.argv[1]), {'name': 'x'})\n"
        "store.put([bytes([number]) * 16 for number in range(150)], np.ones((150, 8), 'f4'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    monkeypatch.setattr("os.access", lambda *_: False)
    with open_to_read(path) as store:
        assert len(store) == 150
