"""What is known of each distinct photo, whatever the backbone: its look, its near duplicates.

Rows are keyed by content like the bottlenecks, so that a second look at an unchanged dataset opens
no file, and so that groups of near duplicates survive renaming, moving and adding photos.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Lock

from retrain_cli import notices
from retrain_cli.database import DatabaseFile, connect, open_or_read, translated_errors, was_made
from retrain_cli.errors import CacheError, DamagedFileError
from retrain_cli.images.looks import LOOK_VERSION, PhotoLook

_ALIKE = """
CREATE TABLE alike (
    digest BLOB NOT NULL PRIMARY KEY,
    first BLOB NOT NULL                -- of the group of near duplicates that `check` saw it in
)
"""
_SCHEMA = f"""
CREATE TABLE looks (
    digest BLOB NOT NULL PRIMARY KEY,  -- BLAKE2b-128 of the image file's bytes
    version INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    brightness REAL NOT NULL,
    contrast REAL NOT NULL,
    phash BLOB NOT NULL                -- perceptual, then difference hash, 8 bytes each, big-endian
);
CREATE TABLE near_duplicates (
    digest BLOB NOT NULL PRIMARY KEY,
    founder BLOB NOT NULL              -- the photo whose split the whole group has
);{_ALIKE}"""
_UPGRADES = ((_ALIKE,),)


class PhotoFacts(DatabaseFile):
    """Reads and writes the facts of one workspace.

    Where the file cannot be written, what is to be remembered is used and not remembered, and told.
    """

    def __init__(self, path: Path) -> None:
        self._problem = ""
        super().__init__(path, self._open(path))
        self._lock = Lock()

    def _open(self, path: Path) -> sqlite3.Connection:
        try:
            return open_or_read(path, partial(self._connect, path))
        except DamagedFileError:
            raise
        except CacheError as error:
            if was_made(path):
                raise
            self._problem = str(error)  # nothing was remembered yet, and nothing can be
            return connect(Path(":memory:"), _SCHEMA, upgrades=_UPGRADES)

    def _connect(self, path: Path, read_only: bool) -> sqlite3.Connection:
        self._problem = f"{path} cannot be written" if read_only else ""
        return connect(path, _SCHEMA, read_only=read_only, upgrades=_UPGRADES)

    def _remember(self, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
        if not rows:
            return
        if not self._problem:
            try:
                with self._lock, translated_errors(self.path), self._connection as connection:
                    connection.executemany(sql, rows)
                    return
            except DamagedFileError:
                raise
            except CacheError as error:
                self._problem = str(error)
        notices.not_remembered("what was seen of the photos", self._problem)

    def verify(self) -> list[str]:
        """What is wrong with the file; an empty list means that all is well.

        Raises:
            DamagedFileError: it cannot be read at all.
        """
        with self._lock, translated_errors(self.path):
            rows = self._connection.execute("PRAGMA integrity_check").fetchall()
            # Read, for the check looks at the order of the rows and not at what they hold.
            for table in ("looks", "near_duplicates"):
                for _ in self._connection.execute(f"SELECT * FROM {table}"):
                    pass
        return [text for (text,) in rows if text != "ok"]

    def looks(self) -> dict[bytes, PhotoLook]:
        """The looks of every photo that was looked at, by digest."""
        sql = """SELECT digest, width, height, brightness, contrast, phash FROM looks
                 WHERE version = ?"""
        with self._lock, translated_errors(self.path):
            rows = self._connection.execute(sql, (LOOK_VERSION,)).fetchall()
        return {
            digest: PhotoLook(width, height, brightness, contrast, *_unpacked(hashes))
            for digest, width, height, brightness, contrast, hashes in rows
        }

    def remember_looks(self, looks: Mapping[bytes, PhotoLook]) -> None:
        """Keep looks, in one transaction."""
        rows = [(digest, LOOK_VERSION, *_numbers(look)) for digest, look in looks.items()]
        sql = "INSERT OR REPLACE INTO looks VALUES (?,?,?,?,?,?,?)"
        self._remember(sql, rows)

    def founders(self) -> dict[bytes, bytes]:
        """For each photo that was ever grouped, alone or not, the founder of its group."""
        sql = "SELECT digest, founder FROM near_duplicates"
        with self._lock, translated_errors(self.path):
            return dict(self._connection.execute(sql).fetchall())

    def remember_founders(self, founders: Mapping[bytes, bytes]) -> None:
        """Keep groups, in one transaction."""
        sql = "INSERT OR REPLACE INTO near_duplicates VALUES (?,?)"
        self._remember(sql, list(founders.items()))

    def alike(self) -> dict[bytes, bytes]:
        """For each photo that was ever checked, the first of the photos that are nearly the same.

        A photo that is like no other stands for itself.
        """
        with self._lock, translated_errors(self.path):
            return dict(self._connection.execute("SELECT digest, first FROM alike").fetchall())

    def remember_alike(self, firsts: Mapping[bytes, bytes]) -> None:
        """Keep what a check saw of some photos, in one transaction."""
        self._remember("INSERT OR REPLACE INTO alike VALUES (?,?)", list(firsts.items()))


def _numbers(look: PhotoLook) -> tuple[int, int, float, float, bytes]:
    """The row of a photo: all hashes are one value, those of the whole and then of its parts."""
    pairs = ((look.phash, look.dhash), *look.parts)
    hashes = b"".join(one.to_bytes(8, "big") for pair in pairs for one in pair)
    return look.width, look.height, look.brightness, look.contrast, hashes


def _unpacked(data: bytes) -> tuple[int, int, tuple[tuple[int, int], ...]]:
    hashes = [int.from_bytes(data[at : at + 8], "big") for at in range(0, len(data), 8)]
    (phash, dhash), *parts = zip(hashes[::2], hashes[1::2], strict=True)
    return phash, dhash, tuple(parts)
