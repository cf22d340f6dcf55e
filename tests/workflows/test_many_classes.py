"""Thousands of classes: pages, files and memory stay small, and what is left out is told."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import visit

from benchmarks import synthetic
from retrain_cli.datasets.splits import SPLITS
from retrain_cli.errors import RunError
from retrain_cli.evaluation import predictions as prediction_module
from retrain_cli.evaluation.curves.class_curves import Curves
from retrain_cli.evaluation.label_issues import Piece, find_label_issues, judge_labels
from retrain_cli.evaluation.predictions import Predictions
from retrain_cli.heads import validation
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.surgery.imprinting import KnownPhotos
from retrain_cli.heads.surgery.joining import log_sum_exp
from retrain_cli.heads.training import train_head
from retrain_cli.reports.content import LISTED_BEST, LISTED_WORST, Report
from retrain_cli.runs.run import Run
from retrain_cli.workflows import evaluate as evaluating
from retrain_cli.workflows.evaluate import EvalRequest, evaluate
from retrain_cli.workflows.report import ReportRequest, write_report
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

CLASSES = 3000


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("many") / "ws"
    made = synthetic.write_workspace(root, dict.fromkeys(SPLITS, CLASSES), CLASSES, 16, signal=2.0)
    train_run(TrainRequest(TrainingConfig(steps=60, learning_rate=0.1), name="many"), made)
    return made


@pytest.fixture(scope="module")
def page(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    path = tmp_path_factory.mktemp("page") / "many.html"
    request = ReportRequest(html=path, markdown=path.with_suffix(".md"), mistakes=0)
    return write_report(request, workspace).report, path


def test_the_page_lists_both_ends_and_says_where_the_others_are(page: tuple[Report, Path]) -> None:
    report, path = page
    shown = re.findall(r'<th scope="row">(class_\d+)</th>\n', path.read_text().split("<main>")[1])
    order = [row["class"] for row in report.evaluation["per_class"]]
    listed = [*order[:LISTED_WORST], *order[-LISTED_BEST:]]
    assert shown[: len(listed)] == listed
    text = " ".join(path.read_text().split())
    assert f"worst and the {LISTED_BEST} best of 3,000 classes; the search finds all" in text
    assert "<code>retrain eval many --csv</code>" in text
    assert "<code>retrain eval many --confused --csv</code>" in text
    assert path.stat().st_size < 2_000_000
    markdown = path.with_suffix(".md")
    assert "The 1,000 worst and the 200 best of 3,000 classes" in markdown.read_text()
    assert markdown.stat().st_size < 150_000


def test_the_search_finds_a_class_that_is_not_listed(page: tuple[Report, Path]) -> None:
    report, path = page
    row = report.evaluation["per_class"][LISTED_WORST + 7]
    with visit(path) as visited:
        find = visited.page.locator("#class-filter")
        find.fill(row["class"])
        cells = visited.page.locator("#found-classes tr").all_text_contents()
        assert visited.page.locator("#class-count").text_content() == "1 of 3,000 classes"
        find.fill("class_")
        count = visited.page.locator("#found-classes tr").count()
        last = visited.page.locator("#found-classes tr").last.text_content()
        find.fill("")
        assert visited.page.locator("#found-classes tr").count() == 0
    assert cells == [f"{row['class']}n/a1{row['top1']:.1%}{row['top5']:.1%}"]
    assert (count, last) == (201, f"and {CLASSES - LISTED_WORST - LISTED_BEST - 200:,} more")


def test_a_search_of_long_names_is_cut_short_and_says_so(
    page: tuple[Report, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from retrain_cli.reports import content
    from retrain_cli.reports.html import render_html

    report = Report(**{name: value for name, value in vars(page[0]).items() if name in FIELDS})
    monkeypatch.setattr(content, "_MOST_SEARCHED_BYTES", 10_000)
    found = LISTED_WORST + LISTED_BEST + len(report.other_classes)
    assert 1400 < found < 1600
    assert len(json.dumps(report.other_classes, separators=(",", ":"))) <= 10_001
    assert f"the search finds the {found:,} worst" in " ".join(render_html(report).split())


FIELDS = set(Report.__dataclass_fields__)


def test_saved_predictions_are_of_bounded_size(workspace: Workspace) -> None:
    path = workspace.runs_dir / "many" / "predictions.npz"
    assert path.stat().st_size < 3 * CLASSES * 1000
    assert Predictions.load(path).top_classes.shape == (3 * CLASSES, 100)


def test_curves_of_too_many_scores_are_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluating, "MOST_CURVE_SCORES", CLASSES**2 - 1)
    refused = evaluate(EvalRequest("many"), workspace)
    with pytest.raises(RunError, match=r"at most 8,999,999 of them, and 3,000 photos of 3,000"):
        _ = refused.curves
    assert refused.to_dict()["curves"] is None
    monkeypatch.setattr(evaluating, "MOST_CURVE_SCORES", CLASSES**2)
    assert isinstance(evaluate(EvalRequest("many"), workspace).curves_or_reason, Curves)


def test_no_matrix_of_photos_and_classes_is_held(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels are judged, a head is fitted and a class is imprinted on pieces of the scores."""
    monkeypatch.setattr(prediction_module, "_CHUNK_VALUES", 1)  # 256 photos at a time
    monkeypatch.setattr(validation, "_MOST_FITTED", 100 * CLASSES)
    data = synthetic.head_data(3 * CLASSES, CLASSES, 16)
    data = replace(data, training=data.training[: 2 * CLASSES], validation=data.training[CLASSES:])
    head = Run(workspace.runs_dir / "many").head
    trained = train_head(data, TrainingConfig(steps=1, eval_every=1))
    tracemalloc.start()
    fitted = validation.with_fitted_scores(trained, data, seed=0)
    known = KnownPhotos.of(head, data)
    chunks = list(prediction_module.chunks(len(data.labels), CLASSES))
    rows = [np.arange(len(data.labels))[part] for part in chunks]

    def pieces() -> Iterator[Piece]:
        return ((some, head.probabilities(data.bottlenecks[some])) for some in rows)

    found = find_label_issues(judge_labels(data.labels, CLASSES, pieces()), pieces())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(data.labels) * CLASSES * 4 / 4
    assert fitted.fit is None or fitted.fit.images == 100
    expected = log_sum_exp(head.logits(data.bottlenecks[data.training]))
    np.testing.assert_allclose(known.log_sums, expected, rtol=1e-5)
    assert len(found.rows)
