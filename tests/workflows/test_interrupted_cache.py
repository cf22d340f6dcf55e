"""`cache verify` and `cache gc` that Ctrl-C ends lose nothing, and the next call goes on."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run_here
from helpers import Outcome

from retrain_cli import interrupts, waiting
from retrain_cli.cache import sweeping, verification
from retrain_cli.cache.array_batch import ArrayBatch
from retrain_cli.cache.row_counts import VERIFIED
from retrain_cli.cache.store import BottleneckStore, open_to_read
from retrain_cli.cache.vector_rows import row_fault
from retrain_cli.workspace import Workspace

Run = Callable[..., Outcome]
_AT_ONCE = 4


@pytest.fixture
def run(
    workspace: Workspace, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Run a command of `cache` in this process; few rows at a time."""
    for module in (verification, sweeping):
        monkeypatch.setattr(module, "_AT_ONCE", _AT_ONCE)

    def run(*words: str) -> Outcome:
        return run_here(["--workspace", str(workspace.root), "cache", *words], capfd)

    return run


class Checked:
    """Counts the rows that are checked; presses Ctrl-C at one of them.

    Args:
        press_at: which one; 0 for none.
    """

    def __init__(self, press_at: int = 0) -> None:
        self.rows, self._press_at = 0, press_at
        self._row_fault = row_fault

    def __call__(self, *arguments: Any) -> str | None:
        self.rows += 1
        if self.rows == self._press_at:
            signal.raise_signal(signal.SIGINT)
        return self._row_fault(*arguments)


def checked(monkeypatch: pytest.MonkeyPatch, press_at: int = 0) -> Checked:
    counter = Checked(press_at)
    monkeypatch.setattr(verification, "row_fault", counter)
    return counter


def damage(path: Path, rowid: int) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        sql = "UPDATE bottlenecks SET vector = zeroblob(128) WHERE rowid = ?"
        connection.execute(sql, (rowid,))


@pytest.mark.parametrize("press_at", [1, 9, 30, 36])
def test_a_check_goes_on_where_it_was_interrupted(
    photos: Path, fill: Any, run: Run, monkeypatch: pytest.MonkeyPatch, press_at: int
) -> None:
    path = fill(photos).cache_path
    damage(path, 3)
    with monkeypatch.context() as patch:
        counter = checked(patch, press_at)
        stopped = run("verify")
        kept = counter.rows
    assert kept == -(-press_at // _AT_ONCE) * _AT_ONCE
    assert stopped.code == 130
    assert f"{kept} of 36 rows of {path.stem} are checked" in stopped.err
    with monkeypatch.context() as patch:
        counter = checked(patch)
        rest = run("verify", path.stem)
    assert counter.rows == 36 - kept
    assert "are damaged" in rest.refused()  # found before it was interrupted
    assert f"1 damaged ({kept} of them checked before)" in rest.out
    counter = checked(monkeypatch)
    assert "checked before" not in run("verify").out
    assert counter.rows == 36


def test_what_a_killed_check_noted_is_gone_on_with(
    photos: Path, fill: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fill(photos).cache_path
    monkeypatch.setattr(verification, "_BETWEEN_NOTES", 8)
    with monkeypatch.context() as patch, pytest.raises(_KilledError):
        patch.setattr(interrupts, "check", _killed_at(path, 20))
        verification.verify_store(BottleneckStore(path))
    counter = checked(monkeypatch)
    assert "all sound (16 of them checked before)" in run("verify").out
    assert counter.rows == 20


def test_rows_that_were_removed_meanwhile_let_it_begin_anew(
    photos: Path, fill: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fill(photos).cache_path
    with monkeypatch.context() as patch:
        checked(patch, 12)
        run("verify")
    with BottleneckStore(path) as store:
        assert store.meta(VERIFIED)
        store.delete(store.digests_after(b"", 2))
    counter = checked(monkeypatch)
    assert "checked before" not in run("verify").out
    assert counter.rows == 34


def test_a_position_that_makes_no_sense_is_not_trusted(photos: Path, fill: Any, run: Run) -> None:
    with BottleneckStore(fill(photos).cache_path) as store:
        for text in ("[]", '{"rows": 5}', json.dumps({"rows": "x", "damaged": []}), "\0"):
            store.set_meta(VERIFIED, text)
            assert verification.verify_store(store).rows == 36


def test_gc_keeps_what_it_removed_and_goes_on(
    photos: Path, fill: Any, run: Run, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fill(photos).cache_path
    with BottleneckStore(path) as store:
        keys = [(digest, 0) for digest in store.digests()]
        store.arrays.put(keys, ArrayBatch(np.ones((36, 4), np.float32)))
    shutil.rmtree(photos / "ant")
    fill(photos)
    before = path.stat().st_size
    delete, calls = BottleneckStore.delete, []

    def interrupted(self: BottleneckStore, digests: list[bytes]) -> int:
        calls.append(digests)
        if len(calls) == 4:
            signal.raise_signal(signal.SIGINT)
        return delete(self, digests)

    with monkeypatch.context() as patch:
        patch.setattr(BottleneckStore, "delete", interrupted)
        stopped = run("gc")
    assert stopped.code == 130
    assert "what was removed stays removed" in stopped.err
    gone = sum(map(len, calls))
    with open_to_read(path) as store:
        assert (len(store), len(store.arrays)) == (36 - gone, 36)
    dry = run("gc", "--dry-run", "--json").json["caches"][0]
    done = run("gc", "--json").json["caches"][0]
    assert (dry["removed"], done["removed"], done["bottlenecks"], done["arrays"]) == (
        24 - gone,
        24 - gone,
        24,
        24,
    )
    assert path.stat().st_size < before
    assert "0 removed" in run("gc").out


def test_space_that_an_interrupted_gc_left_is_given_back_by_the_next_one(
    photos: Path, fill: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fill(photos).cache_path
    with BottleneckStore(path) as store:
        store.put([bytes([number]) * 16 for number in range(200)], np.ones((200, 32), np.float32))
    with monkeypatch.context() as patch:
        patch.setattr(BottleneckStore, "give_back", lambda store: signal.raise_signal(2))
        assert run("gc").code == 130
    with BottleneckStore(path) as store:
        assert len(store) == 36
        before = path.stat().st_size
    assert "0 removed" in run("gc").out
    assert path.stat().st_size < before


def test_ctrl_c_while_space_is_given_back_changes_nothing(
    photos: Path, fill: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fill(photos).cache_path
    shutil.rmtree(photos / "ant")
    fill(photos)
    for_ = waiting.for_

    def pressed(words: str) -> Any:
        if "giving back" in words:
            signal.raise_signal(signal.SIGINT)
        return for_(words)

    with monkeypatch.context() as patch:
        patch.setattr(waiting, "for_", pressed)
        assert run("gc").code == 130
    assert "all sound" in run("verify").out
    with BottleneckStore(path) as store:
        assert len(store) == 24


class _KilledError(BaseException):
    """Not an Exception: nothing catches it on its way."""


def _killed_at(path: Path, rows: int) -> Callable[[], None]:
    seen = []

    def check() -> None:
        seen.append(_AT_ONCE)
        if sum(seen) >= rows:
            raise _KilledError

    return check
