"""Pictures of an evaluation: each shows what the evaluation says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from helpers import make_photos
from matplotlib.patches import Rectangle

from retrain_cli.errors import ConfigError, RetrainError
from retrain_cli.evaluation import predictions as predictions_module
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.reports.plots.confusion_plot import draw_confusion
from retrain_cli.reports.plots.curve_plots import draw_precision_recall, draw_roc
from retrain_cli.reports.plots.plot_files import as_text
from retrain_cli.reports.plots.reliability_plot import draw_reliability
from retrain_cli.workflows.evaluate import (
    CHARTS,
    Chart,
    EvalRequest,
    Evaluation,
    evaluate,
    plot_chart,
)
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace


@pytest.fixture
def evaluation(tmp_path: Path, fill: Any, workspace: Workspace) -> Evaluation:
    """Hostile names, and mistakes: some photos lie in the wrong folder."""
    root = make_photos(tmp_path / "photos", {"a$x_1$": 20, "<b>&": 20, "猫": 20})
    for path in sorted((root / "猫").iterdir())[:6]:
        path.rename(root / "<b>&" / f"x{path.name}")
    fill(root)
    train_run(TrainRequest(TrainingConfig(steps=60, testing_percentage=40)), workspace)
    return evaluate(EvalRequest(), workspace)


# Where no font has CJK letters, that is told.
glyphs = pytest.mark.filterwarnings(
    "ignore:the fonts of this machine lack letters:UserWarning",
    "ignore:Glyph .* missing:UserWarning",  # of a figure that is not saved
)


@glyphs
@pytest.mark.parametrize("chart", CHARTS)
def test_every_chart_is_drawn(evaluation: Evaluation, chart: Chart, tmp_path: Path) -> None:
    for suffix, start in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        path = tmp_path / f"{chart}.{suffix}"
        plot_chart(evaluation, chart, path)
        assert path.read_bytes().startswith(start)


def test_what_cannot_be_drawn_is_refused(evaluation: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="chart takes one of histogram, roc"):
        plot_chart(evaluation, "pie", tmp_path / "x.png")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="plot"):
        plot_chart(evaluation, "roc", tmp_path / "x.gif")
    assert not list(tmp_path.glob("x.*"))


@glyphs
def test_the_curves_of_the_picture_are_those_of_the_evaluation(evaluation: Evaluation) -> None:
    curves = evaluation.curves
    for draw, points in (
        (draw_roc, curves.micro.roc()),
        (draw_precision_recall, curves.micro.precision_recall()),
    ):
        (axes,) = draw(evaluation.result, curves).axes
        lines = {str(line.get_label()).split(",")[0]: line for line in axes.get_lines()}
        np.testing.assert_allclose(np.asarray(lines["micro"].get_xdata()), np.asarray(points[0]))
        np.testing.assert_allclose(np.asarray(lines["micro"].get_ydata()), np.asarray(points[1]))


def test_the_bars_of_the_reliability_diagram_are_its_bins(evaluation: Evaluation) -> None:
    reliability = evaluation.result.reliability
    assert reliability is not None
    figure = draw_reliability(evaluation.result, reliability)
    heights = [cast(Rectangle, bar).get_height() for bar in figure.axes[1].patches]
    assert heights == reliability.n_images.tolist()


def test_the_cells_of_the_matrix_are_the_counts(evaluation: Evaluation) -> None:
    axes = draw_confusion(evaluation.result).axes[0]
    cells = [int(text.get_text()) for text in axes.texts]
    assert cells == evaluation.result.confusion().ravel().tolist()
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [
        as_text(name) for name in evaluation.result.class_names
    ]


def test_no_curves_are_drawn_of_scores_that_are_not_to_be_had(
    evaluation: Evaluation, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(predictions_module, "_MOST_SAVED", 1)
    monkeypatch.setattr(predictions_module, "_FEWEST_SAVED", 1)
    train_run(TrainRequest(TrainingConfig(steps=5, testing_percentage=40)), workspace)
    for path in workspace.cache_dir.glob("*.sqlite*"):
        path.unlink()
    with pytest.raises(RetrainError, match="bottlenecks"):
        plot_chart(evaluate(EvalRequest(), workspace), "roc", tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_names_are_shown_as_they_are() -> None:
    assert as_text("a$x$") == r"a\$x\$"
    assert as_text("a\nb") == "a?b"
    assert len(as_text("x" * 100)) == 60
