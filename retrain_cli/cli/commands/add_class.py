"""`retrain add-class NAME PHOTO...`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.options import Described, JsonForm
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.datasets.class_names import shown_name
from retrain_cli.runs.shell import shell_line
from retrain_cli.workflows.add_class import AddClassRequest

if TYPE_CHECKING:
    from retrain_cli.workflows.add_class import AddClassSummary


@command
def add_class(
    ctx: typer.Context,
    request: Annotated[
        AddClassRequest,
        Fields(
            class_name=Described("Name of the new class.", metavar="NAME", is_argument=True),
            photos=Described("Its photos: files or folders.", metavar="PHOTO...", is_argument=True),
            test="Photo or folder that measures the new class; may be given several times "
            "(default: each PHOTO is left out in turn).",
            retrain="Train all classes again, with the settings of the run.",
        ),
    ],
    form: JsonForm,
) -> None:
    """Add a new class to a trained run, from as few as one photo.

    The result is a run of its own; the old one stays. Known classes keep their weights, and only
    the column of the new class is made, from the photos' bottlenecks. The photos may lie anywhere.
    """
    from retrain_cli.workflows.add_class import add_class

    with (
        interrupts.keeping(lambda: "the photos' bottlenecks are kept, and there is no new run"),
        console.progress("photos") as update,
    ):
        summary = add_class(
            request,
            workspace_of(ctx),
            on_photo=lambda done, total: update(console.Step(done, total)),
            on_progress=lambda made: update(
                console.Step(made.row.step, made.steps, stage="training")
            ),
        )
    for path, reason in summary.bad:
        console.warn(f"skipped {path}: {reason}")
    if form == "json":
        console.document(summary.to_dict())
    else:
        _show(summary, bool(request.test))
    if summary.interrupted_by is not None:
        last = summary.run.history[-1].step if summary.run.history else 0
        kept = f"run {summary.run.name} keeps the best head of {last:,} steps"
        raise interrupts.Interruption(summary.interrupted_by, kept)


def _show(summary: AddClassSummary, tested: bool) -> None:
    name = shown_name(summary.class_name)
    console.line(
        f"run {summary.run.name}: {len(summary.run.labels):,} classes, {name} added "
        f"to {summary.added_to} from {summary.photos} photo(s)"
    )
    figures, cost = summary.figures, summary.cost
    if figures is None:
        console.line(f"{name}: not measured; name other photos of it with --test")
    else:
        how = "test photo(s)" if tested else "photo(s), each left out in turn"
        shares = [
            f"top-{k} {share.value:.1%} ({share.low:.1%} to {share.high:.1%})"
            for k in (1, 5)
            if (share := figures.top(k)) is not None
        ]
        console.line(
            f"{name}: {', '.join(shares)}, mean rank {figures.mean_rank:.1f} on "
            f"{len(figures.ranks)} {how}"
        )
    if cost is not None:
        console.line(
            f"known classes: top-1 {cost.top1_before:.1%} before, {cost.top1_after:.1%} now on "
            f"{cost.images:,} test photos ({cost.lost} lost, {cost.gained} gained)"
        )
    words = shell_line(["retrain", "label", "--run", summary.run.name])
    console.note(f"next: {words} PHOTO...")
