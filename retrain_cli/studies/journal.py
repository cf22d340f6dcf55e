"""Where finished trials are kept: a line of JSON each, written through before the next begins.

A crash can tear the last line only; what has no end of line is cut off when the journal is opened.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from io import FileIO
from pathlib import Path
from typing import Any

from retrain_cli import notices
from retrain_cli.durable import sync
from retrain_cli.errors import WorkspaceError
from retrain_cli.files import parse_json
from retrain_cli.locking import translated_lock_errors
from retrain_cli.studies.trial import TrialRecord
from retrain_cli.workspace import write_atomically, writing_to

_TRIALS, _ABOUT, _LOCK = "trials.jsonl", "protocol.json", "lock"


class TrialJournal:
    """The finished trials of one protocol on one dataset and backbone; safe between threads."""

    def __init__(self, folder: Path, *, keeps: bool = True) -> None:
        """Read what is there.

        Args:
            folder: its folder.
            keeps: whether new trials are kept; not so where the folder cannot be written.
        """
        self._path, self._keeps = folder / _TRIALS, keeps
        self._lock = threading.Lock()
        if keeps:
            with writing_to(self._path):
                self._cut_torn_line()
        self.records: dict[str, TrialRecord] = {record.key: record for record in self._read()}

    @classmethod
    @contextmanager
    def open(cls, folder: Path, about: Mapping[str, Any]) -> Iterator[TrialJournal]:
        """Open the journal in `folder`, which is made where it is not there yet.

        Args:
            folder: its folder.
            about: the protocol, written beside the trials for people to read.

        Raises:
            WorkspaceError: another process runs this study, or the folder cannot be used.
        """
        from filelock import FileLock, Timeout

        if problem := _why_not_written(folder):
            notices.not_remembered("what this study trains", problem)
            yield cls(folder, keeps=False)
            return
        lock = FileLock(folder / _LOCK, timeout=0)
        try:
            with translated_lock_errors(folder):
                lock.acquire()
        except Timeout as error:
            raise WorkspaceError(
                f"one command at a time can run a study, and another one runs this ({folder}): "
                "wait for it; its trials will be used"
            ) from error
        try:
            write_atomically(folder / _ABOUT, json.dumps(about, indent=2) + "\n")
            yield cls(folder)
        finally:
            lock.release()

    def append(self, record: TrialRecord) -> None:
        """Keep a record; when this returns it is on the disk.

        Raises:
            WorkspaceError: the disk is full.
        """
        if not self._keeps:
            with self._lock:
                self.records[record.key] = record
            return
        line = json.dumps(asdict(record), allow_nan=False) + "\n"
        with self._lock, writing_to(self._path):
            is_new = not self._path.exists()
            with self._path.open("ab", buffering=0) as file:
                _append(file, line.encode())
            if is_new:
                sync(self._path.parent)
            self.records[record.key] = record

    def _read(self) -> Iterator[TrialRecord]:
        if not self._path.exists():
            return
        try:
            with self._path.open(encoding="utf-8") as file:
                for line in file:
                    if line.endswith("\n"):  # else torn, where it could not be cut off
                        yield TrialRecord(**parse_json(line))
        except (OSError, ValueError, TypeError) as error:
            raise WorkspaceError(
                f"{self._path} must hold a finished trial in each line and does not ({error}): "
                "delete it; its trials will be trained again"
            ) from error

    def _cut_torn_line(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb+") as file:
            content = file.read()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                file.truncate(whole)


def _append(file: FileIO, line: bytes) -> None:
    """Write it through to the disk, or nothing of it: the next line must not follow half of one."""
    before = file.tell()
    try:
        rest = memoryview(line)
        while rest:  # a disk that fills up takes a part
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):  # else that is done when the journal is opened
            file.truncate(before)
        raise


def _why_not_written(folder: Path) -> str:
    """Why the folder of a study cannot be written; empty where it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"{folder} cannot be written ({error.strerror or error})"
