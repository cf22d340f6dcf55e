"""Pictures as measured: nothing leaves the edges, classes have names, axes end at 100%."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.curves.class_curves import Curves, curves_of
from retrain_cli.evaluation.reliability import N_BINS, Reliability
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.evaluation.scores import AllScores
from retrain_cli.reports.charts import Chart, Series
from retrain_cli.reports.plots.confusion_plot import draw_confusion
from retrain_cli.reports.plots.curve_plots import draw_precision_recall, draw_roc
from retrain_cli.reports.plots.histogram_plot import draw_histogram
from retrain_cli.reports.plots.plot_files import as_text
from retrain_cli.reports.plots.reliability_plot import draw_reliability
from retrain_cli.reports.plots.study_plots import _draw
from retrain_cli.reports.text import plain

NAMES = {
    "two": ["cat", "dog"],
    "long": [f"a_class_whose_name_has_sixty_letters_and_ends_in_a_number_{i}" for i in range(8)],
    "many": [f"class {number:03}" for number in range(60)],
}
SEVERAL = {name: names for name, names in NAMES.items() if name != "many"}


def evaluated(names: Sequence[str]) -> tuple[EvalResult, Curves]:
    """An evaluation that is mostly right."""
    generator, n, each = np.random.default_rng(0), len(names), 20
    labels = np.repeat(np.arange(n), each)
    scores = np.exp(3 * np.eye(n)[labels] + generator.normal(size=(len(labels), n)))
    scores = (scores / scores.sum(1, keepdims=True)).astype(np.float32)
    own, best = scores[np.arange(len(labels)), labels], scores.max(1).astype(float)
    rank = 1 + (scores > own[:, None]).sum(1)
    counts = EvalCounts.count(labels, rank, scores.argmax(1), n)
    bins = np.clip(np.ceil(best * N_BINS).astype(int) - 1, 0, N_BINS - 1)
    losses = -np.log(own)
    reliability = Reliability(
        np.bincount(bins, minlength=N_BINS),
        np.bincount(bins[rank == 1], minlength=N_BINS),
        np.bincount(bins, best, N_BINS).astype(np.float64),
        float(losses.sum()),
        float((losses**2).sum()),
        float((losses**3).sum()),
        float(losses[rank > 1].sum()),
    )
    origins = [ClassOrigin(name, "INT" if i % 3 else "EXT") for i, name in enumerate(names)]
    result = EvalResult.from_counts(counts, origins, reliability=reliability)
    all_scores = AllScores(labels.astype(np.int32), n, own, lambda: iter([scores]))
    return result, curves_of(all_scores, lambda done, total: None)


DRAWN: dict[str, Callable[[EvalResult, Curves], Any]] = {
    "roc": draw_roc,
    "pr": draw_precision_recall,
    "confusion": lambda result, curves: draw_confusion(result),
    "histogram": lambda result, curves: draw_histogram(result),
    "reliability": lambda result, curves: draw_reliability(result, result.reliability),  # type: ignore[arg-type]
}


def parts(figure: Any) -> list[Any]:
    """What is written and drawn outside of the axes' own squares."""
    found = list(figure.legends)
    for axes in figure.axes:
        found += [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label, axes]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = axis.get_major_ticks()
            found += [tick.label1 for tick in ticks if low <= tick.get_loc() <= high]
        found.append(axes.get_legend())
    return [one for one in found if one is not None and one.get_visible()]


def check_inside(figure: Any) -> None:
    """No text, no legend and no axes reach over the edge of the picture."""
    figure.draw_without_rendering()
    width, height = figure.bbox.width, figure.bbox.height
    for one in parts(figure):
        box = one.get_window_extent()
        text = getattr(one, "get_text", lambda: "axes or legend")()
        if box.width and text:
            assert box.x0 >= -1, text
            assert box.y0 >= -1, text
            assert box.x1 <= width + 1, text
            assert box.y1 <= height + 1, text


def check_apart(figure: Any) -> None:
    """The legend beside a drawing does not cover it."""
    figure.draw_without_rendering()
    for legend in figure.legends:
        assert legend.get_window_extent().x0 >= figure.axes[0].get_window_extent().x1 - 1


@pytest.mark.parametrize("kind", DRAWN)
@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_nothing_is_cut_at_the_edge(kind: str, names: list[str]) -> None:
    figure = DRAWN[kind](*evaluated(names))
    check_inside(figure)
    check_apart(figure)


@pytest.mark.parametrize("kind", ["roc", "pr"])
@pytest.mark.parametrize("names", SEVERAL.values(), ids=SEVERAL)
def test_each_of_a_few_classes_is_named_in_the_legend(kind: str, names: list[str]) -> None:
    figure = DRAWN[kind](*evaluated(names))
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    for name in names:
        assert sum(entry.startswith(f"{name}, ") for entry in shown) == 1, shown


@pytest.mark.parametrize("kind", ["roc", "pr"])
def test_of_many_classes_the_legend_counts_those_without_a_name(kind: str) -> None:
    figure = DRAWN[kind](*evaluated(NAMES["many"]))
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "56 other classes" in shown
    assert sum(entry.startswith("class ") for entry in shown) == 4


def test_areas_are_rounded_as_in_the_table() -> None:
    result, curves = evaluated(NAMES["long"])
    estimate = curves.macro_auc
    assert estimate is not None
    shown = [text.get_text() for text in draw_roc(result, curves).legends[0].get_texts()]
    value, low, high = map(plain, (estimate.value, estimate.low, estimate.high))
    assert f"macro, AUC {value} ({low}-{high})" in shown


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_the_matrix_names_every_class(names: list[str]) -> None:
    axes = draw_confusion(evaluated(names)[0]).axes[0]
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == names


def test_names_in_the_matrix_do_not_touch() -> None:
    figure = draw_confusion(evaluated([f"class {number:03}" for number in range(180)])[0])
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    ends = sorted((box.y0, box.y1) for box in boxes)
    assert all(top <= bottom for (_, top), (bottom, _) in itertools.pairwise(ends))


def test_very_long_names_of_a_kind_are_told_apart() -> None:
    assert as_text("x" * 200 + "1") != as_text("x" * 200 + "2")


@pytest.mark.parametrize("kind", ["roc", "pr", "reliability"])
def test_shares_end_at_1(kind: str) -> None:
    axes = DRAWN[kind](*evaluated(NAMES["two"])).axes[0]
    assert axes.get_xlim() == (0, 1)
    assert axes.get_ylim() == (0, 1)


@pytest.mark.parametrize("bars", [False, True])
def test_the_axis_of_a_study_ends_at_100_percent(bars: bool) -> None:
    series = Series("top-1", [1, 2, 3], [0.9, 0.98, 1.0], [0.8, 0.95, 0.99], [1.0, 1.01, 1.02])
    figure = _draw([Chart("", "images", "accuracy", (series,), bars=bars)])
    assert figure.axes[0].get_ylim()[1] <= 1
    check_inside(figure)


def test_long_ticks_of_a_study_stand_beside_each_other() -> None:
    ticks = tuple(enumerate(f"{name} of some length" for name in "abcdef"))
    series = Series("hours", list(range(6)), [1.0] * 6)
    figure = _draw([Chart("", "", "hours", (series,), ticks, bars=True, shares=False)])
    check_inside(figure)
    figure.draw_without_rendering()
    boxes = sorted(label.get_window_extent().bounds for label in figure.axes[0].get_xticklabels())
    assert all(a[0] + a[2] <= b[0] for a, b in itertools.pairwise(boxes))
