"""Which shards a workspace has merged, and whether they belong together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain_cli.datasets.shards import Shard
from retrain_cli.errors import CacheError, setting
from retrain_cli.workflows.sharding.shard_place import ShardRecord
from retrain_cli.workspace import Workspace

_KEY = "merged_shards"
_OF, _BEFORE = " of ", "what was merged here before"

Shards = Sequence[tuple[Path, ShardRecord]]
"""Workspaces of shards with what they say of themselves."""


@dataclass(frozen=True, slots=True)
class ShardSet:
    """The shards of one dataset that were merged.

    Attributes:
        backbone: what computed them.
        image_dir: the image folder, as the last of them calls it.
        count: how many there should be.
        unfinished: numbers of those that did not come to their end.
        missing: numbers of those that were never merged.
    """

    backbone: str
    image_dir: str
    count: int
    unfinished: tuple[int, ...]
    missing: tuple[int, ...]


def check_alike(shards: Shards, workspace: Workspace) -> None:
    """Hold shards of one dataset, with those merged earlier, to be of one backbone.

    Raises:
        CacheError: they are not.
    """
    known = _merged(workspace)
    first: dict[str, tuple[str, str, str]] = {
        name.partition(_OF)[0]: (entry["fingerprint"], entry["backbone"], _BEFORE)
        for name, entry in known.items()
    }
    for folder, record in shards:
        mine = (record.fingerprint, record.backbone, f"shard {record.shard} in {folder}")
        other = first.setdefault(record.asked, mine)
        if other[0] != record.fingerprint:
            raise CacheError(
                f"all shards of a dataset are computed alike, and {mine[2]} by {mine[1]} "
                f"[{mine[0]}] but {other[2]} by {other[1]} [{other[0]}]: compute it again with "
                f"{setting('settled', 'FOLDER')}, a copy of what the first shard settled; nothing "
                "was merged"
            )


def remember_shards(shards: Shards, workspace: Workspace) -> list[ShardSet]:
    """Keep in the workspace which shards are in it; returns where their datasets stand."""
    known = _merged(workspace)
    by_set: dict[str, list[ShardRecord]] = defaultdict(list)
    for _, record in shards:
        by_set[f"{record.asked}{_OF}{record.dataset}"].append(record)
    sets = []
    for name, records in by_set.items():
        before = known.get(name, {"done": [], "unfinished": []})
        done = {*before["done"], *_numbers(record for record in records if record.complete)}
        partly = {*before["unfinished"], *_numbers(records)} - done
        last = records[-1]
        known[name] = {
            "fingerprint": last.fingerprint,
            "backbone": last.backbone,
            "done": sorted(done),
            "unfinished": sorted(partly),
        }
        count = Shard.parse(last.shard).count
        missing = tuple(n for n in range(1, count + 1) if n not in done | partly)
        sets.append(ShardSet(last.backbone, last.image_dir, count, tuple(sorted(partly)), missing))
    if sets:
        workspace.write_state({**workspace.read_state(), _KEY: known})
    return sets


def _numbers(records: Iterable[ShardRecord]) -> set[int]:
    return {Shard.parse(record.shard).number for record in records}


def _merged(workspace: Workspace) -> dict[str, Any]:
    known = workspace.read_state().get(_KEY)
    return dict(known) if isinstance(known, dict) else {}
