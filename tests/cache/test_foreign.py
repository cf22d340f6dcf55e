"""Cache files that somebody else made: taken as far as they are what they say."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SMALL_SPEC

from retrain_cli.backbones.runtimes.kept_models import keep_model
from retrain_cli.cache import foreign_file
from retrain_cli.cache.array_batch import ArrayBatch
from retrain_cli.cache.array_rows import ARRAY_COLUMNS, ArrayRow
from retrain_cli.cache.foreign import open_foreign
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.errors import CacheError
from retrain_cli.workflows.cache import list_caches
from retrain_cli.workflows.sharding.merging import MergedCache, merge_caches
from retrain_cli.workspace import Workspace

IDENTITY = SMALL_SPEC.identity()
SOUND = 30


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    path = tmp_path / "from-afar.sqlite"
    with BottleneckStore(path, IDENTITY) as store:
        digests = [bytes([n]) * 16 for n in range(SOUND)]
        store.put(digests, np.ones((SOUND, 8), np.float32))
        store.arrays.put([(digests[0], 0)], ArrayBatch(np.ones((1, 4), np.float32)))
    return path


def alter(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def merge_one(workspace: Workspace, path: Path) -> MergedCache:
    (merged,) = merge_caches(workspace, path).caches
    return merged


def insert(path: Path, digest: object, vector: object, checksum: object = None) -> None:
    if checksum is None and isinstance(digest, bytes) and isinstance(vector, bytes):
        checksum = zlib.crc32(vector, zlib.crc32(digest))
    with closing(sqlite3.connect(path)) as connection, connection:
        row = (digest, vector, checksum)
        connection.execute("INSERT INTO bottlenecks VALUES (?, ?, ?)", row)


def test_a_sound_file_is_taken_whole(theirs: Path, workspace: Workspace) -> None:
    merged = merge_one(workspace, theirs)
    assert (merged.added, merged.added_arrays, merged.left_out) == (SOUND, 1, [])
    (info,) = list_caches(workspace)
    assert info.identity == IDENTITY


def outside(workspace: Workspace) -> set[Path]:
    """What lies around the workspace; SQLite's own files beside the one that is read aside."""
    found = {*workspace.root.parent.rglob("*"), *Path("/tmp").glob("escape*")}
    return {
        path
        for path in found
        if workspace.root not in (path, *path.parents) and not path.name.endswith(("-wal", "-shm"))
    }


@pytest.mark.parametrize(
    "name", ["../../escape", "/tmp/escape", "..", "", ".hidden", "a\x1b[31mb", "a/b", "a\\b", "C:x"]
)
def test_a_name_leads_to_no_other_place(name: str, theirs: Path, workspace: Workspace) -> None:
    meta = json.dumps({**IDENTITY, "name": name}, sort_keys=True).replace("'", "''")
    alter(theirs, f"UPDATE meta SET value = '{meta}' WHERE key = 'identity'")
    before = outside(workspace)
    with pytest.raises(CacheError, match="its name is"):
        merge_one(workspace, theirs)
    assert outside(workspace) == before
    assert list_caches(workspace) == []


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"


@pytest.mark.parametrize(
    "statements",
    [
        (
            "DROP TABLE bottlenecks",
            "CREATE VIEW bottlenecks AS "
            f"{ENDLESS} SELECT zeroblob(16) digest, zeroblob(32) vector, i checksum FROM n",
        ),
        (
            "DROP TABLE meta",
            f"CREATE VIEW meta AS {ENDLESS} SELECT 'x' || i key, 'y' value FROM n",
        ),
        (
            "DROP TABLE arrays",
            f"CREATE VIEW arrays AS {ENDLESS} SELECT i digest, i view, 1 dtype FROM n",
        ),
        (f"CREATE VIEW other AS {ENDLESS} SELECT i FROM n",),
        ("CREATE TRIGGER t AFTER INSERT ON bottlenecks BEGIN DELETE FROM bottlenecks; END",),
        (
            "DROP TABLE bottlenecks",
            "CREATE TABLE bottlenecks (digest BLOB NOT NULL PRIMARY KEY, vector BLOB NOT NULL, "
            "checksum INTEGER GENERATED ALWAYS AS (length(zeroblob(1000000000))) VIRTUAL)",
        ),
        (
            "DROP TABLE bottlenecks",
            "CREATE VIRTUAL TABLE bottlenecks USING fts5(digest, vector, checksum)",
        ),
        ("CREATE INDEX slow ON bottlenecks (length(vector))",),
        ("CREATE TABLE more (anything)",),
        ("DROP TABLE meta",),
        ("DROP TABLE bottlenecks",),
    ],
    ids=lambda statements: statements[-1][:28],
)
def test_anything_but_the_tables_of_a_cache_is_refused_at_once(
    statements: tuple[str, ...], theirs: Path, workspace: Workspace
) -> None:
    alter(theirs, *statements)
    started = time.process_time()
    with pytest.raises(CacheError, match=r"tables|no table"):
        merge_one(workspace, theirs)
    assert time.process_time() - started < 5


def test_statistics_of_sqlite_are_no_harm(theirs: Path, workspace: Workspace) -> None:
    alter(theirs, "ANALYZE")
    assert merge_one(workspace, theirs).added == SOUND


VECTOR = np.ones(8, np.float32).tobytes()


@pytest.mark.parametrize(
    ("digest", "vector", "checksum"),
    [
        (b"", VECTOR, None),
        (b"x" * 15, VECTOR, None),
        (b"x" * 17, VECTOR, None),
        (b"x" * 100_000, VECTOR, None),
        ("../../" + "x" * 10, VECTOR, 1),
        (7, VECTOR, 1),
        (b"x" * 16, VECTOR[:-4], None),
        (b"x" * 16, VECTOR + VECTOR, None),
        (b"x" * 16, "text", 1),
        (b"x" * 16, 1.5, 1),
        (b"x" * 16, VECTOR, "text"),
        (b"x" * 16, VECTOR, 1e300),
        (b"x" * 16, VECTOR, 1),
        (b"x" * 16, np.full(8, np.nan, np.float32).tobytes(), None),
        (b"x" * 16, np.full(8, np.inf, np.float32).tobytes(), None),
    ],
)
def test_rows_that_are_none_are_left_out(
    digest: object, vector: object, checksum: object, theirs: Path, workspace: Workspace
) -> None:
    insert(theirs, digest, vector, checksum)
    merged = merge_one(workspace, theirs)
    assert (merged.added, len(merged.left_out)) == (SOUND, 1)
    assert len(merged.left_out[0].digest) <= 40


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("digest", "zeroblob(17)"),
        ("view", "-1"),
        ("view", "4294967296"),
        ("view", "'x'"),
        ("dtype", "'object'"),
        ("shape", "'9x9'"),
        ("shape", "'99999999999999999999999'"),
        ("shape", "''"),
        ("data", "'text'"),
    ],
)
def test_arrays_that_are_none_are_left_out(
    column: str, value: str, theirs: Path, workspace: Workspace
) -> None:
    alter(theirs, f"UPDATE arrays SET {column} = {value}")
    with closing(sqlite3.connect(theirs)) as connection, connection:
        row = ArrayRow(*connection.execute(f"SELECT {ARRAY_COLUMNS} FROM arrays").fetchone())
        if isinstance(row.data, bytes):  # its checksum holds, so that the content is looked at
            connection.execute("UPDATE arrays SET checksum = ?", (row.expected_checksum(),))
    merged = merge_one(workspace, theirs)
    assert (merged.added_arrays, len(merged.left_out)) == (0, 1)


@pytest.mark.parametrize("width", ["abc", "-1", "0", "1e3", "", "9" * 5000, "²", "99999999"])
def test_a_width_is_a_number(width: str, theirs: Path, workspace: Workspace) -> None:
    alter(theirs, f"UPDATE meta SET value = '{width}' WHERE key = 'width'")
    with pytest.raises(CacheError, match="have a length"):
        merge_one(workspace, theirs)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "7",
        "{",
        "{}",
        "[" * 100_000,
        json.dumps({"name": "vgg16"}),
        json.dumps({**IDENTITY, "alpha": "x"}),
        json.dumps({**IDENTITY, "weights": 7}),
        json.dumps({**IDENTITY, "input_size": True}),
        json.dumps({**IDENTITY, "layer": ["../x"]}),
        json.dumps({**IDENTITY, "more": 1}),
    ],
)
def test_an_identity_is_one(text: str, theirs: Path, workspace: Workspace) -> None:
    alter(theirs, f"UPDATE meta SET value = '{text}' WHERE key = 'identity'")
    with pytest.raises(CacheError, match="names the backbone"):
        merge_one(workspace, theirs)


def test_large_values_are_not_read(
    theirs: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(theirs, b"x" * 16, b"x" * 200_000)
    monkeypatch.setattr(foreign_file, "MOST_ROW_BYTES", 100_000)
    if hasattr(sqlite3.Connection, "setlimit"):
        with pytest.raises(CacheError, match="too big"):
            merge_one(workspace, theirs)


def test_pages_that_are_used_again_and_again_come_to_an_end(
    theirs: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(path: Path) -> list[Path]:
        return [Path(os.devnull)]

    with open_foreign(theirs) as opened:
        monkeypatch.setattr(foreign_file, "_with_log", no_room)
        with pytest.raises(CacheError, match="more rows than room"):
            list(opened.vectors())


def test_what_is_no_ordinary_file_is_not_opened(theirs: Path, workspace: Workspace) -> None:
    folder = theirs.parent / "cache"
    folder.mkdir()
    (folder / "linked.sqlite").symlink_to(theirs)
    with pytest.raises(CacheError, match="ordinary file"):
        merge_caches(workspace, folder)
    (folder / "linked.sqlite").unlink()
    os.mkfifo(folder / "pipe.sqlite")
    with pytest.raises(CacheError, match="ordinary file"):
        merge_caches(workspace, folder)
    link = theirs.with_name("link.sqlite")
    link.symlink_to(theirs)
    assert merge_one(workspace, link).added == SOUND  # named by the user


def test_ctrl_c_ends_a_query_at_once(theirs: Path) -> None:
    slow = " AND ".join(f"{one}.checksum < 0" for one in "abcdefgh")
    tables = ", ".join(f"bottlenecks {one}" for one in "hgfedcba")
    sql = f"SELECT a.digest FROM {tables} WHERE a.checksum + h.checksum < 0 OR ({slow})"
    with open_foreign(theirs) as opened:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            list(opened._file.rows("bottlenecks", sql, 1))


def _outside(folder: Path) -> None:
    secret = folder.parent / "secret"
    secret.write_bytes(b"w")
    (folder / "model.bin").unlink()
    (folder / "model.bin").symlink_to(secret)


def _pipe(folder: Path) -> None:
    (folder / "model.bin").unlink()
    os.mkfifo(folder / "model.bin")


def _changed(folder: Path) -> None:
    (folder / "model.bin").write_bytes(b"other weights")


def _huge(folder: Path) -> None:
    os.truncate(folder / "model.xml", 1 << 40)


def _linked(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


def _odd_name(folder: Path) -> None:
    folder.rename(folder.with_name("a\x1b[31m-" + folder.name.rpartition("-")[2]))


@pytest.mark.parametrize("harm", [_outside, _pipe, _changed, _huge, _linked, _odd_name])
def test_converted_networks_come_along_as_ordinary_files_alone(
    harm: Callable[[Path], Any], tmp_path: Path, workspace: Workspace
) -> None:
    other = Workspace(tmp_path / "other")
    other.prepare()
    BottleneckStore(other.cache_dir / "x.sqlite", IDENTITY).close()

    def write(folder: Path) -> None:
        (folder / "model.xml").write_text("<net>\t<rt_info></net>")
        (folder / "model.bin").write_bytes(b"w")

    kept = keep_model(other.models_dir, SMALL_SPEC, write)
    harm(kept.folder)
    told: list[str] = []
    merge_caches(workspace, other.root, on_warning=told.append)
    assert not workspace.models_dir.exists() or not any(workspace.models_dir.iterdir())
    assert len(told) == 1 and "left out" in told[0]
