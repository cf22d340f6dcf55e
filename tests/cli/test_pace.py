"""The clock and the time left of progress, and the line that tells them."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator

import pytest
from helpers import wait_for
from rich.console import Console

from retrain_cli import waiting
from retrain_cli.cli import console, progress_display
from retrain_cli.cli.pace import Pace, Step, story
from retrain_cli.cli.progress_display import Bar, Lines


class Clock:
    """A clock that a test turns on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def pace_at(clock: Clock) -> Pace:
    return Pace(clock)


def test_loading_and_converting_are_no_work() -> None:
    clock = Clock()
    pace = pace_at(clock)
    pace.take(Step(0, 0, stage="converting the network"))
    clock.now += 250
    assert story(pace, 80) == "4m 10s, converting the network"
    pace.take(Step(0, 971))
    clock.now += 20  # the first batch also loads and compiles the network
    pace.take(Step(1, 971))
    assert story(pace, 80) == "1/971, 20s"
    clock.now += 2
    pace.take(Step(21, 971))
    assert story(pace, 80) == "21/971, 22s, 1m 35s left"


def test_the_time_left_goes_on_between_two_results() -> None:
    clock = Clock()
    pace = pace_at(clock)
    pace.take(Step(1, 101))
    clock.now += 10
    pace.take(Step(11, 101))
    assert pace.seconds_left == pytest.approx(90)
    clock.now += 30
    assert pace.seconds_left == pytest.approx(60)
    clock.now += 300
    assert pace.seconds_left == 0


def test_each_stage_has_a_clock_and_a_rate_of_its_own() -> None:
    clock = Clock()
    pace = pace_at(clock)
    pace.take(Step(1, 3, stage="looking"))
    clock.now += 50
    pace.take(Step(2, 3, stage="looking"))
    assert pace.seconds_left == pytest.approx(50)
    pace.take(Step(1, 100, stage="judging"))
    assert pace.seconds_left is None
    assert pace.seconds == 0
    clock.now += 2
    pace.take(Step(3, 100, stage="judging"))
    assert pace.seconds_left == pytest.approx(97)


def test_what_is_waited_for_in_between_does_not_count() -> None:
    clock = Clock()
    pace = pace_at(clock)
    pace.take(Step(10, 100))
    clock.now += 1
    pace.take(Step(20, 100))
    pace.wait("loading TensorFlow")
    clock.now += 100
    assert story(pace, 80) == "20/100, 1m 40s, loading TensorFlow"
    pace.wait("")
    assert pace.seconds_left is None
    pace.take(Step(30, 100))
    clock.now += 2
    pace.take(Step(50, 100))
    assert pace.seconds_left == pytest.approx(5)


def test_a_clock_that_hardly_moved_gives_no_rate() -> None:
    clock = Clock()
    pace = pace_at(clock)
    pace.take(Step(1, 10))
    clock.now += 0.01
    pace.take(Step(2, 10))
    assert pace.seconds_left is None


def test_no_number_is_cut_on_a_narrow_terminal() -> None:
    clock = Clock()
    pace = pace_at(clock)
    parts = ["loss 0.1234", "training 98.1%", "validation 97.0%", "best 97.3% at 900"]
    pace.take(Step(1, 10_000, ", ".join(parts)))
    clock.now += 10
    pace.take(Step(1_001, 10_000, ", ".join(parts)))
    for width in range(30, 120):
        shown = story(pace, width)
        assert len(shown) <= width
        whole = ["1,001/10,000", "10s", "1m 30s left", *parts]
        assert shown.split(", ") == whole[: len(shown.split(", "))]


def test_without_a_total_the_rate_is_told() -> None:
    clock = Clock()
    pace = pace_at(clock)
    pace.take(Step(1, 0))
    clock.now += 4
    pace.take(Step(11, 0))
    assert story(pace, 80) == "11 done, 4s, 2.5 a second"


def test_waits_are_told_from_any_thread_the_innermost_first() -> None:
    heard: list[str] = []
    with waiting.told(heard.append):
        with waiting.for_("loading the network"):
            thread = threading.Thread(target=wait_inside)
            thread.start()
            thread.join()
        with pytest.raises(ValueError, match="no"), waiting.for_("failing"):
            raise ValueError("no")
    assert heard == [
        *("loading the network", "loading TensorFlow", "loading the network", ""),
        *("failing", ""),
    ]


def wait_inside() -> None:
    with waiting.for_("loading TensorFlow"):
        pass


@pytest.fixture
def screen() -> Iterator[Console]:
    with io.StringIO() as file:
        yield Console(width=80, file=file, force_terminal=True, color_system=None)


def seen(screen: Console) -> str:
    shown = screen.file
    assert isinstance(shown, io.StringIO)
    return shown.getvalue()


def test_a_bar_says_what_is_waited_for_with_a_clock(screen: Console) -> None:
    bar = Bar("training", screen)
    bar.wait("loading TensorFlow")
    wait_for(lambda: "0s, loading TensorFlow" in seen(screen), "the words")
    wait_for(lambda: "1s, loading TensorFlow" in seen(screen), "the clock")
    bar.wait("")
    bar.take(Step(200, 1000, "loss 0.5"))
    wait_for(lambda: "200/1,000, 0s, loss 0.5" in seen(screen), "the count")
    bar.close()
    assert "/?" not in seen(screen)


def test_a_bar_goes_away_for_a_result(screen: Console) -> None:
    bar = Bar("labelling", screen)
    bar.take(Step(1, 2))
    wait_for(lambda: "1/2" in seen(screen), "the bar")
    bar.hide()
    before = seen(screen)
    bar.hide()
    assert seen(screen) == before
    bar.take(Step(2, 2))
    wait_for(lambda: "2/2" in seen(screen), "the bar again")
    bar.close()
    bar.take(Step(2, 2))
    after = seen(screen)
    assert after.count("\x1b[?25l") == after.count("\x1b[?25h"), "the cursor is back"


def test_a_hostile_detail_does_not_reach_the_terminal(screen: Console) -> None:
    bar = Bar("study", screen)
    bar.take(Step(1, 2, "class \x1b]0;title\x07[red]"))
    wait_for(lambda: "\\x1b]0;title\\x07[red]" in seen(screen), "the class")
    bar.close()


def test_in_a_pipe_a_stage_is_told_at_once_and_a_long_wait_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress_display, "_PATIENCE", 0.0)
    said: list[str] = []
    lines = Lines("training", said.append)
    lines.take(Step(0, 0, stage="converting the network"))
    lines.take(Step(0, 0, stage="converting the network"))
    assert said == ["training: converting the network"]
    lines.wait("loading TensorFlow")
    wait_for(lambda: len(said) > 1, "the wait")
    assert said[1] in {f"training: {seconds}s, loading TensorFlow" for seconds in (0, 1)}
    lines.close()


def test_in_a_pipe_a_line_comes_even_if_nothing_is_finished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress_display, "_SECONDS_BETWEEN_LINES", 0.5)
    said: list[str] = []
    lines = Lines("checking", said.append)
    lines.take(Step(3, 10, stage="judging the labels"))
    wait_for(lambda: len(said) > 1, "two lines")
    assert said[0].startswith("checking: 3/10, ")
    assert said[0].endswith(", judging the labels")
    lines.close()


def test_quiet_shows_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    console.configure(quiet=True, verbose=False)
    try:
        with console.progress("training") as update, waiting.for_("loading"):
            update(Step(0, 0, stage="converting"))
        assert capfd.readouterr().err == ""
    finally:
        console.configure(quiet=False, verbose=False)


def test_short_waits_change_neither_clock_nor_rate() -> None:
    clock = Clock()
    pace = pace_at(clock)
    pace.take(Step(10, 100))
    for fold in range(1, 5):
        clock.now += 1
        pace.take(Step(10 + 10 * fold, 100))
        pace.wait("looking for GPUs")
        clock.now += 0.5
        assert story(pace, 80).endswith(", 0s, looking for GPUs")
        pace.wait("")
    assert pace.seconds == 6
    clock.now += 1
    pace.take(Step(60, 100))
    assert pace.rate == pytest.approx(10)
