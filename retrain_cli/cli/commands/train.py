"""`retrain train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.grammar import check_goes_with, is_typed
from retrain_cli.cli.options import JsonForm
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.cli.views.train import notes_on
from retrain_cli.errors import ConfigError
from retrain_cli.evaluation.figures import HEADLINES
from retrain_cli.reports.text import NOT_DEFINED, percent
from retrain_cli.workflows.train import TrainRequest

if TYPE_CHECKING:
    from retrain_cli.evaluation.comparing.fold_figures import FoldFigures, FoldMean
    from retrain_cli.evaluation.intervals import Estimate
    from retrain_cli.evaluation.result import EvalResult
    from retrain_cli.extraction.progress import ExtractionCounts
    from retrain_cli.heads.cross_validation import FoldProgress
    from retrain_cli.heads.history import TrainingProgress
    from retrain_cli.runs.joined_sources import JoinedSources
    from retrain_cli.workflows.summaries.training_summary import TrainingSummary

_ORIGINS = (("int_top1", "INT top-1"), ("ext_top1", "EXT top-1"))
FOLDS_NOTE = (
    "each image was judged by a head that never saw it; the interval is Student's t over the "
    "folds; next: retrain eval --split cv"
)


@command
def train(
    ctx: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Image folder; its bottlenecks are computed first where they are not cached, with "
            "the backbone last used (default: the folder last used).",
        ),
    ],
    rescan: Annotated[
        bool,
        typer.Option(
            "--rescan", help="With --data: read every photo again, also those that look unchanged."
        ),
    ],
    request: Annotated[
        TrainRequest,
        Fields(
            init_from="Start from this run's head; known classes keep their weights.",
            tensorboard="Write curves for TensorBoard into the run.",
            cv="Cross-validate too, with this many folds: mean, standard deviation and 95% "
            "interval of the figures. Duplicates and groups never straddle folds; a given test "
            "folder stays out.",
            calibrate="Fit the scores to photos that the head has not seen, so that they mean what "
            "they say: to the validation photos or, where these are fewer than 10, to those "
            "of --cv; ridge and auto leave photos out in turn.",
            few_shot="For few photos: all train, none is kept aside, and 5 folds measure; short "
            "for --cv 5 --testing-percentage 0 --validation-percentage 0.",
            keep_source_classes="Keep the backbone's own classes beside the new ones, in one head.",
        ),
    ],
    form: JsonForm,
) -> None:
    """Train a new softmax layer on the cached bottlenecks.

    The defaults are those of the study. The head of the lowest loss on validation is kept;
    --optimizer ridge and auto take seconds and need no validation photos: all of these train, too.
    Ctrl-C ends training early, keeps the best head so far as a run, and exits with 130.
    """
    from retrain_cli.workflows.train import train_run

    check_goes_with(ctx, {"rescan": "--rescan"}, "--data", given=data is not None)
    _check_one_balance(ctx, request)
    workspace = workspace_of(ctx)
    if data is not None:
        _fill_cache(ctx, data, rescan=rescan)
    with interrupts.keeping(_nothing_trained), console.progress("training") as update:
        summary = train_run(
            request,
            workspace,
            lambda progress: update(_step(progress)),
            lambda progress: update(_fold_step(progress)),
            console.warn,
        )
    _show(summary, form)
    if summary.interrupted_by is not None:
        raise interrupts.Interruption(summary.interrupted_by, _kept(summary, request.config.steps))


def _check_one_balance(ctx: typer.Context, request: TrainRequest) -> None:
    """Refuse a sampling beside a balance that draws batches otherwise.

    Raises:
        ConfigError: both stand on the command line.
    """
    balance, typed = ctx.params.get("balance"), ctx.params.get("sampling")
    both = is_typed(ctx, "balance") and is_typed(ctx, "sampling")
    if both and typed != request.config.sampling:
        raise ConfigError(
            f"--balance {balance} draws batches {request.config.sampling}, and --sampling says "
            f"{typed}: leave one out"
        )


def _nothing_trained() -> str:
    return "nothing was trained yet, so there is no new run"


def _kept(summary: TrainingSummary, steps: int) -> str:
    name, last = summary.run.name, summary.last_step
    if summary.stopped_by == "interrupt":
        kept = (
            f"training ended at step {last:,} of {steps:,}, and run {name} keeps the best head of "
            f"these, that of step {summary.best_step:,}"
        )
    else:
        kept = f"run {name} is kept, trained to the end at step {last:,}"
    return f"{kept}, without {' and '.join(summary.unfinished)}" if summary.unfinished else kept


def _fill_cache(ctx: typer.Context, data: Path, *, rescan: bool) -> None:
    from retrain_cli.cli.commands.bottlenecks import extraction_step, photos_kept
    from retrain_cli.engine import quiet_engine
    from retrain_cli.workflows.bottlenecks import fill_cache, request_for_data

    workspace = workspace_of(ctx)
    request = request_for_data(data, workspace, rescan=rescan)
    seen: list[ExtractionCounts] = []
    with (
        interrupts.keeping(lambda: photos_kept(seen)),
        console.progress("bottlenecks") as update,
        quiet_engine(),
    ):
        on_progress = extraction_step(update, seen)
        summary = fill_cache(request, workspace, on_progress, on_warning=console.warn)
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


def _show(summary: TrainingSummary, form: console.Form) -> None:
    if form == "json":
        console.document(summary.to_dict())
        return
    why = {
        "patience": ", stopped by --patience",
        "converged": ", converged",
    }.get(summary.stopped_by, "")
    console.line(
        f"run {summary.run.name}: validation top-1 {percent(summary.best_validation)} of the photos"
    )
    for accuracy in accuracies(summary.test):
        console.line(f"test {accuracy}")
    if summary.folds is not None:
        console.table(folds_table(summary.folds))
        console.note(FOLDS_NOTE)
    joined = summary.run.info.provenance.joined
    if joined is not None:
        _show_kept(joined)
    for line in notes_on(summary):
        console.note(line)
    only_folds = summary.folds is not None and summary.test is None
    next_step = "retrain eval --split cv" if only_folds else "retrain eval --top5"
    if summary.is_closed:
        console.note(f"{summary.seconds:.1f} s; next: {next_step}")
        return
    console.note(
        f"best of {summary.last_step} steps was {summary.best_step}{why}; "
        f"{summary.steps_per_second:,.0f} steps/s; next: {next_step}"
    )


def folds_table(figures: FoldFigures) -> console.Table:
    """Mean, standard deviation and 95% interval of each figure, and what each fold had."""
    finished, planned = len(figures.images), figures.n_folds
    count = f"{planned} folds" if finished == planned else f"{finished} of {planned} folds"
    titles = {one.name: one.title for one in HEADLINES}
    rows = [[titles.get(name, name), *_fold_cells(mean)] for name, mean in figures.means.items()]
    folds = [f"{number}" for number in range(1, finished + 1)]
    columns = (count, "mean", "sd", "95% interval", *folds)
    padded = [row + [""] * (len(columns) - len(row)) for row in rows]
    return console.Table(columns, padded, right=range(1, len(columns)), alike=True)


def _fold_cells(mean: FoldMean | None) -> list[str]:
    if mean is None:
        return [NOT_DEFINED]
    interval = f"{100 * mean.low:.1f}-{mean.high:.1%}"
    return [f"{mean.mean:.1%}", f"{mean.sd:.1%}", interval, *map(percent, mean.folds)]


def _show_kept(joined: JoinedSources) -> None:
    own = _change(joined.own_top1_before, joined.own_top1_after)
    console.line(
        f"{joined.classes_kept:,} source classes kept, {joined.classes_merged:,} merged with "
        f"classes of yours; your test photos: top-1 {own}"
    )
    if joined.source_images is not None:
        source = _change(joined.source_top1_before, joined.source_top1_after)
        console.line(
            f"{joined.source_images:,} test photos of source classes that the new ones have "
            f"never seen: top-1 {source}"
        )


def _change(before: Estimate | None, after: Estimate | None) -> str:
    if before is None or after is None:
        return NOT_DEFINED
    return f"{before.value:.1%} alone, {after.value:.1%} joined"


def accuracies(result: EvalResult | None) -> list[str]:
    """Top-1 as a share of photos and as means over classes, each named, in a line each."""
    if result is None:
        return [f"top-1 {NOT_DEFINED}: no photo is for the test"]
    shares = {one.name: (one, one.of(result)) for one in HEADLINES}
    words = []
    for name, title in (("top1", "top-1"), ("macro_top1", "top-1"), *_ORIGINS):
        one, share = shares[name]
        if share is not None:
            interval = f"95% CI {100 * share.low:.1f}-{share.high:.1%}"
            words.append(f"{title} {share.value:.1%}, {one.counted(result)} ({interval})")
    return words
