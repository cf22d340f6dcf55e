"""When to kill a command: as soon as its cache holds so much."""

from __future__ import annotations

import subprocess
from pathlib import Path

from helpers import wait_for

from retrain_cli.cache.store import open_to_read
from retrain_cli.errors import CacheError


def wait_until_cached(
    folder: Path, process: subprocess.Popen[bytes], least: int, place: str = "cache"
) -> None:
    """Wait until the cache of a workspace, or another one within it, holds so many bottlenecks."""

    def cached() -> bool:
        assert process.poll() is None, "it ended before it was to be killed"
        logs = (folder / ".retrain").glob(f"{place}/*.sqlite-wal")
        # Before there is a log, a reader could get in the way of the one who makes the file.
        return any(rows_of(log.with_name(log.name[: -len("-wal")])) >= least for log in logs)

    wait_for(cached, f"{least} bottlenecks in the cache")


def rows_of(path: Path) -> int:
    """Bottlenecks in a cache that another process fills; -1 before it has a table."""
    try:
        with open_to_read(path) as store:
            return len(store)
    except CacheError:
        return -1
