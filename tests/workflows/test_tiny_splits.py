"""Splits that hold next to nothing: what is not defined is null, with a reason, and never NaN."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from helpers import make_photos

from retrain_cli.errors import RetrainError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.reports.html import render_html
from retrain_cli.reports.markdown import render_markdown
from retrain_cli.workflows.calibrate import calibrate
from retrain_cli.workflows.compare import compare_runs
from retrain_cli.workflows.evaluate import _CHARTS, EvalRequest, evaluate, plot_chart
from retrain_cli.workflows.report import ReportRequest, make_report
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace, to_json

CASES: dict[str, dict[str, dict[str, int]]] = {
    "one class in test": {
        "train": {"ant": 8, "bee": 8},
        "validation": {"ant": 3, "bee": 3},
        "test": {"bee": 6},
    },
    "one photo in test": {
        "train": {"ant": 8, "bee": 8, "cat": 8},
        "validation": {"ant": 3, "bee": 3, "cat": 3},
        "test": {"cat": 1},
    },
    "one class in validation": {
        "train": {"ant": 8, "bee": 8, "cat": 8},
        "validation": {"ant": 5},
        "test": {"ant": 3, "bee": 3},
    },
    "one photo in validation": {
        "train": {"ant": 8, "bee": 8},
        "validation": {"ant": 1},
        "test": {"ant": 3, "bee": 3},
    },
    "no test": {"train": {"ant": 8, "bee": 8}, "validation": {"ant": 3, "bee": 3}},
    "no validation": {"train": {"ant": 8, "bee": 8}, "test": {"ant": 3, "bee": 3}},
    "one photo of a class": {
        "train": {"ant": 8, "bee": 1},
        "validation": {"ant": 3},
        "test": {"ant": 3},
    },
}


@pytest.fixture(params=CASES)
def trained(request: Any, tmp_path: Path, fill: Any, workspace: Workspace) -> Workspace:
    for number, (split, classes) in enumerate(CASES[request.param].items()):
        make_photos(tmp_path / "photos" / split, classes, seed=number)
    fill(tmp_path / "photos")
    for name in ("run", "other"):
        config = TrainingConfig(optimizer="lbfgs", steps=5)
        train_run(TrainRequest(config, name=name), workspace)
    return workspace


SPLITS: tuple[Literal["validation", "test"], ...] = ("validation", "test")


@pytest.mark.parametrize("split", SPLITS)
def test_all_figures_are_json(trained: Workspace, split: Any, tmp_path: Path) -> None:
    try:
        evaluation = evaluate(EvalRequest("run", split, (1, 5)), trained)
    except RetrainError as error:
        assert split in str(error)
        return
    to_json(evaluation.to_dict())
    for chart in _CHARTS:
        plot_chart(evaluation, chart, tmp_path / f"{chart}.svg")
        assert (tmp_path / f"{chart}.svg").stat().st_size > 1000


@pytest.mark.parametrize("split", SPLITS)
def test_a_report_says_what_is_not_defined(trained: Workspace, split: Any) -> None:
    try:
        report = make_report(ReportRequest("run", split), trained)
    except RetrainError as error:
        assert split in str(error)
        return
    page = render_html(report)
    assert "NaN" not in page.partition("<script")[0]
    render_markdown(report)
    if report.evaluation["curves"] and report.evaluation["curves"]["macro_auc"] is None:
        assert "photos of one class alone" in report.missing["mean of the classes' curves"]


def test_what_follows_is_defined_or_refused(trained: Workspace) -> None:
    for act in (
        lambda: [one.to_dict() for one in compare_runs(["run", "other"], trained)],
        lambda: calibrate("run", trained).to_dict(),
        lambda: evaluate(EvalRequest("run", "test", (1,)), trained).to_dict(),
    ):
        try:
            found = act()
        except RetrainError:
            continue
        to_json(found)
