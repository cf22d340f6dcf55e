"""`retrain add-class NAME PHOTO...`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of

if TYPE_CHECKING:
    from retrain_cli.workflows.add_class import AddClassSummary


def add_class(
    ctx: typer.Context,
    class_name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new class.")],
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO...", help="Its photos: files or folders.")
    ],
    test: Annotated[
        list[Path] | None,
        typer.Option(
            help="Photo or folder that measures the new class; may be given several times "
            "(default: each PHOTO is left out in turn).",
            show_default=False,
        ),
    ] = None,
    run: Annotated[str | None, typer.Option(help="Run to add to (default: the latest).")] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the new run (default: the time).")
    ] = None,
    retrain: Annotated[
        bool,
        typer.Option("--retrain", help="Train all classes again, with the settings of the run."),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Readers, who read and decode (default: one a processor).")
    ] = None,
    readers: Annotated[
        str,
        typer.Option(
            help="What they are: threads, processes, or auto: processes where photos are many and "
            "the network's input is small, or processors are many."
        ),
    ] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, gpu or gpu:N.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Add a new class to a trained run, from as few as one photo.

    The result is a run of its own; the old one stays. Known classes keep their weights, and only
    the column of the new class is made, from the photos' bottlenecks. The photos may lie anywhere.
    """
    from retrain_cli.workflows.add_class import AddClassRequest, add_class

    request = AddClassRequest(
        class_name,
        tuple(photos),
        tuple(test or ()),
        run,
        name,
        retrain,
        device,
        workers,
        readers,  # type: ignore[arg-type]  # it checks the choices
    )
    with (
        interrupts.keeping(lambda: "the photos' bottlenecks are kept, and there is no new run"),
        console.progress("photos") as update,
    ):
        summary = add_class(
            request,
            workspace_of(ctx),
            on_photo=lambda done, total: update(console.Step(done, total)),
            on_progress=lambda made: update(console.Step(made.row.step, made.steps, "training")),
        )
    for path, reason in summary.bad:
        console.warn(f"skipped {path}: {reason}")
    if json:
        console.document(summary.to_dict())
    else:
        _show(summary, bool(test))
    if summary.interrupted_by is not None:
        last = summary.run.history[-1].step if summary.run.history else 0
        kept = f"run {summary.run.name} keeps the best head of {last:,} steps"
        raise interrupts.Interruption(summary.interrupted_by, kept)


def _show(summary: AddClassSummary, tested: bool) -> None:
    console.line(
        f"run {summary.run.name}: {len(summary.run.labels):,} classes, {summary.class_name} added "
        f"to {summary.added_to} from {summary.photos} photo(s)"
    )
    figures, cost = summary.figures, summary.cost
    if figures is None:
        console.line(f"{summary.class_name}: not measured; name other photos of it with --test")
    else:
        how = "test photo(s)" if tested else "photo(s), each left out in turn"
        shares = [
            f"top-{k} {share.value:.1%} ({share.low:.1%} to {share.high:.1%})"
            for k in (1, 5)
            if (share := figures.top(k)) is not None
        ]
        console.line(
            f"{summary.class_name}: {', '.join(shares)}, mean rank {figures.mean_rank:.1f} on "
            f"{len(figures.ranks)} {how}"
        )
    if cost is not None:
        console.line(
            f"known classes: top-1 {cost.top1_before:.1%} before, {cost.top1_after:.1%} now on "
            f"{cost.images:,} test photos ({cost.lost} lost, {cost.gained} gained)"
        )
    console.note(f"next: retrain label --run {summary.run.name} PHOTO...")
