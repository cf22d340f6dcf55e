"""A check of every row of a cache file that can be interrupted and goes on in the next call.

Where it stands is kept in the file itself, in `meta`, by rowid: rows that come later have higher
ones. Whoever removes rows makes it begin anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass

from retrain_cli import interrupts, waiting
from retrain_cli.cache.row_counts import VERIFIED
from retrain_cli.cache.store import BottleneckStore, Damage
from retrain_cli.cache.vector_rows import row_fault
from retrain_cli.checks import check_types
from retrain_cli.errors import CacheError, DamagedFileError
from retrain_cli.files import parse_json

RowTold = Callable[[int, int], None]
"""Is told how many rows of how many are checked."""

_AT_ONCE = 500
_BETWEEN_NOTES = 20_000
"""Rows that a killed command checks a second time, at most."""


@dataclass
class Verified:
    """What is checked of a file.

    Attributes:
        rows: how many.
        vectors_to: rowid of the last one among the vectors.
        arrays_to: likewise among the arrays.
        damaged: what was found; of a damaged file itself nothing is kept.
    """

    rows: int = 0
    vectors_to: int = 0
    arrays_to: int = 0
    damaged: tuple[Damage, ...] = ()

    @classmethod
    def load(cls, store: BottleneckStore) -> Verified:
        """What an interrupted check kept; nothing where there was none."""
        with suppress(ValueError, TypeError, KeyError):
            known = dict(parse_json(store.meta(VERIFIED) or ""))
            known["damaged"] = tuple(Damage(**one) for one in known["damaged"])
            verified = cls(**known)
            for record in (verified, *verified.damaged):
                check_types(record)
            return verified
        return cls()

    def save(self, store: BottleneckStore) -> None:
        """Keep it, where the file can be written and the disk has room."""
        if not store.read_only:
            with suppress(CacheError):
                store.set_meta(VERIFIED, json.dumps(asdict(self)))


def verify_store(store: BottleneckStore, on_row: RowTold = lambda done, total: None) -> Verified:
    """Check the file and each row, from where an interrupted check stopped.

    Args:
        store: the cache; what is checked is kept in it until all is.
        on_row: is told now and then.

    Returns:
        All that is checked now; `damaged` is empty where all is well.

    Raises:
        KeyboardInterrupt: Ctrl-C; what was checked is kept.
    """
    verified = Verified.load(store)
    try:
        if not verified.rows:
            verified.damaged += _file_faults(store)
        is_whole = all(damage.digest for damage in verified.damaged)
        _ = store.identity, store.images_per_second  # raise where they are damaged
        total = len(store) + len(store.arrays)
        noted = verified.rows
        with interrupts.held():
            for _ in _steps(store, verified):
                on_row(verified.rows, total)
                stops = interrupts.is_asked()
                if is_whole and (stops or verified.rows - noted >= _BETWEEN_NOTES):
                    verified.save(store)
                    noted = verified.rows
                interrupts.check()
        if is_whole and not store.read_only:
            with suppress(CacheError):  # there is no room to write
                store.forget_verified()
                store.recount()
    except DamagedFileError as error:
        verified.damaged += (Damage("", error.reason),)
    return verified


def _file_faults(store: BottleneckStore) -> tuple[Damage, ...]:
    with waiting.for_(f"checking {store.path.name}"):
        return tuple(Damage("", text) for text in store.file_faults())


def _steps(store: BottleneckStore, verified: Verified) -> Iterator[None]:
    """Check some rows at a time."""
    width = store.width or 0
    while rows := store.rows_after(verified.vectors_to, _AT_ONCE):
        for rowid, row in rows:
            if reason := row_fault(row, width, store.dtype):
                verified.damaged += (Damage(bytes(row[0]).hex(), reason),)
            verified.vectors_to = rowid
        verified.rows += len(rows)
        yield
    while arrays := store.arrays.rows_after(verified.arrays_to, _AT_ONCE):
        for rowid, array in arrays:
            if reason := array.fault():
                verified.damaged += (Damage(bytes(array.digest).hex(), reason, array.view),)
            verified.arrays_to = rowid
        verified.rows += len(arrays)
        yield
