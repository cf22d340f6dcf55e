"""`retrain eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrain_cli.cli import console
from retrain_cli.cli.context import numbers, workspace_of
from retrain_cli.errors import ConfigError


def evaluate(
    ctx: typer.Context,
    run: Annotated[str | None, typer.Option(help="Run to evaluate (default: the latest).")] = None,
    split: Annotated[
        str,
        typer.Option(
            help="training, validation, test, all; cv for each image of `train --cv`, judged by a "
            "head that never saw it."
        ),
    ] = "test",
    top5: Annotated[bool, typer.Option("--top5", help="Also top-5.")] = False,
    top_k: Annotated[str | None, typer.Option(help="Also top-k for these k, such as 3,5.")] = None,
    confusion: Annotated[
        bool, typer.Option("--confusion", help="Print the confusion matrix instead.")
    ] = False,
    misclassified: Annotated[
        bool,
        typer.Option(
            "--misclassified",
            help="Print the mistakes instead: path, true, predicted, score; tab-separated in a "
            "pipe.",
        ),
    ] = False,
    coverage: Annotated[
        bool,
        typer.Option("--coverage", help="Print accuracy against coverage instead: the surest."),
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Write the histogram to this .png, .svg or .pdf file.")
    ] = None,
    assert_top1: Annotated[
        float | None, typer.Option(help="Exit with 4 where top-1 is below this, such as 0.9.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print the table as CSV.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show how good a run is, overall and for each class.

    INT top-1 and EXT top-1 are the means of the per-class accuracies over the classes that the
    backbone's pre-training knew, and over the new ones. The table shows the worst classes first.
    """
    from retrain_cli.cli import eval_view as view
    from retrain_cli.workflows.evaluate import EvalRequest, evaluate

    _at_most_one("--csv", csv, "--json", json)
    _at_most_one("--confusion", confusion, "--misclassified", misclassified)
    if assert_top1 is not None and not 0 <= assert_top1 <= 1:
        raise ConfigError(f"--assert-top1 must be from 0 to 1, not {assert_top1:g}")
    ks = ((5,) if top5 else ()) + (numbers(top_k, "--top-k") if top_k else ())
    evaluation = evaluate(EvalRequest(run, split, (1, *ks)), workspace_of(ctx))
    if plot is not None:
        from retrain_cli.reports.histogram import plot_histogram

        plot_histogram(evaluation.result, plot)
        console.note(f"wrote {plot}")
    form = "json" if json else "csv" if csv else "text"
    if coverage:
        from retrain_cli.cli.coverage_view import show_coverage

        show_coverage(evaluation, form)
    elif confusion:
        view.show_confusion(evaluation, form)
    elif misclassified:
        view.show_misclassified(evaluation, form)
    else:
        view.show_evaluation(evaluation, form)
    if assert_top1 is not None:
        evaluation.assert_top1(assert_top1)


def _at_most_one(first: str, is_first: bool, second: str, is_second: bool) -> None:
    if is_first and is_second:
        raise ConfigError(f"choose one of {first} and {second}, not both")
