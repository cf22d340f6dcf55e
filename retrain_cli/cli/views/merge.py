"""How the outcome of `retrain cache merge` looks."""

from __future__ import annotations

from retrain_cli.cli import console
from retrain_cli.runs.shell import shell_line
from retrain_cli.workflows.sharding.merged_shards import ShardSet
from retrain_cli.workflows.sharding.merging import MergeSummary
from retrain_cli.workflows.sharding.shard_place import in_words


def show_merge(merged: MergeSummary) -> None:
    """Print what is new, and which shards are there."""
    for check in merged.caches:
        console.line(f"{check.name}: {check.added:,} new, {check.bottlenecks:,} in all")
        if check.arrays:
            console.line(
                f"{check.name}: {check.added_arrays:,} arrays new, {check.arrays:,} in all"
            )
        if check.left_out:
            console.warn(f"{check.name}: {len(check.left_out):,} damaged rows were left out")
    for shards in merged.shards:
        _show_shards(shards)


def _show_shards(shards: ShardSet) -> None:
    for numbers, what in ((shards.missing, "missing"), (shards.unfinished, "unfinished")):
        if numbers:
            console.warn(
                f"{shards.backbone}: shard(s) {in_words(numbers)} of {shards.count} {what}: "
                "compute and merge them, too"
            )
    if not shards.missing and not shards.unfinished:
        again = shell_line(("retrain", "bottlenecks", shards.image_dir))
        console.note(f"all {shards.count} shards are here; next: {again}")
