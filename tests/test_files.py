"""Files that are named by somebody: read whole, or refused, but never waited for."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from retrain_cli.datasets.moves import read_script
from retrain_cli.datasets.origins import match_origins
from retrain_cli.datasets.source_classes import load_source_classes
from retrain_cli.errors import DatasetError, RetrainError, WorkspaceError
from retrain_cli.files import check_ordinary, read_file
from retrain_cli.workspace import Workspace


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(256)) * 9000)
    assert read_file(tmp_path / "a") == bytes(range(256)) * 9000
    assert read_file(tmp_path / "a", 256 * 9000) == bytes(range(256)) * 9000
    with pytest.raises(OSError, match="more than"):
        read_file(tmp_path / "a", 256 * 9000 - 1)


def test_a_pipe_with_a_writer_is_read_to_its_end(tmp_path: Path) -> None:
    ours, theirs = os.pipe()

    def write() -> None:
        with os.fdopen(theirs, "wb") as file:
            for _ in range(3):
                file.write(b"x" * 100_000)

    writer = threading.Thread(target=write)
    writer.start()
    assert len(read_file(Path(f"/dev/fd/{ours}"))) == 300_000
    writer.join()
    os.close(ours)


def test_nothing_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert read_file(tmp_path / "pipe") == b""
    for odd in (tmp_path, Path("/dev/zero"), Path("/dev/tty")):
        with pytest.raises(OSError):
            read_file(odd)
    for odd in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="ordinary"):
            check_ordinary(odd)


def test_users_files_may_be_anything(tmp_path: Path) -> None:
    """Each of these would hang, or never end, were it opened as it is."""
    os.mkfifo(tmp_path / "pipe")
    for odd in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(RetrainError):
            load_source_classes(str(odd))
        if odd.name == "zero":
            with pytest.raises(DatasetError):
                match_origins(("ant",), None, odd)
            with pytest.raises(DatasetError):
                read_script(odd)
    workspace = Workspace(tmp_path)
    workspace.state_path.symlink_to("/dev/zero")
    with pytest.raises(WorkspaceError):
        workspace.read_state()
