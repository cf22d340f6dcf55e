"""The model of docs/scale.md: a sum and a minimum."""

from __future__ import annotations

from dataclasses import replace

import pytest
from simulate_scale import PLACES, Place, check, duration, forecast, here, size, table

from benchmarks.scale import Constants, ScalePoint, line_through

CONSTANTS = Constants(
    backbone="mini",
    width=8,
    processors=2,
    busy=0.5,
    start=10.0,
    photo=0.02,
    decoding=0.005,
    forward=0.012,
    known=1e-4,
    photo_bytes=1e5,
    disk_bytes=5000.0,
    disk_start=1e6,
    memory_bytes=1000.0,
    memory_start=400.0,
)


def test_a_line_goes_through_both_points() -> None:
    few, many = (ScalePoint(n, 0.0, 3.0 + 0.5 * n, 0.0, 0) for n in (100, 900))
    slope, start = line_through(few, many, "processor_seconds")
    assert slope == pytest.approx(0.5)
    assert start == pytest.approx(3.0)


def test_processors_share_all_the_work() -> None:
    found = forecast(CONSTANTS, here(CONSTANTS), 1000)  # 10 + 1000 x 0.02, by 2 x 0.5 processors
    assert found.seconds == pytest.approx(30.0)
    assert found.limit == "processors"
    assert found.disk_bytes == pytest.approx(6e6)
    assert found.memory_bytes == pytest.approx(401e6)


def test_with_a_gpu_the_slower_side_decides() -> None:
    slow, fast = (Place("one GPU", 2, gpu=rate) for rate in (50.0, 1e6))
    assert forecast(CONSTANTS, slow, 10_000).seconds == pytest.approx(210.0)
    found = forecast(CONSTANTS, fast, 10_000)  # what is left to the processors: 8 ms
    assert found.seconds == pytest.approx(90.0)
    assert found.limit == "processors"


def test_a_thin_line_or_slow_answers_limit_a_worker() -> None:
    thin = Place("thin", 64, line=1e6)  # ten photos a second
    assert forecast(CONSTANTS, thin, 1000).limit == "network"
    far = Place("far", 64, latency=10.0, in_flight=4, line=1e9)
    assert forecast(CONSTANTS, far, 1000).limit == "requests"


def test_workers_divide_the_photos_and_one_machine_merges() -> None:
    one, many = (Place("cluster", 2, workers=n) for n in (1, 10))
    alone, shared = (forecast(CONSTANTS, place, 10**6) for place in (one, many))
    merging = 0.9 / 20_000 * 10**6
    assert shared.seconds == pytest.approx(10 + (alone.seconds - 10) / 10 + merging)
    assert shared.machine_hours > alone.machine_hours


def test_the_check_fails_beyond_a_fifth() -> None:
    found = forecast(CONSTANTS, here(CONSTANTS), 4000)
    point = ScalePoint(4000, found.seconds, 0.0, found.memory_bytes / 1e6, int(found.disk_bytes))
    text, good = check(CONSTANTS, [point])
    assert good and text.count("| 1.00 |") == 3
    assert not check(CONSTANTS, [replace(point, seconds=1.3 * point.seconds)])[1]


def test_the_table_has_every_size_and_place() -> None:
    rows = table(CONSTANTS).splitlines()[2:]
    assert len(rows) == 5 * len(PLACES)
    assert rows[-1].startswith("| 1,000,000,000 |")
    assert (duration(59), duration(7200), size(2.5e12)) == ("59.0 s", "2.0 h", "2.5 TB")
