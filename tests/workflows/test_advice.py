"""A slow run hears of the faster way, any other run does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import SMALL_SPEC

from retrain_cli.workflows.summaries import bottleneck_summary as advice


@pytest.fixture
def slow(photos: Path, fill: Any) -> Any:
    summary = fill(photos)
    return replace(summary, computed=10_000, images_per_second=20.0, device="cpu:0")


def test_a_slow_run_hears_of_eight_bits(slow: Any) -> None:
    assert "--precision int8" in advice.faster_next_time(slow)
    assert "four times" in advice.faster_next_time(slow)


def test_a_quick_run_a_gpu_and_eight_bits_hear_nothing(slow: Any) -> None:
    assert advice.faster_next_time(replace(slow, computed=100)) == ""
    assert advice.faster_next_time(replace(slow, images_per_second=None)) == ""
    assert advice.faster_next_time(replace(slow, device="gpu:0")) == ""
    eight = replace(slow.used, backbone=replace(SMALL_SPEC, precision="int8", runtime="openvino"))
    assert advice.faster_next_time(replace(slow, used=eight)) == ""


def test_what_is_missing_is_named(slow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice, "find_spec", lambda name: None)
    assert "pip install 'retrain-cli[fast-cpu]'" in advice.faster_next_time(slow)
    monkeypatch.setattr(advice, "has_openvino", lambda: False)
    assert "pip install openvino" in advice.faster_next_time(slow)
