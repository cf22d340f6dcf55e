"""Rows of photos that nobody needs any more leave a cache, some at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection

from retrain_cli import interrupts
from retrain_cli.cache.store import BottleneckStore

_AT_ONCE = 5_000


def sweep(
    store: BottleneckStore,
    known: Collection[bytes],
    *,
    dry_run: bool = False,
    on_row: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Remove the rows of all digests but these, each few thousand rows for good.

    What was removed is not looked for again, so that an interrupted call is gone on with by the
    next one: looking alone takes about a second for a million rows.

    Args:
        store: the cache.
        known: digests that stay.
        dry_run: count them only.
        on_row: is told how many rows of how many are looked at.

    Returns:
        How many rows there were.

    Raises:
        KeyboardInterrupt: Ctrl-C; what was removed stays removed.
        CacheError: the disk is full.
    """
    done, removed, total = 0, 0, len(store) + len(store.arrays)
    with interrupts.held():
        last = b""
        while digests := store.digests_after(last, _AT_ONCE):
            unused = [digest for digest in digests if digest not in known]
            removed += len(unused) if dry_run else store.delete(unused)
            last, done = digests[-1], done + len(digests)
            on_row(done, total)
            interrupts.check()
        last_key = (b"", -1)
        while keys := store.arrays.keys_after(last_key, _AT_ONCE):
            gone = [key for key in keys if key[0] not in known]
            removed += len(gone) if dry_run else store.arrays.remove(gone)
            last_key, done = keys[-1], done + len(keys)
            on_row(done, total)
            interrupts.check()
        if not dry_run and (removed or store.free_pages):
            store.give_back()
    return removed
