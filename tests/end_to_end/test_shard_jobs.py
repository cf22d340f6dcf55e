"""Commands that open photos, with photos in shards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from helpers import QUICK_HEAD, TINY, Outcome
from shards import samples_of, write_shard


def test_commands_find_the_photos_again(
    photos: Path, tmp_path: Path, retrain_here: Callable[..., Outcome]
) -> None:
    retrain, shards = retrain_here, tmp_path / "shards"
    for number in range(3):
        write_shard(shards / f"set-00{number}.tar", samples_of(photos, number))
    assert retrain("bottlenecks", shards / "set-{000..002}.tar", *TINY).code == 0
    assert retrain("train", *QUICK_HEAD).code == 0
    photo = shards / "set-000.tar" / "ant" / "0000.png"
    similar = retrain("similar", photo, "-k", "1")
    assert "/shards/set-00" in similar.out
    assert retrain("label", photo).code == 0
    check = retrain("check", "--json").json
    assert (check["not_looked_at"], check["moves"]) == ([], [])
    assert "set-{000..002}.tar" in retrain("check", "--script", "moves.txt").refused(2)
