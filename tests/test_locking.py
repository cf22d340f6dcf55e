"""A file system without locks is named as such, at once, whoever finds out."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import time
from pathlib import Path

import pytest

from retrain_cli import database
from retrain_cli.database import connect, translated_errors
from retrain_cli.errors import CacheError, WorkspaceError
from retrain_cli.locking import lock_problem
from retrain_cli.studies.journal import TrialJournal
from retrain_cli.workspace import Workspace, writing_to

CODES = [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO, errno.EINVAL, errno.EPERM]


def refuse(monkeypatch: pytest.MonkeyPatch, function: str, code: int) -> None:
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, function, fail)


@pytest.mark.parametrize("code", CODES)
def test_a_workspace_where_flock_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    refuse(monkeypatch, "flock", code)
    kinds = "can lock files|a file that can be written"
    with pytest.raises(WorkspaceError, match=kinds) as caught, Workspace(tmp_path).lock("x"):
        pass
    assert "--workspace FOLDER" in str(caught.value)
    with pytest.raises(WorkspaceError, match=kinds), TrialJournal.open(tmp_path / "study", {}):
        pass


@pytest.mark.parametrize("code", CODES)
def test_a_database_where_fcntl_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    refuse(monkeypatch, "lockf", code)
    started = time.monotonic()
    with pytest.raises(CacheError, match="must be on a file system that can lock files") as caught:
        connect(tmp_path / "x.sqlite", "CREATE TABLE t (a)")
    assert time.monotonic() - started < database.BUSY_TIMEOUT_S / 2
    assert os.strerror(code) in str(caught.value)
    assert not (tmp_path / "x.sqlite").exists()


def test_locks_that_fail_later_are_no_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = sqlite3.OperationalError("disk I/O error")
    lost.sqlite_errorname = "SQLITE_IOERR_LOCK"  # type: ignore[attr-defined]  # new in 3.11
    with pytest.raises(CacheError, match="can lock files"), translated_errors(tmp_path / "x"):
        raise lost
    busy = sqlite3.OperationalError("database is locked")
    with pytest.raises(CacheError, match="another command"), translated_errors(tmp_path / "x"):
        raise busy
    refuse(monkeypatch, "lockf", errno.ENOLCK)
    with pytest.raises(CacheError, match="can lock files"), translated_errors(tmp_path / "x"):
        raise busy
    full = OSError(errno.ENOLCK, "No locks available")
    with pytest.raises(WorkspaceError, match="can lock files"), writing_to(tmp_path):
        raise full


def test_a_folder_that_can_lock(tmp_path: Path) -> None:
    assert lock_problem(tmp_path) == ""
    assert lock_problem(tmp_path / "nowhere") == ""
    assert list(tmp_path.iterdir()) == []
    with Workspace(tmp_path).lock("x"):
        pass
