"""`retrain eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrain_cli.cli import console
from retrain_cli.cli.context import at_most_one, numbers, workspace_of
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
    confused: Annotated[
        bool, typer.Option("--confused", help="Print the most confused pairs of classes instead.")
    ] = False,
    coverage: Annotated[
        bool,
        typer.Option(
            "--coverage", help="Print instead how accurate the surest answers are, by their share."
        ),
    ] = False,
    positive: Annotated[
        str | None,
        typer.Option(help="With two classes: the positive one (default: the second by name)."),
    ] = None,
    calibrate: Annotated[
        bool | None,
        typer.Option(
            "--calibrate/--no-calibrate",
            help="Fit the scores to validation (temperature scaling) and keep that with the run: "
            "label and eval use it from then on; --no-calibrate undoes it.",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write a picture to this .png, .svg or .pdf file.")
    ] = None,
    chart: Annotated[
        str, typer.Option(help="Which picture: histogram, roc, pr, reliability or confusion.")
    ] = "histogram",
    assert_top1: Annotated[
        float | None, typer.Option(help="Exit with 4 where top-1 is below this, such as 0.9.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print the table as CSV.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show how good a run is, overall and for each class.

    INT top-1 and EXT top-1 are the means of the per-class accuracies over the classes that the
    backbone's pre-training knew, and over the new ones. The table shows the worst classes first;
    top-1 is the recall of a class.
    """
    from retrain_cli.cli.views import eval as view
    from retrain_cli.cli.views import eval_lists as lists
    from retrain_cli.cli.views.eval import show_coverage
    from retrain_cli.workflows.evaluate import EvalRequest, evaluate

    form = _form(csv, json)
    instead = {
        "--confusion": confusion,
        "--misclassified": misclassified,
        "--confused": confused,
        "--coverage": coverage,
    }
    at_most_one(instead)
    if assert_top1 is not None and not 0 <= assert_top1 <= 1:
        raise ConfigError(f"--assert-top1 must be from 0 to 1, not {assert_top1:g}")
    if calibrate is not None:
        _calibrate(ctx, run, calibrate, form)
        return
    ks = ((5,) if top5 else ()) + (numbers(top_k, "--top-k") if top_k else ())
    request = EvalRequest(run, split, (1, *ks), positive)
    with console.progress("scores") as update:
        evaluation = evaluate(
            request, workspace_of(ctx), lambda done, total: update(console.Step(done, total))
        )
        if plot is not None:
            from retrain_cli.workflows.evaluate import plot_chart

            plot_chart(evaluation, chart, plot)
            console.note(f"wrote {plot}")
        if not any(instead.values()):
            view.prepare(evaluation, form)
    if coverage:
        show_coverage(evaluation, form)
    elif confusion:
        lists.show_confusion(evaluation, form)
    elif misclassified:
        lists.show_misclassified(evaluation, form)
    elif confused:
        lists.show_confused(evaluation, form)
    else:
        view.show_evaluation(evaluation, form)
    if assert_top1 is not None:
        evaluation.assert_top1(assert_top1)


def _calibrate(ctx: typer.Context, run: str | None, wanted: bool, form: str) -> None:
    from retrain_cli.cli.views.eval import show_calibration
    from retrain_cli.workflows.calibrate import calibrate, remove_calibration

    if wanted:
        show_calibration(calibrate(run, workspace_of(ctx)), form)
    else:
        undone = remove_calibration(run, workspace_of(ctx))
        console.note(f"the scores of run {undone.name} are as trained again")


def _form(csv: bool, json: bool) -> str:
    at_most_one({"--csv": csv, "--json": json})
    return "json" if json else "csv" if csv else "text"
