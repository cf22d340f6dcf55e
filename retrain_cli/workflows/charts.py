"""`retrain eval --plot`: an evaluation as one of several pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from retrain_cli.errors import ConfigError
from retrain_cli.evaluation.reliability import Reliability
from retrain_cli.reports.confusion_plot import draw_confusion
from retrain_cli.reports.curve_plots import draw_precision_recall, draw_roc
from retrain_cli.reports.figures import save_figure
from retrain_cli.reports.histogram import draw_histogram
from retrain_cli.reports.reliability_plot import draw_reliability
from retrain_cli.workflows.evaluate import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CHARTS: dict[str, Callable[[Evaluation], Figure]] = {
    "histogram": lambda evaluation: draw_histogram(evaluation.result),
    "roc": lambda evaluation: draw_roc(evaluation.result, evaluation.curves),
    "pr": lambda evaluation: draw_precision_recall(evaluation.result, evaluation.curves),
    "reliability": lambda evaluation: draw_reliability(evaluation.result, _reliability(evaluation)),
    "confusion": lambda evaluation: draw_confusion(evaluation.result),
}
CHARTS = tuple(_CHARTS)


def plot_chart(evaluation: Evaluation, chart: str, path: Path) -> None:
    """Write a picture of an evaluation.

    Args:
        evaluation: what to show.
        chart: one of `CHARTS`.
        path: a file that ends in .png, .svg or .pdf.

    Raises:
        ConfigError: no such chart, or another suffix.
        RetrainError: the scores for it are not to be had, or the file cannot be written.
    """
    if chart not in _CHARTS:
        raise ConfigError(f"--chart takes one of {', '.join(CHARTS)}, not {chart!r}")
    save_figure(lambda: _CHARTS[chart](evaluation), path)


def _reliability(evaluation: Evaluation) -> Reliability:
    reliability = evaluation.result.reliability
    assert reliability is not None  # every evaluation of a run has it
    return reliability
