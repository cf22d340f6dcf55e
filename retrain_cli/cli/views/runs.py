"""How one run looks: what it was made from, how good it is, and how to make it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from retrain_cli.cli import console
from retrain_cli.datasets.class_names import listed
from retrain_cli.datasets.splits import SPLITS
from retrain_cli.heads.history import StoppedBy
from retrain_cli.reports.text import NOT_DEFINED, percent
from retrain_cli.runs.info import OWN_BACKBONE
from retrain_cli.runs.making import Grown, Searched, Trained, Tuned
from retrain_cli.runs.provenance import ImageCounts
from retrain_cli.runs.run import Run
from retrain_cli.runs.shell import shell_line
from retrain_cli.workflows.cross_validate import METRICS_KEY

_MOST_CLASSES = 40
_ENDED: dict[StoppedBy, str] = {
    "steps": "all of them made",
    "patience": "ended by --patience",
    "interrupt": "ended by Ctrl-C",
    "converged": "converged",
}
_SHARES = {
    "top1": "top-1 of photos",
    "macro_top1": "mean of classes",
    "int_top1": "mean of INT",
    "ext_top1": "mean of EXT",
}
"""The accuracies that are shown, by their names in `metrics.json`."""
_BALANCED = {
    "weights": "photos of small classes weigh more in the loss",
    "oversample": "copies of the photos of small classes",
    "smote": "mixtures of two bottlenecks of small classes",
    "views": "distorted views of the photos of small classes",
}


def show_run(run: Run) -> None:
    """Print what people want to know of a run; `--json` has every setting and version."""
    facts = [[name, value] for name, value in _facts(run) if value]
    console.table(console.Table((f"run {run.name}", ""), facts, prose=(1,)))
    console.table(_accuracies(run))
    made_again = run.provenance.commands(run.name, calibrated=run.calibration is not None)
    console.styled("[bold]to make it again[/]")
    for step in made_again.steps:
        console.line(f"  {shell_line(('retrain', *step.arguments))}")
    console.note("every setting and version: --json; its figures: retrain eval --run NAME")


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    info, provenance = run.info, run.provenance
    yield "made", f"{info.created.replace('T', ' ')[:16]} by {_made_by(run)}"
    yield "came from", ", ".join(parent.name for parent in provenance.parents)
    yield "photos", f"{provenance.image_dir}{_grouped(provenance.group)}"
    yield "", _counts(provenance.counts, len(run.labels))
    yield "views", _views(run)
    yield "backbone", info.backbone.label()
    yield "head", _training(run)
    yield "layers", ", ".join(run.config.make)
    yield "balance", _balance(run)
    yield "source classes", _kept_sources(run)
    yield "scores", _scores(run)
    yield "classes", _few(run.labels)
    yield "folder", str(run.folder)
    versions = [f"{name} {version}" for name, version in info.versions.items()]
    yield "versions", ", ".join(versions)


def _made_by(run: Run) -> str:
    made = run.provenance.made
    if isinstance(made, Grown):
        again = ", all classes trained again" if made.retrain else ""
        return f"retrain add-class: {made.class_name}, from {len(made.photos)} path(s){again}"
    if isinstance(made, Tuned):
        kept = "" if made.won else ", but the head alone was better"
        weights = Path(made.base.weights)
        if weights.name == OWN_BACKBONE:
            kept = f", from the backbone of run {weights.parent.name}{kept}"
        return f"retrain finetune: {made.tuning.trainable}{kept}"
    if made.search is not None:
        return f"retrain search: {_searched(made.search)}"
    return f"retrain train{_folds(made)}"


def _searched(search: Searched) -> str:
    judges = "validation" if search.cv is None else f"{search.cv} folds"
    return (
        f"best of {search.trials:,} by {search.ranked_by} of {judges}: log loss "
        f"{search.log_loss:.3f}, top-1 {search.top1:.1%}"
    )


def _folds(made: Trained) -> str:
    return f", cross-validated with {made.cv} folds" if made.cv else ""


def _grouped(group: str | None) -> str:
    return f" ({group} kept in one split)" if group else ""


def _counts(counts: ImageCounts, n_classes: int) -> str:
    if counts.images is None:
        return f"{n_classes:,} classes"
    parts = [
        f"{value:,} {split}"
        for split in SPLITS
        if (value := getattr(counts, f"{split}_images")) is not None
    ]
    return f"{counts.images:,} of {n_classes:,} classes: {', '.join(parts)}"


def _views(run: Run) -> str:
    distortion, views = run.provenance.views
    of_small = ", of small classes alone" if run.config.balance == "views" else ""
    return f"{views} of each training photo ({distortion}){of_small}" if views else ""


def _balance(run: Run) -> str:
    """What was done about classes of unequal size; nothing where it is what it always was."""
    config = run.config
    if config.balance is None or run.provenance.is_tuned:
        return ""
    if config.balance != "prior":
        return f"{config.balance}: {_BALANCED[config.balance]}"
    of = "are equally likely" if config.prior == "uniform" else "are as likely as in training"
    much = "" if config.tau == 1 else f", tau {config.tau:g}"
    return f"prior: scores are for classes that {of}{much}"


def _training(run: Run) -> str:
    config, info = run.config, run.info
    last = run.history[-1].step if run.history else 0
    if isinstance(run.provenance.made, Tuned):
        epochs, best = len(run.history) - 1, _epoch_of(run)
        if not run.provenance.made.won:
            return f"as before fine-tuning: none of {epochs} epochs was better on validation"
        judged = run.history and run.history[-1].validation_loss is not None
        why = (
            ", best on validation" if judged else ", the last one: there were no validation photos"
        )
        return f"epoch {best} of {epochs} by fine-tuning{why}"
    if not last:
        return "not trained: made from the photos themselves"
    return (
        f"the one of step {info.best_step:,}, best on validation, of {last:,} steps of "
        f"{config.optimizer} ({_ENDED[info.stopped_by]})"
    )


def _epoch_of(run: Run) -> int:
    steps = [row.step for row in run.history]
    return steps.index(run.info.best_step) if run.info.best_step in steps else 0


def _kept_sources(run: Run) -> str:
    joined = run.provenance.joined
    if joined is None:
        return ""
    return f"{joined.classes_kept:,} kept, {joined.classes_merged:,} merged with those of yours"


def _scores(run: Run) -> str:
    calibration, fit = run.calibration, run.provenance.fit
    if calibration is None and fit is not None and fit.images:
        return f"fitted to {fit.images:,} photos when trained, temperature {fit.temperature:.3g}"
    if calibration is None:
        return "as trained"
    return (
        f"calibrated on {calibration.n_images:,} validation photos, temperature "
        f"{calibration.temperature:.3f}"
    )


def _few(names: tuple[str, ...]) -> str:
    more = f", and {len(names) - _MOST_CLASSES:,} more" if len(names) > _MOST_CLASSES else ""
    return listed(names[:_MOST_CLASSES]) + more


def _accuracies(run: Run) -> console.Table:
    """A row for each split with photos, and one for the folds."""
    rows = [
        [split, f"{figures['images']:,}", *(percent(figures.get(name)) for name in _SHARES)]
        for split in SPLITS
        if (figures := run.metrics.get(split))
    ]
    folds = run.metrics.get(METRICS_KEY)
    if folds:
        means = [_mean(folds.get(name)) for name in _SHARES]
        rows.append([f"{folds['finished_folds']} folds", f"{sum(folds['images']):,}", *means])
    columns = ("split", "photos", *_SHARES.values())
    return console.Table(columns, rows, right=range(1, len(columns)))


def _mean(figure: Mapping[str, Any] | None) -> str:
    return percent(figure["mean"]) if figure else NOT_DEFINED
