"""Save the sound rows of a cache file that SQLite cannot read any more, or not wholly."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from retrain_cli.backbones.digests import identity_fingerprint
from retrain_cli.cache.array_batch import DTYPES
from retrain_cli.cache.array_rows import ArrayKey, ArrayRow
from retrain_cli.cache.sqlite_pages import Pages, Record
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.cache.vector_rows import CacheDtype, VectorRow, dtype_of
from retrain_cli.durable import sync
from retrain_cli.errors import CacheError
from retrain_cli.files import parse_json
from retrain_cli.images.examine import DIGEST_BYTES
from retrain_cli.workspace import replacing, writing_to

_ROWS_AT_A_TIME = 1000
_ARRAYS_AT_A_TIME = 64  # one may have 63 MB
_SIDE_FILES = ("-wal", "-shm")


@dataclass(frozen=True)
class Salvaged:
    """What became of a damaged file.

    Attributes:
        saved: rows in the new file: bottlenecks, and arrays where there are any.
        lost: rows that the damaged file still names, but that cannot be read; more may be lost of
            which no trace is left. `retrain bottlenecks` computes bottlenecks again.
        kept_as: the damaged file.
    """

    saved: int
    lost: int
    kept_as: Path


@dataclass
class _Found:
    """What the pages tell, vectors aside.

    Attributes:
        named: keys of all rows that are spoken of: digests of vectors, digest and view of arrays.
        vectors: how many sound vectors are of a dtype and so many bytes.
        meta: the meta data.
    """

    named: set[bytes | ArrayKey] = field(default_factory=set)
    vectors: Counter[tuple[CacheDtype, int]] = field(default_factory=Counter)
    meta: dict[str, str] = field(default_factory=dict)


def salvage(path: Path, identity: Mapping[str, Any] | None = None) -> Salvaged:
    """Write all sound rows of `path` into a new file that takes its place in one step.

    A row is sound if its checksum over digest and vector holds. The damaged file is kept beside it.

    Args:
        path: the damaged cache file.
        identity: the backbone's, should the file not tell it any more.

    Raises:
        CacheError: nothing of a cache is left in it; it stays as it is.
        WorkspaceError: the new file cannot be written; the damaged one stays as it is.
    """
    with writing_to(path), Pages.open(path) as pages:
        found = _search(pages)
        known = _identity(found, path) or identity
        if known is None or not found.named:
            raise CacheError(
                f"a cache must hold the rows of a backbone, and nothing of that can be read from "
                f"{path}: move it away, and `retrain bottlenecks` computes it anew"
            )
        with replacing(path) as draft:
            saved = _write(draft, pages, found, dict(known))
            kept_as = move_aside(path, leave=True)
    return Salvaged(saved, len(found.named) - saved, kept_as)


def move_aside(path: Path, *, leave: bool = False) -> Path:
    """Rename a database with its log, which must not meet the file that comes after it.

    Args:
        path: the file.
        leave: keep it under its old name, too, until something takes that place.

    Returns:
        The new name.
    """
    numbers = (n for n in range(1, 10_000) if not path.with_suffix(f".damaged-{n}").exists())
    aside = path.with_suffix(f".damaged-{next(numbers)}")
    try:
        if not leave:
            raise OSError
        os.link(path, aside)
    except OSError:  # or this disk knows no second names
        path.rename(aside)
    for side in _SIDE_FILES:
        with suppress(FileNotFoundError):
            path.with_name(path.name + side).rename(aside.with_name(aside.name + side))
    sync(path.parent)
    return aside


def _search(pages: Pages) -> _Found:
    found = _Found()
    for record in pages.records():
        match record:
            case [bytes() as digest, bytes() as vector, int()]:
                found.named.add(digest)
                if (sound := _sound_row(record)) is not None:
                    found.vectors[sound[0], len(vector)] += 1
            case [bytes() as digest, int()] if len(digest) == DIGEST_BYTES:  # of the index
                found.named.add(digest)
            case [bytes() as digest, int() as view, str(), str(), bytes(), bytes(), int()]:
                found.named.add((digest, view))
            case [bytes() as digest, int() as view, int()] if len(digest) == DIGEST_BYTES:
                found.named.add((digest, view))  # of the arrays' index
            case [str() as key, str() as value]:
                found.meta[key] = value
    return found


def _sound_row(record: Record) -> tuple[CacheDtype, VectorRow] | None:
    """A record that is a row of the cache, and sound, with its dtype."""
    match record:
        case [bytes() as digest, bytes() as vector, int() as checksum]:
            row = (digest, vector, checksum)
            dtype = dtype_of(row) if len(digest) == DIGEST_BYTES else None
            return (dtype, row) if dtype is not None else None
    return None


def _sound_array(record: Record) -> ArrayRow | None:
    """A record that is an array, and sound."""
    match record:
        case [bytes(), int(), str(), str(), bytes(), bytes(), int()]:
            row = ArrayRow(*record)  # type: ignore[arg-type]  # as just matched
            return row if len(row.digest) == DIGEST_BYTES and row.fault() is None else None
    return None


def _identity(found: _Found, path: Path) -> dict[str, Any] | None:
    """The backbone's identity as the file has it, if it is whole."""
    try:
        identity = dict(parse_json(found.meta["identity"]))
    except (KeyError, ValueError, TypeError):
        return None
    return identity if path.stem.endswith(f"-{identity_fingerprint(identity)}") else None


def _write(draft: Path, pages: Pages, found: _Found, identity: dict[str, Any]) -> int:
    """Write the sound rows; returns how many there are."""
    usual = max(found.vectors, key=lambda kind: found.vectors[kind], default=("float32", 0))
    dtype: CacheDtype = usual[0]
    width = usual[1] // DTYPES[dtype].itemsize
    read = (_sound_row(record) for record in pages.records())
    rows = (one[1] for one in read if one is not None and (one[0], len(one[1][1])) == usual)
    with BottleneckStore(draft, identity, dtype=dtype, width=width) as store:
        while chunk := list(islice(rows, _ROWS_AT_A_TIME)):
            store.put_rows(chunk, width, dtype)
        arrays = (row for row in map(_sound_array, pages.records()) if row is not None)
        while some := list(islice(arrays, _ARRAYS_AT_A_TIME)):
            store.arrays.put_rows(some)
        with suppress(KeyError, ValueError):  # it is measured again
            rate = found.meta["images_per_second"]
            store.set_meta("images_per_second", f"{float(rate):.3f}")
        return len(store) + len(store.arrays)
