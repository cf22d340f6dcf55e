"""The harness tells true ratios and takes turns; machine and photos are what they say."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import __main__ as command
from benchmarks import decoding
from benchmarks.machine import describe_machine
from benchmarks.photos import gather_photos
from benchmarks.timing import Contestant, compare, compare_rates


def test_contestants_take_turns_after_one_warm_up() -> None:
    calls: list[str] = []
    compare(
        ("ours", lambda: calls.append("o")),
        [("a", lambda: calls.append("a")), ("b", lambda: calls.append("b"))],
        1,
        "calls",
        3,
    )
    assert "".join(calls) == "oab" * 4


def test_ratio_counts_what_each_works_through() -> None:
    ours = Contestant("ours", lambda: time.sleep(0.02), 10)  # 500 a second
    (line,) = compare_rates(
        ours, [Contestant("half as fast", lambda: time.sleep(0.04), 10)], "images", 5
    )
    assert line.ratio == pytest.approx(2, rel=0.3)
    assert line.lowest <= line.ratio <= line.highest
    (line,) = compare_rates(
        ours, [Contestant("twice as fast", lambda: time.sleep(0.04), 40)], "images", 5
    )
    assert line.ratio == pytest.approx(0.5, rel=0.3)
    assert line.rate == pytest.approx(500, rel=0.3)
    assert line.busy < 0.5  # sleeping is no work


def test_busy_counts_work() -> None:
    def work() -> None:
        until = time.process_time() + 0.1
        while time.process_time() < until:
            hashlib.sha256(b"0" * 1000).digest()

    (line,) = compare(("work", work), [("sleep", lambda: time.sleep(0.01))], 1, "calls", 3)
    assert line.busy > 0.02


def test_photos_are_made_up_or_taken_evenly(tmp_path: Path) -> None:
    assert gather_photos(None, tmp_path / "made", 24, side=80) == 24
    made = sorted((tmp_path / "made").rglob("*.jpg"))
    assert len({path.read_bytes() for path in made}) == 24
    with Image.open(made[0]) as image:
        assert image.size == (80, 60)
    assert gather_photos(tmp_path / "made", tmp_path / "some", 10) == 10
    taken = {path.read_bytes() for path in (tmp_path / "some").rglob("*.jpg")}
    by_class = [
        taken & {p.read_bytes() for p in c.iterdir()} for c in (tmp_path / "made").iterdir()
    ]
    assert [len(photos) for photos in by_class] == [1] * 10


def test_decoding_alone_compares_both_kinds_of_readers() -> None:
    (line,) = decoding.measure(None, 20, (32,), 1)
    assert "processes" in line.what
    assert "threads" in line.reference
    assert line.rate > 0
    assert line.reference_rate > 0


def test_the_machine_is_described() -> None:
    machine = describe_machine()
    assert machine.processors >= 1
    assert {"python", "keras", "numpy", "openvino"} <= set(machine.versions)


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.parse(["extracton"])
    assert "no such part: extracton" in capsys.readouterr().err


def test_quick_is_one_round_unless_told() -> None:
    assert command.parse(["--quick"]).repeats == 1
    assert command.parse(["--quick", "--repeats", "3"]).repeats == 3
    assert command.parse([]).repeats == 5
