"""Windows of one label that overlap share a group; windows of two labels never overlap."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from retrain_cli.signals.events import Event
from retrain_cli.signals.windows import (
    BETWEEN,
    EDGE,
    MEETING,
    Cutting,
    labelled_windows,
    plain_windows,
)

CUTTINGS = st.builds(
    Cutting,
    window=st.integers(4, 40),
    step=st.integers(1, 50),
    overlap=st.floats(1, 100),
    block=st.integers(1, 5),
)


@st.composite
def recordings(draw: st.DrawFn) -> tuple[int, Cutting, list[Event]]:
    cutting = draw(CUTTINGS)
    samples = draw(st.integers(cutting.window, 600))
    edges = st.tuples(st.integers(0, samples - 1), st.integers(1, 120), st.sampled_from("ab"))
    found = draw(st.lists(edges, max_size=6))
    events = [Event(start, min(start + length, samples), label) for start, length, label in found]
    return samples, cutting, sorted(events)


@settings(max_examples=150, deadline=None)
@given(recordings())
def test_what_overlaps_stays_together(made: tuple[int, Cutting, list[Event]]) -> None:
    samples, cutting, events = made
    cut = labelled_windows(samples, cutting, events, "normal")
    assert cut.kept == sorted(cut.kept)
    for one in cut.kept:
        for other in cut.kept:
            if abs(one.start - other.start) < cutting.window:
                assert (one.label, one.group) == (other.label, other.group)
    every = len(range(0, samples - cutting.window + 1, cutting.step))
    assert len(cut.kept) + cut.left_out.total() == every


@settings(max_examples=150, deadline=None)
@given(recordings())
def test_a_label_is_what_the_window_shows(made: tuple[int, Cutting, list[Event]]) -> None:
    samples, cutting, events = made
    for window in labelled_windows(samples, cutting, events, "normal").kept:
        end = window.start + cutting.window
        common = {
            event: max(0, min(event.end, end) - max(event.start, window.start)) for event in events
        }
        if window.label == "normal":
            assert not any(common.values())
            continue
        enough = [
            count >= cutting.overlap / 100 * min(event.end - event.start, cutting.window)
            for event, count in common.items()
            if count and event.label == window.label
        ]
        assert any(enough)


def test_an_event_is_not_cut_into_groups() -> None:
    cutting = Cutting(window=10, step=5, block=4)
    cut = labelled_windows(200, cutting, [Event(35, 70, "a")], "normal")
    groups = {window.group for window in cut.kept if window.label == "a"}
    assert groups == {30}  # 35 samples of one event, in a block of 40
    normal = sorted({window.group for window in cut.kept if window.label == "normal"})
    assert len(normal) > 2


def test_what_is_left_out_is_counted_by_its_reason() -> None:
    cutting = Cutting(window=10, step=1, overlap=60, block=2)
    cut = labelled_windows(200, cutting, [Event(100, 130, "a")], "normal")
    assert cut.left_out[EDGE] == 2 * 5  # five windows at each end hold a part below 6 of 10
    assert cut.left_out[MEETING] == 2 * 4  # these hold nothing of it, but share samples
    assert cut.left_out[BETWEEN] > 0


def test_long_recordings_become_many_groups() -> None:
    cut = plain_windows(10_000, Cutting(window=100, step=25, block=8), "hum")
    starts = sorted({window.group for window in cut.kept})
    assert len(starts) == 12  # windows of 875 samples from the first start to the last
    assert all(later - earlier >= 800 for earlier, later in pairwise(starts))


def test_without_labels_every_window_is_there() -> None:
    cut = plain_windows(1_000, Cutting(window=100, step=25))
    assert [window.start for window in cut.kept] == list(range(0, 901, 25))
    assert not cut.left_out
