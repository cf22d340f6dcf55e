"""Rows of one cache come into another: of a stranger, or of the file that one replaces."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from retrain_cli.cache.foreign import ForeignCache, open_foreign
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.cache.vector_parts import VectorPart
from retrain_cli.cache.vector_rows import CacheDtype
from retrain_cli.errors import CacheError, setting
from retrain_cli.workspace import replacing

_ROWS = 1000
_ARRAYS = 64  # one may have 63 MB


def take_rows(
    theirs: ForeignCache | VectorPart,
    ours: BottleneckStore,
    on_done: Callable[[int], None] = lambda done: None,
) -> None:
    """Put the sound rows of `theirs` that are not there yet, a thousand a transaction.

    Args:
        theirs: where they come from.
        ours: where they go.
        on_done: is told how many vectors were read.

    Raises:
        CacheError: as `BottleneckStore.put_rows`, or `theirs` is damaged.
    """
    vectors, arrays = theirs.vectors(), theirs.arrays()
    if theirs.layer_widths and not ours.layer_widths:
        ours.set_meta("layer_widths", theirs.layer_widths)
    done = 0
    while rows := list(islice(vectors, _ROWS)):
        ours.put_rows(rows, theirs.width or 0, theirs.dtype)
        done += len(rows)
        on_done(done)  # a stranger's count is not asked for
    while some := list(islice(arrays, _ARRAYS)):
        ours.arrays.put_rows(some)


def cast_cache(path: Path, identity: dict[str, Any], dtype: CacheDtype) -> int:
    """Let a cache file keep its vectors as `dtype`; one that does so already stays as it is.

    A new file takes the place of the old one in one step: whatever stops this loses nothing. Arrays
    have a dtype each, and stay as they are.

    Args:
        path: the file.
        identity: what makes its vectors comparable.
        dtype: float16, or float32 where it holds no vector yet.

    Returns:
        How many vectors were rounded.

    Raises:
        CacheError: rows of float16 are to become float32, a row is damaged, or a value is beyond
            the range of float16.
        WorkspaceError: the disk has no room for the new file beside the old one.
    """
    with BottleneckStore(path, identity) as old:
        if old.dtype == dtype:
            return 0
        if dtype == "float32" and len(old):
            raise CacheError(
                f"{path} keeps float16, and what rounding took is gone: leave "
                f"{setting('cache_dtype')} out, or delete the file to compute all of it anew"
            )
        rate = old.meta("images_per_second")
    with replacing(path) as draft:
        with (
            open_foreign(path) as theirs,
            BottleneckStore(draft, identity, dtype=dtype, width=theirs.width) as new,
        ):
            if rate:
                new.set_meta("images_per_second", rate)
            take_rows(theirs, new)
            rounded = len(new)
            if theirs.damaged:
                raise CacheError(
                    f"every row must be sound, and {len(theirs.damaged):,} in {path} are not: "
                    "`retrain cache verify --repair` removes them, then run again"
                )
        for side in ("-wal", "-shm"):  # the log of the old file must not meet the new one
            path.with_name(path.name + side).unlink(missing_ok=True)
    return rounded
