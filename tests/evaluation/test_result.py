from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.figures import Measured, document
from retrain_cli.evaluation.result import HISTOGRAM_BINS, EvalResult

ORIGINS = [
    ClassOrigin("ant", "INT"),
    ClassOrigin("bee", "EXT"),
    ClassOrigin("cat", "INT"),
    ClassOrigin("dog", "EXT"),
]


def make_result(
    rows: list[tuple[int, int, int]], origins: list[ClassOrigin] = ORIGINS, ks: Any = (1, 2, 5)
) -> EvalResult:
    """A result of rows (true, rank of the true, predicted)."""
    true, rank, predicted = np.array(rows, int).reshape(-1, 3).T
    return EvalResult.from_counts(
        EvalCounts.count(true, rank, predicted, len(origins), ks), origins
    )


# ant: 2 of 2; bee: 1 of 2, once taken for cat; cat: 0 of 3, twice for dog, once for ant; dog: none.
RESULT = make_result([(0, 1, 0), (0, 1, 0), (1, 1, 1), (1, 2, 2), (2, 2, 3), (2, 3, 3), (2, 4, 0)])


def test_accuracies() -> None:
    top1, top2, top5 = RESULT.top
    assert [top.k for top in RESULT.top] == [1, 2, 5]
    assert top1.overall.value == pytest.approx(3 / 7)
    assert top1.macro.value == pytest.approx((1 + 0.5 + 0) / 3)
    assert top1.int_macro.value == pytest.approx(0.5)
    assert top1.ext_macro.value == pytest.approx(0.5)
    assert top2.overall.value == pytest.approx(5 / 7)
    assert top2.int_macro.value == pytest.approx((1 + 1 / 3) / 2)
    assert (top5.overall, top5.macro, top5.int_macro, top5.ext_macro) == (None,) * 4


def test_classes_without_images_are_counted_apart() -> None:
    assert (RESULT.n_images, RESULT.n_classes, RESULT.n_empty_classes) == (7, 4, 1)
    assert (RESULT.n_int_classes, RESULT.n_ext_classes) == (2, 1)


def test_the_worst_class_comes_first_and_those_without_images_last() -> None:
    assert [row.class_name for row in RESULT.classes] == ["cat", "bee", "ant", "dog"]
    cat, _, ant, dog = RESULT.classes
    assert (cat.top, cat.confused_with, cat.confused_count) == ((0, 1 / 3, None), "dog", 2)
    assert (ant.top1, ant.confused_with, ant.confused_count) == (1, None, 0)
    assert (dog.n_images, dog.top) == (0, (None, None, None))


def test_a_top_k_of_all_classes_is_not_defined() -> None:
    assert make_result([(0, 1, 0)], ks=(1, 4)).top[1].overall is None
    assert make_result([(0, 1, 0)], ks=(1, 3)).top[1].overall is not None


def test_histogram() -> None:
    histogram = RESULT.histogram
    assert dict(zip(HISTOGRAM_BINS, histogram.all, strict=True)) == {
        **dict.fromkeys(HISTOGRAM_BINS, 0),
        "0%": 1,
        "40-50%": 1,
        "90-100%": 1,
    }
    assert (sum(histogram.int_classes), sum(histogram.ext_classes)) == (2, 1)


@pytest.mark.parametrize(
    ("hits", "n", "place"),
    [
        (0, 7, 0),
        (1, 100, 1),
        (1, 10, 1),
        (3, 10, 3),
        (31, 100, 4),
        (7, 10, 7),
        (9, 10, 9),
        (99, 100, 10),
    ],
)
def test_a_bin_holds_its_upper_edge(hits: int, n: int, place: int) -> None:
    rows = [(0, 1, 0)] * hits + [(0, 2, 1)] * (n - hits)
    assert make_result(rows).histogram.all[place] == 1


def test_unknown_origins_have_no_int_or_ext_figures() -> None:
    result = make_result([(0, 1, 0), (1, 1, 1)], [ClassOrigin(n, None) for n in "abc"])
    assert (result.top1.int_macro, result.top1.ext_macro) == (None, None)
    assert sum(result.histogram.all) == 2
    assert sum(result.histogram.int_classes) + sum(result.histogram.ext_classes) == 0


def test_a_split_without_images_has_no_figures() -> None:
    result = make_result([])
    assert (result.n_images, result.n_empty_classes, result.top1.overall) == (0, 4, None)
    assert sum(result.histogram.all) == 0


def test_json_has_null_where_a_figure_is_not_defined() -> None:
    values = json.loads(json.dumps(document(Measured(RESULT)), allow_nan=False))
    assert [top["k"] for top in values["top"]] == [1, 2, 5]
    assert values["top"][2]["overall"] is None
    assert values["per_class"][0] == {
        "class": "cat",
        "origin": "INT",
        "images": 3,
        "top1": 0,
        "top2": pytest.approx(1 / 3),
        "top5": None,
        "precision": 0,
        "recall": 0,
        "f1": 0,
        "confused_with": "dog",
        "confused_count": 2,
    }


def test_evaluation_needs_no_engine() -> None:
    code = (
        "import sys, retrain_cli.evaluation.result, retrain_cli.runs.run, "
        "retrain_cli.reports.plots.histogram_plot as h; "
        "heavy = {'keras', 'tensorflow', 'matplotlib', 'scipy'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
