"""A figure that is described once is shown everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from retrain_cli.cli import console
from retrain_cli.cli.views.eval import show_evaluation
from retrain_cli.evaluation import figures
from retrain_cli.evaluation.comparing.origin_difference import OriginDifference
from retrain_cli.evaluation.figures import ClassFigure, Figure, Headline
from retrain_cli.evaluation.intervals import Estimate
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.reports.html import render_html
from retrain_cli.reports.markdown import render_markdown
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.evaluate import EvalRequest, evaluate
from retrain_cli.workflows.report import ReportRequest, make_report
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

SHARE = Estimate(0.4321, 0.4, 0.5)
CONFIG = TrainingConfig(steps=20, eval_every=10, batch_size=20)


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """One figure of each kind, described where CONTRIBUTING.md says."""
    toy = Figure("toy", "toy of it all", lambda measured: SHARE)
    toy_class = ClassFigure("toy_class", "toy class", lambda measured, row: 0.25, "number")
    toy_headline = Headline("toy_top", "Toy top", lambda result: SHARE, lambda result: "of toys")
    monkeypatch.setattr(figures, "FIGURES", (*figures.FIGURES, toy))
    monkeypatch.setattr(figures, "CLASS_FIGURES", (*figures.CLASS_FIGURES, toy_class))
    monkeypatch.setattr(figures, "HEADLINES", (*figures.HEADLINES, toy_headline))


def shown(form: console.Form, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    show_evaluation(evaluate(EvalRequest(ks=(1, 5)), workspace), form, full=True)
    return capsys.readouterr().out


@pytest.mark.usefixtures("toys")
def test_one_description_is_seen_in_every_form(
    photos: Path, fill: Any, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(photos)
    train_run(TrainRequest(CONFIG, cv=2), workspace)
    lines = shown("text", workspace, capsys).splitlines()
    assert [line.split() for line in lines if line.startswith("toy of it all")] == [
        ["toy", "of", "it", "all", "43.2%", "40.0-50.0%"]
    ]
    assert any("toy class" in line for line in lines)
    header, *rows = shown("csv", workspace, capsys).splitlines()
    place = header.split(",").index("toy class")
    assert {row.split(",")[place] for row in rows} == {"0.25"}
    document = json.loads(shown("json", workspace, capsys))
    assert document["toy"] == SHARE.to_dict()
    assert [row["toy_class"] for row in document["per_class"]] == [0.25] * 3
    report = make_report(ReportRequest(mistakes=0, map_method="none"), workspace)
    for page in (render_html(report), render_markdown(report)):
        assert "toy of it all" in page
        assert "oy class" in page
        assert "Toy top" in page
    assert RunStore(workspace.runs_dir).latest().metrics["test"]["toy_top"] == SHARE.value


def test_folds_of_a_run_older_than_a_figure_open(
    photos: Path,
    fill: Any,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(photos)
    train_run(TrainRequest(CONFIG, cv=2), workspace)
    young = Headline("young", "Young", lambda result: SHARE, lambda result: "of toys")
    monkeypatch.setattr(figures, "HEADLINES", (*figures.HEADLINES, young))
    report = make_report(ReportRequest(mistakes=0, map_method="none"), workspace)
    assert report.cross_validation is not None
    assert "top1" in report.cross_validation
    render_html(report)
    render_markdown(report)


def test_int_and_ext_are_compared_over_classes(
    photos: Path, fill: Any, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(photos)
    train_run(TrainRequest(CONFIG), workspace)
    found = evaluate(EvalRequest(split="all"), workspace)
    n_int, n_ext = found.result.n_int_classes, found.result.n_ext_classes
    assert "INT - EXT" not in shown("text", workspace, capsys)  # one of a kind is no sample
    assert min(n_int, n_ext) < 2
    two = OriginDifference(Estimate(0.034, -0.007, 0.076), 0.29, 21, 39)
    object.__setattr__(found.result, "int_ext_difference", two)
    for full in (True, False):
        capsys.readouterr()
        show_evaluation(found, "text", full=full)
        assert (
            "INT - EXT +3.4 points, over classes -0.7 to +7.6 (95% CI), p 0.29"
            in capsys.readouterr().out
        )
