"""Files that are none: pipes, devices, sizes that lie, and reads that are slow."""

from __future__ import annotations

import array
import fcntl
import os
import termios
import threading
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from helpers import LIMIT, make_photos, wait_for

from retrain_cli.errors import ImageError
from retrain_cli.images import photo_files as reader
from retrain_cli.images.decode import decode_image
from retrain_cli.images.examine import Examined, examine_file
from retrain_cli.images.photo_files import read_file


def examine(path: Path) -> Examined:
    return examine_file(path, lambda data: decode_image(data, (8, 8)), lambda digest: False)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return make_photos(tmp_path / "photos", {"ant": 1}) / "ant" / "0000.png"


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(tmp_path / "pipe.png")
    return tmp_path / "pipe.png"


def test_a_pipe_that_nobody_writes_to_is_empty(pipe: Path) -> None:
    assert examine(pipe).problem == "0 bytes"


def test_a_photo_that_comes_byte_by_byte(photo: Path, pipe: Path) -> None:
    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            ready.set()
            for byte in photo.read_bytes()[:60]:
                wait_for(lambda: not unread(file), "the reader of the byte before")
                file.write(bytes([byte]))
            file.write(photo.read_bytes()[60:])

    def unread(file: IO[bytes]) -> int:
        """Bytes that lie in the pipe."""
        count = array.array("i", [0])
        fcntl.ioctl(file.fileno(), termios.FIONREAD, count)
        return count[0]

    ready = threading.Event()
    keep = os.open(pipe, os.O_RDWR)  # so that the writer's open does not wait for the reader
    thread = threading.Thread(target=write)
    thread.start()
    assert ready.wait(LIMIT)
    opened = reader._open(pipe)
    os.close(keep)
    with opened:
        assert opened.read() == photo.read_bytes()
    thread.join()


def test_a_device_is_no_file() -> None:
    assert examine(Path(os.devnull)).problem == "not a file"


def test_a_file_of_a_hundred_gigabytes_is_refused_unread(photo: Path) -> None:
    os.truncate(photo, 100 << 30)  # all of it a hole
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "_PIECE_BYTES", "no piece is read")
        assert "1024 MiB" in str(examine(photo).problem)
        with pytest.raises(ImageError, match="1024 MiB"):
            read_file(photo)


def test_a_pipe_that_never_ends_is_refused(
    pipe: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MAX_FILE_BYTES", 1000)
    keep = os.open(pipe, os.O_RDWR)
    os.write(keep, photo.read_bytes() + bytes(1000))
    os.close(os.dup(keep))
    opened = reader._open(pipe)
    os.close(keep)
    with opened, pytest.raises(ImageError, match="limit"):
        reader._rest(opened, 1000)


def test_a_usual_file_is_read_whole(photo: Path) -> None:
    assert read_file(photo) == photo.read_bytes()
    assert np.asarray(examine(photo).pixels).shape == (8, 8, 3)
