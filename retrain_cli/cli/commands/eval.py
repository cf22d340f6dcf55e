"""`retrain eval`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from retrain_cli.cli import console
from retrain_cli.cli.context import at_most_one, numbers, workspace_of
from retrain_cli.cli.grammar import check_goes_with
from retrain_cli.cli.options import Described, TableForm
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.errors import ConfigError
from retrain_cli.workflows.evaluate import ChartRequest, EvalRequest


@command
def evaluate(
    ctx: typer.Context,
    request: Annotated[
        EvalRequest,
        Fields(
            without=("ks",),
            run=Described("Run to show (default: latest).", is_argument=True, and_option=True),
            split="Which photos; cv: each image of `train --cv`, judged by a head that never saw "
            "it.",
            positive="With two classes: the positive one (default: the second by name).",
        ),
    ],
    top5: Annotated[bool, typer.Option("--top5", help="Also top-5.")],
    top_k: Annotated[
        str | None,
        typer.Option("--top-k", "-k", help="Also top-k for these k, such as 3,5."),
    ],
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Print all: every class, averages, areas under curves, intervals, histogram.",
        ),
    ],
    confusion: Annotated[
        bool, typer.Option("--confusion", help="Print the confusion matrix instead.")
    ],
    misclassified: Annotated[
        bool,
        typer.Option(
            "--misclassified",
            help="Print the mistakes instead: path, true, predicted, score; tab-separated in a "
            "pipe.",
        ),
    ],
    confused: Annotated[
        bool, typer.Option("--confused", help="Print the most confused pairs of classes instead.")
    ],
    coverage: Annotated[
        bool,
        typer.Option(
            "--coverage", help="Print instead how accurate the surest answers are, by their share."
        ),
    ],
    calibrate: Annotated[
        bool | None,
        typer.Option(
            "--calibrate/--no-calibrate",
            help="Fit the scores to validation (temperature scaling) and keep that with the run: "
            "label and eval use it from then on; --no-calibrate undoes it.",
            show_default=False,
        ),
    ],
    picture: Annotated[
        ChartRequest,
        Fields(plot="Write a picture to this .png, .svg or .pdf file.", chart="Which picture."),
    ],
    assert_top1: Annotated[
        float | None, typer.Option(help="Exit with 4 where top-1 is below this, such as 0.9.")
    ],
    form: TableForm,
) -> None:
    """Show how good a run is, overall and for each class.

    INT top-1 and EXT top-1 are the means of the per-class accuracies over the classes that the
    backbone's pre-training knew, and over the new ones. The table shows the worst classes, as many
    as a screen holds beside the figures; top-1 is the recall of a class.
    """
    from retrain_cli.cli.views import eval as view
    from retrain_cli.cli.views import eval_lists as lists
    from retrain_cli.cli.views.eval_scores import show_coverage
    from retrain_cli.workflows.evaluate import evaluate, plot_chart

    instead = {
        "--confusion": confusion,
        "--misclassified": misclassified,
        "--confused": confused,
        "--coverage": coverage,
    }
    at_most_one({"--full": full, **instead})
    check_goes_with(ctx, {"chart": "--chart"}, "--plot FILE", given=picture.plot is not None)
    if assert_top1 is not None and not 0 <= assert_top1 <= 1:
        raise ConfigError(f"--assert-top1 must be from 0 to 1, not {assert_top1:g}")
    if calibrate is not None:
        _calibrate(ctx, request.run, calibrate, form)
        return
    also = ((5,) if top5 else ()) + (numbers(top_k, "EvalRequest.ks") if top_k else ())
    request = replace(request, ks=(*request.ks, *also))
    with console.progress("scores") as update:
        evaluation = evaluate(
            request, workspace_of(ctx), lambda done, total: update(console.Step(done, total))
        )
        if picture.plot is not None:
            plot_chart(evaluation, picture.chart, picture.plot)
            console.note(f"wrote {picture.plot}")
        if not any(instead.values()):
            view.prepare(evaluation, form, full=full)
    if coverage:
        show_coverage(evaluation, form)
    elif confusion:
        lists.show_confusion(evaluation, form)
    elif misclassified:
        lists.show_misclassified(evaluation, form)
    elif confused:
        lists.show_confused(evaluation, form)
    else:
        view.show_evaluation(evaluation, form, full=full)
    if assert_top1 is not None:
        evaluation.assert_top1(assert_top1)


def _calibrate(ctx: typer.Context, run: str | None, wanted: bool, form: console.Form) -> None:
    from retrain_cli.cli.views.eval_scores import show_calibration
    from retrain_cli.workflows.calibrate import calibrate, remove_calibration

    if wanted:
        with console.progress("calibrating"):
            done = calibrate(run, workspace_of(ctx))
        show_calibration(done, form)
    else:
        undone = remove_calibration(run, workspace_of(ctx))
        console.note(f"the scores of run {undone.name} are as trained again")
