"""The harness tells true ratios and takes turns; machine and photos are what they say."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import wait_for
from PIL import Image

from benchmarks import __main__ as command
from benchmarks import decoding
from benchmarks.machine import describe_machine
from benchmarks.photos import gather_photos
from benchmarks.timing import REAL_CLOCK, Clock, Contestant, compare, compare_rates
from retrain_cli.parallel import usable_processors


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


class Watch:
    """A clock that goes on when it is told."""

    def __init__(self) -> None:
        self.now = self.worked = 0.0
        self.clock = Clock(lambda: self.now, lambda: self.worked)

    def lasts(self, *seconds: float, share: float = 0.0) -> Callable[[], None]:
        """Something that takes so long, each time it is called, and works for a share of it."""
        durations = itertools.cycle(seconds)

        def run() -> None:
            duration = next(durations)
            self.now += duration
            self.worked += share * duration

        return run


def test_ratio_counts_what_each_works_through() -> None:
    watch = Watch()
    ours = Contestant("ours", watch.lasts(0.02), 10)  # 500 a second
    half = Contestant("half as fast", watch.lasts(0.04), 10)
    twice = Contestant("twice as fast", watch.lasts(0.04), 40)
    slower, faster = compare_rates(ours, [half, twice], "images", 5, watch.clock)
    assert (slower.ratio, slower.rate) == pytest.approx((2, 500))
    assert (faster.ratio, faster.reference_rate) == pytest.approx((0.5, 1000))
    assert slower.busy == 0


def test_the_median_of_the_rounds_is_told_with_the_extremes() -> None:
    watch = Watch()
    ours = Contestant("ours", watch.lasts(1.0), 1)
    uneven = Contestant("uneven", watch.lasts(1.0, 1.0, 2.0, 9.0), 1)  # one warms up
    (line,) = compare_rates(ours, [uneven], "calls", 3, watch.clock)
    assert (line.lowest, line.ratio, line.highest) == pytest.approx((1, 2, 9))


def test_busy_is_the_share_of_all_processors() -> None:
    watch = Watch()
    work = Contestant("work", watch.lasts(2.0, share=1.0), 1)
    rest = Contestant("rest", watch.lasts(2.0), 1)
    (line,) = compare_rates(work, [rest], "calls", 3, watch.clock)
    assert line.busy == pytest.approx(1 / usable_processors())


def test_the_real_clock_sees_time_and_work() -> None:
    now, worked = REAL_CLOCK.now(), REAL_CLOCK.worked()

    def work() -> bool:
        hashlib.sha256(b"0" * 1_000_000).digest()
        return REAL_CLOCK.worked() > worked

    wait_for(work, "a clock of work that goes on")
    assert REAL_CLOCK.now() > now


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
