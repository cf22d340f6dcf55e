"""`retrain train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrain_cli.cli import console
from retrain_cli.cli.context import byte_count, comma_separated, workspace_of
from retrain_cli.errors import ConfigError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.reports.text import NOT_DEFINED, percent

if TYPE_CHECKING:
    from retrain_cli.evaluation.comparing.fold_figures import FoldFigures, FoldMean
    from retrain_cli.evaluation.intervals import Estimate
    from retrain_cli.heads.cross_validation import FoldProgress
    from retrain_cli.heads.history import TrainingProgress
    from retrain_cli.workflows.train import TrainingSummary

_DEFAULT = TrainingConfig()

FOLDS_NOTE = (
    "each image was judged by a head that never saw it; the interval is Student's t over the "
    "folds; next: retrain eval --split cv"
)


def train(
    ctx: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Image folder; its bottlenecks are computed first where they are not cached, with "
            "the backbone last used (default: the folder last used).",
        ),
    ] = None,
    rescan: Annotated[
        bool,
        typer.Option(
            "--rescan", help="With --data: read every photo again, also those that look unchanged."
        ),
    ] = False,
    steps: Annotated[
        int, typer.Option(help="Optimiser steps, one batch each; for lbfgs the most iterations.")
    ] = _DEFAULT.steps,
    optimizer: Annotated[
        str, typer.Option(help="adam, sgd, rmsprop, adamax, nadam, adamw, or lbfgs (full batch).")
    ] = _DEFAULT.optimizer,
    learning_rate: Annotated[float, typer.Option(help="Step size.")] = _DEFAULT.learning_rate,
    epsilon: Annotated[
        float, typer.Option(help="Epsilon of the optimisers that have one.")
    ] = _DEFAULT.epsilon,
    batch_size: Annotated[int, typer.Option(help="Images a step.")] = _DEFAULT.batch_size,
    testing_percentage: Annotated[
        float, typer.Option(help="Share of the images for test.")
    ] = _DEFAULT.testing_percentage,
    validation_percentage: Annotated[
        float, typer.Option(help="Share of the images for validation.")
    ] = _DEFAULT.validation_percentage,
    sampling: Annotated[
        str, typer.Option(help="balanced (a class first, then one of its images) or shuffled.")
    ] = _DEFAULT.sampling,
    l2: Annotated[
        float, typer.Option("--l2", help="Weight decay: l2 / 2 x the sum of squared weights.")
    ] = _DEFAULT.l2,
    examples_per_class: Annotated[
        int | None, typer.Option(help="Train on at most this many images of each class.")
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            help="Train on these classes only, such as ant,bee; may be given several times. A name "
            "with a comma stands in double quotes: '\"dog, brown\",owl'.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = _DEFAULT.seed,
    eval_every: Annotated[
        int, typer.Option(help="Steps between two evaluations.")
    ] = _DEFAULT.eval_every,
    patience: Annotated[
        int | None, typer.Option(help="Stop after this many evaluations without improvement.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run (default: the time).")] = None,
    init_from: Annotated[
        str | None,
        typer.Option(help="Start from this run's head; known classes keep their weights."),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write curves for TensorBoard into the run.")
    ] = False,
    cv: Annotated[
        int | None,
        typer.Option(
            help="Cross-validate too, with this many folds: mean, standard deviation and 95% "
            "interval of the figures. Duplicates and groups never straddle folds; a given test "
            "folder stays out."
        ),
    ] = None,
    keep_source_classes: Annotated[
        bool,
        typer.Option(
            "--keep-source-classes",
            help="Keep the backbone's own classes beside the new ones, in one head.",
        ),
    ] = False,
    top: Annotated[
        Path | None,
        typer.Option(
            help="Weights file of the backbone with its own classifier, for --keep-source-classes "
            "(default: the backbone's weights file; for imagenet weights the one that Keras "
            "publishes)."
        ),
    ] = None,
    memory_limit: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory that bottlenecks may take, such as 2G, before they are read from a "
            "temporary file (default: half of what is available).",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train a new softmax layer on the cached bottlenecks.

    The defaults are those of the study. The head that is best on validation is kept; Ctrl-C keeps
    the best so far as a finished run.
    """
    from retrain_cli.workflows.train import TrainRequest, train_run

    config = TrainingConfig(
        steps=steps,
        optimizer=optimizer,  # type: ignore[arg-type]  # validate() checks the choices
        learning_rate=learning_rate,
        epsilon=epsilon,
        batch_size=batch_size,
        testing_percentage=testing_percentage,
        validation_percentage=validation_percentage,
        sampling=sampling,  # type: ignore[arg-type]
        l2=l2,
        examples_per_class=examples_per_class,
        classes=comma_separated(classes),
        seed=seed,
        eval_every=eval_every,
        patience=patience,
    ).validate()
    if top is not None and not keep_source_classes:
        raise ConfigError("--top goes with --keep-source-classes: add that, or leave --top out")
    if rescan and data is None:
        raise ConfigError("--rescan goes with --data: add that, or leave --rescan out")
    limit = byte_count(memory_limit, "--memory-limit")
    workspace = workspace_of(ctx)
    if data is not None:
        _fill_cache(ctx, data, rescan=rescan)
    request = TrainRequest(
        config, name, init_from, tensorboard, limit, cv, keep_source_classes, top
    )
    with console.progress("training") as update:
        summary = train_run(
            request,
            workspace,
            lambda progress: update(_step(progress)),
            lambda progress: update(_fold_step(progress)),
        )
    if cv is not None and summary.folds is None:
        console.warn("cross-validation was interrupted before two folds were finished: none kept")
    _show(summary, json)


def _fill_cache(ctx: typer.Context, data: Path, *, rescan: bool) -> None:
    from retrain_cli.cli.commands.bottlenecks import extraction_step
    from retrain_cli.engine import quiet_engine
    from retrain_cli.workflows.bottlenecks import fill_cache
    from retrain_cli.workflows.train import request_for_data

    workspace = workspace_of(ctx)
    request = request_for_data(data, workspace, rescan=rescan)
    with console.progress("bottlenecks") as update, quiet_engine():
        summary = fill_cache(request, workspace, extraction_step(update), on_warning=console.warn)
    console.note(
        f"{summary.found:,} images: {summary.cached:,} cached, {summary.computed:,} computed, "
        f"{len(summary.bad):,} skipped"
    )


def _step(progress: TrainingProgress) -> console.Step:
    row = progress.row
    parts = [f"loss {row.loss:.4f}", f"training {row.training_accuracy:.1%}"]
    if row.validation_accuracy is not None:
        parts.append(f"validation {row.validation_accuracy:.1%}")
    if progress.best_accuracy is not None:
        parts.append(f"best {progress.best_accuracy:.1%} at {progress.best_step}")
    return console.Step(row.step, progress.steps, ", ".join(parts))


def _fold_step(progress: FoldProgress) -> console.Step:
    """Progress of all folds together."""
    step = _step(progress.training)
    return console.Step(
        progress.fold * step.total + step.done,
        progress.n_folds * step.total,
        f"fold {progress.fold + 1} of {progress.n_folds}, {step.detail}",
    )


def _show(summary: TrainingSummary, json: bool) -> None:
    if json:
        console.document(summary.to_dict())
        return
    from retrain_cli.workflows.shared.kept_sources import KEPT_KEY

    why = {
        "interrupt": ", interrupted: the best so far is kept",
        "patience": ", stopped by --patience",
        "converged": ", converged",
    }.get(summary.stopped_by, "")
    test = summary.test
    figures = [
        f"validation top-1 {percent(summary.best_validation)}",
        f"test top-1 {_estimate(test.top1.overall) if test else 'n/a'}",
    ]
    if test and test.top1.int_macro:
        figures.append(f"INT {test.top1.int_macro.value:.1%}")
    if test and test.top1.ext_macro:
        figures.append(f"EXT {test.top1.ext_macro.value:.1%}")
    console.line(f"run {summary.run.name}: {', '.join(figures)}")
    if summary.folds is not None:
        console.table(folds_table(summary.folds))
        console.note(FOLDS_NOTE)
    if KEPT_KEY in summary.run.info.dataset:
        _show_kept(summary.run.info.dataset[KEPT_KEY])
    console.note(
        f"best of {summary.last_step} steps was {summary.best_step}{why}; "
        f"{summary.steps_per_second:,.0f} steps/s; next: retrain eval --top5"
    )


def folds_table(figures: FoldFigures) -> console.Table:
    """Mean, standard deviation and 95% interval of each figure, and what each fold had."""
    finished, planned = len(figures.images), figures.n_folds
    count = f"{planned} folds" if finished == planned else f"{finished} of {planned} folds"
    rows = [[_figure_name(name), *_fold_cells(mean)] for name, mean in figures.means.items()]
    folds = [f"{number}" for number in range(1, finished + 1)]
    columns = (count, "mean", "sd", "95% interval", *folds)
    padded = [row + [""] * (len(columns) - len(row)) for row in rows]
    return console.Table(columns, padded, right=range(1, len(columns)))


def _figure_name(name: str) -> str:
    """`int_top1` as people say it: INT top-1."""
    *origin, top = name.split("_")
    return " ".join([*map(str.upper, origin), top.replace("top", "top-")])


def _fold_cells(mean: FoldMean | None) -> list[str]:
    if mean is None:
        return [NOT_DEFINED]
    interval = f"{100 * mean.low:.1f}-{mean.high:.1%}"
    return [f"{mean.mean:.1%}", f"{mean.sd:.1%}", interval, *map(percent, mean.folds)]


def _show_kept(report: dict[str, Any]) -> None:
    console.line(
        f"{report['classes_kept']:,} source classes kept, {report['classes_merged']:,} merged with "
        f"classes of yours; your test photos: top-1 {_change(report, 'own')}"
    )
    if "source_images" in report:
        console.line(
            f"{report['source_images']:,} test photos of source classes that the new ones have "
            f"never seen: top-1 {_change(report, 'source')}"
        )


def _change(report: dict[str, Any], side: str) -> str:
    before, after = report[f"{side}_top1_before"], report[f"{side}_top1_after"]
    return f"{before['value']:.1%} alone, {after['value']:.1%} joined" if before else NOT_DEFINED


def _estimate(estimate: Estimate | None) -> str:
    if estimate is None:
        return NOT_DEFINED
    return f"{estimate.value:.1%} ({estimate.low:.1%} to {estimate.high:.1%})"
