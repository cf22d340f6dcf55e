"""Files within a tar archive that is not compressed: where they begin, and reading one of them."""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class TarMember:
    """A file of an archive.

    Attributes:
        name: as the archive has it, `/`-separated.
        offset: of its first byte in the archive.
        size: bytes.
    """

    name: str
    offset: int
    size: int


def members_of(archive: Path) -> dict[str, TarMember]:
    """The files of an archive by their names, in its order; read once while it does not change.

    Raises:
        OSError: it cannot be read.
        tarfile.TarError: it is damaged, cut, compressed or no archive at all.
    """
    status = archive.stat()
    return _members(archive, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _members(archive: Path, mtime_ns: int, size: int) -> dict[str, TarMember]:
    found = {}
    with tarfile.open(archive, "r:") as opened:
        for one in opened:
            if one.isreg():
                if one.offset_data + one.size > size:
                    raise tarfile.ReadError(f"it is cut within {one.name}")
                found[one.name.removeprefix("./")] = TarMember(one.name, one.offset_data, one.size)
        _check_end(archive, opened.offset)
    return found


def _check_end(archive: Path, offset: int) -> None:
    """Refuse an archive with more in it: `tarfile` takes a damaged header for the end of it all."""
    with archive.open("rb") as file:
        file.seek(offset)
        if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
            raise tarfile.ReadError(f"its header at byte {offset:,} is damaged")


def read_member(archive: Path, name: str) -> bytes:
    """The bytes of a file of an archive.

    Raises:
        OSError: the archive cannot be read, is damaged, or has no such file.
    """
    try:
        member = members_of(archive)[name]
    except KeyError as error:
        raise FileNotFoundError(f"no longer in {archive.name}") from error
    except tarfile.TarError as error:
        raise OSError(f"{archive.name} is damaged: {error}") from error
    with archive.open("rb") as file:
        file.seek(member.offset)
        return file.read(member.size)


def open_member(place: str) -> BinaryIO | None:
    """A file of an archive, open to read, by `ARCHIVE.tar/NAME`; None where that is no archive."""
    path = Path(place)
    for archive in path.parents:
        if archive.suffix.lower() == ".tar" and os.path.isfile(archive):  # noqa: PTH113 - no error
            return io.BytesIO(read_member(archive, path.relative_to(archive).as_posix()))
    return None
