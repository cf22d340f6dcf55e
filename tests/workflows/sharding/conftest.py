"""Shards of one small dataset."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retrain_cli.workflows.summaries.bottleneck_summary import BottleneckSummary

COUNT = 4


@pytest.fixture
def mixed(photos: Path) -> Path:
    """Photos among which are a bad one, a note and a copy."""
    (photos / "ant" / "bad.jpg").write_bytes(b"no image")
    (photos / "bee" / "note.txt").write_text("a note")
    shutil.copy(photos / "bee" / "0001.png", photos / "ant" / "copy.png")
    return photos


@pytest.fixture
def fill_shards(fill: Any, mixed: Path) -> Callable[..., list[BottleneckSummary]]:
    def run(*numbers: int, **changes: Any) -> list[BottleneckSummary]:
        every = numbers or range(1, COUNT + 1)
        return [fill(mixed, shard=f"{number}/{COUNT}", **changes) for number in every]

    return run
