"""`retrain search`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from inspect import Signature
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.axis_options import axes_of, axis_parameters
from retrain_cli.cli.context import check_plot, comma_separated, workspace_of
from retrain_cli.cli.grammar import check_goes_with
from retrain_cli.cli.options import Described, DryRun, Plot, TableForm
from retrain_cli.cli.signatures import Fields, chained
from retrain_cli.workflows.tuning.search_request import SearchRequest

if TYPE_CHECKING:
    from retrain_cli.workflows.tuning.search import SearchProgress


def _axes(**values: Any) -> dict[str, str]:
    """Try many settings on the cached bottlenecks, and keep the best as a run.

    A grid of all combinations of the values named, or with --random some of them by chance; with
    nothing named the usual settings. Each trial is kept as it ends, and the same command goes on
    where it was stopped. Validation photos choose, or --cv; the test photos are never looked at.
    """
    return axes_of(values)


_axes.__signature__ = Signature(list(axis_parameters()))  # type: ignore[attr-defined]
_axes.__annotations__ = {one.name: one.annotation for one in axis_parameters()}
_axes.__name__ = "search"


def _search(
    axes: Mapping[str, str],
    ctx: typer.Context,
    request: Annotated[
        SearchRequest,
        Fields(
            without=("axes", *(f"TrainingConfig.{name}" for name in _axes.__annotations__)),
            space="Settings that are ready to be searched; those named beside it take the place "
            "of its own. usual: learning rate, hidden layer, dropout, normalisation and l2, 30 "
            "at random; dense: a grid over a dense layer's activation, dropout, optimiser, batch "
            "and epochs.",
            backbone=Described(
                "Backbones to try, such as inception_v3,mobilenet_v2, whose bottlenecks of these "
                "photos are cached (default: the one last used).",
                parser=comma_separated,
                metavar="NAME,NAME,...",
            ),
            random="Draw so many settings, in place of all combinations.",
            halving="Train all a little, and the best 1 of --factor longer, round after round.",
            factor="Of --halving: 1 of so many goes on, and trains so many times as long.",
            cv="Judge by so many folds of all photos but the test photos.",
            by="What chooses: the log loss, of equals more right answers; or top-1, of equals the "
            "lower log loss.",
            workers="Trials at a time (default: one a core).",
            seed="Seed of all trials, and of what is drawn.",
        ),
    ],
    plan: DryRun,
    show_all: Annotated[bool, typer.Option("--all", help="List every trial, not the best 10.")],
    plot: Plot,
    form: TableForm,
) -> None:
    from retrain_cli.cli.views.tuning import search as view
    from retrain_cli.workflows.tuning.search import search
    from retrain_cli.workflows.tuning.search_plan import plan_search

    request = replace(request, axes=axes)
    check_goes_with(ctx, {"factor": "--factor"}, "--halving", given=request.halving)
    check_plot(plot)
    workspace = workspace_of(ctx)
    if plan:
        view.show_plan(plan_search(request, workspace), form)
        return
    with console.progress("search") as update:
        result = search(
            request,
            workspace,
            _teller(update),
            lambda: update(console.Step(0, 0, stage="training the best as a run")),
        )
    view.show_result(result, form, show_all=show_all)
    if plot is not None:
        view.draw(result, plot)
    summary = result.training
    if summary is not None and summary.interrupted_by is not None:
        kept = f"all trials are kept, and run {result.run} ended at step {summary.last_step:,}"
        raise interrupts.Interruption(summary.interrupted_by, kept)


def _teller(update: Callable[[console.Step], None]) -> Callable[[SearchProgress], None]:
    """Tells of each trial."""

    def tell(progress: SearchProgress) -> None:
        trials = progress.trials
        is_first = not trials.done
        if is_first and trials.kept:
            console.note(
                f"{trials.kept:,} trials were finished before; {trials.total:,} are left"
                + (f" in round {progress.rung}" if progress.n_rungs > 1 else "")
            )
        stage = f"round {progress.rung} of {progress.n_rungs}" if progress.n_rungs > 1 else ""
        best, detail = progress.best, ""
        if best is not None:
            detail = f"best log loss {best['log_loss']:.3f}, top-1 {best['top1']:.1%}"
        update(console.Step(trials.done, trials.total, detail, stage))

    return tell


search = chained(_axes, _search)
