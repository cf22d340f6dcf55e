"""Four processes at once fill a cache in parts, and one of them is killed and repeated."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import LIMIT, RETRAIN, TINY, Outcome, make_photos
from killing import wait_until_cached

from retrain_cli.cache.cache_files import cache_files
from retrain_cli.cache.store import open_to_read

pytestmark = pytest.mark.usefixtures("warm")


def rows_in(workspace: Path) -> list[tuple[bytes, bytes, int]]:
    (path,) = cache_files(workspace / "cache")
    with open_to_read(path) as store:
        return sorted(store.scan())


def test_four_processes_of_which_one_is_killed(
    retrain: Callable[..., Outcome], tmp_path: Path, environment: dict[str, str]
) -> None:
    photos = make_photos(tmp_path / "photos", {"ant": 160, "bee": 160, "cat": 160})
    (photos / "ant" / "bad.jpg").write_bytes(b"no image")
    command = [str(RETRAIN), "bottlenecks", str(photos), *TINY, "--batch-size", "2", "--shard"]
    shards = [
        subprocess.Popen(
            [*command, f"{number}/4"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number in (1, 2, 3, 4)
    ]
    victim = shards.pop(1)
    wait_until_cached(tmp_path, victim, 4, "shards/*/2/cache")
    victim.kill()
    victim.wait()
    assert [shard.wait(LIMIT) for shard in shards] == [0, 0, 0]

    merged = retrain("cache", "merge")
    assert "shard(s) 2 of 4 unfinished: compute and merge them, too" in merged.err
    again = retrain(*command[1:], "2/4", "--json").json
    assert again["shard"] == {"number": 2, "count": 4, "done": [1, 2, 3, 4], "missing": []}
    assert again["cached"] >= 4
    assert "all 4 shards are here; next: retrain bottlenecks" in retrain("cache", "merge").err

    summary = retrain("bottlenecks", photos, *TINY, "--json").json
    assert (summary["images"], summary["cached"], summary["computed"]) == (480, 480, 0)
    assert [one["path"] for one in summary["bad"]] == ["ant/bad.jpg"]
    retrain("bottlenecks", photos, *TINY, "--workspace", tmp_path / "whole")
    assert rows_in(tmp_path / ".retrain") == rows_in(tmp_path / "whole")
    assert retrain("train", "--optimizer", "ridge").code == 0
