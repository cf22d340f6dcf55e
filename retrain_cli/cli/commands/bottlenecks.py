"""`retrain bottlenecks IMAGE_DIR`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.options import Described, JsonForm
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.workflows.bottlenecks import BottleneckRequest

if TYPE_CHECKING:
    from retrain_cli.extraction.progress import ExtractionCounts
    from retrain_cli.workspace import Workspace


@command
def bottlenecks(
    ctx: typer.Context,
    request: Annotated[
        BottleneckRequest,
        Fields(
            without=(
                "model",
                "BackboneSpec.crop",
                "validation_percentage",
                "testing_percentage",
            ),
            image_dir=Described(
                "Folder with a sub-folder of photos a class, or the URL of one: s3://bucket/photos.",
                is_argument=True,
            ),
            from_csv="In place of IMAGE_DIR: a .csv or .tsv list of photos with the columns path "
            "and label; a path is relative to the list, absolute, or a URL.",
            source_classes="Classes that the backbone was trained on, for INT/EXT: imagenet, none "
            "or a FILE (default: the backbone's own).",
            int_ext="CSV that overrides INT/EXT: class,int|ext or class,wnid.",
            group="Keep almost equal photos together in one split, from here on.",
            strict="Stop at the first bad image instead of skipping it.",
            layout="What the first level of the folder is: classes, splits (train, val, test) with "
            "the classes below, or auto: by names and contents; what could be both is refused.",
            rescan="Read every photo again, also those that look unchanged; nothing is computed "
            "twice.",
            shard=Described(
                "Compute one part of the photos alone, such as 3 of 16, in a workspace of its own; "
                "`cache merge` brings the parts together.",
                metavar="PART/PARTS",
            ),
            settled="With --shard, on a machine that does not see the first shard's workspace: a "
            "copy of the folder that the first shard wrote.",
            cache_dtype="How the cache keeps numbers: float16 takes half the disk, and a cache of "
            "float32 is rounded to it for good (default: as the cache does, float32 in a new one).",
            trust_model="Let a hub: model run, which can read and write files as any program; said "
            "once, it is remembered for this very model.",
        ),
    ],
    plan: Annotated[
        bool,
        typer.Option("--plan", "--dry-run", help="Say what would be done, and compute nothing."),
    ],
    form: JsonForm,
) -> None:
    """Compute and cache the bottleneck of every photo.

    Only what is not in the cache is computed, so this can be stopped and started at will. A photo
    that was renamed, moved or copied is known by its content.
    """
    from retrain_cli.cli.views import bottlenecks as view
    from retrain_cli.engine import quiet_engine
    from retrain_cli.workflows.shared.all_layers import fill_cache_auto, with_layers
    from retrain_cli.workflows.shared.plan import plan_bottlenecks
    from retrain_cli.workflows.tuning.starting_weights import with_backbone_of_run

    workspace = workspace_of(ctx)
    request = with_backbone_of_run(request, workspace)
    if plan:
        with console.progress("reading") as update, quiet_engine():
            view.show_plan(
                plan_bottlenecks(with_layers(request), workspace, extraction_step(update)), form
            )
        return
    request = ask_for_trust(request, workspace)
    seen: list[ExtractionCounts] = []
    with (
        interrupts.keeping(lambda: photos_kept(seen)),
        console.progress("bottlenecks") as update,
        quiet_engine(),
    ):
        summary = fill_cache_auto(
            request,
            workspace,
            extraction_step(update, seen),
            on_look=looking(update),
            on_warning=console.warn,
        )
    view.show_summary(summary, form)


def ask_for_trust(request: BottleneckRequest, workspace: Workspace) -> BottleneckRequest:
    """The request as it stands after the question whether its SavedModel may run, if it is one."""
    from retrain_cli.engine import quiet_engine
    from retrain_cli.workflows.bottlenecks import question_of_trust

    if not request.backbone.is_hub or not console.can_ask():
        return request
    with quiet_engine():
        question = question_of_trust(request, workspace)
    return replace(request, trust_model=True) if question and console.ask(question) else request


def looking(update: Callable[[console.Step], None]) -> Callable[[int, int], None]:
    """Progress of looking at photos as a step of the progress bar."""
    return lambda done, total: update(console.Step(done, total, stage="looking at the photos"))


def photos_kept(seen: Sequence[ExtractionCounts]) -> str:
    """What an interrupted extraction keeps; `seen` holds its counts once it has begun."""
    if not seen:
        return "no photo was read yet"
    counts = seen[-1]
    return (
        f"{counts.done:,} of {counts.total:,} new photos are done and kept: the same command goes "
        "on with the others"
    )


def extraction_step(
    update: Callable[[console.Step], None], seen: list[ExtractionCounts] | None = None
) -> Callable[[ExtractionCounts], None]:
    """Progress of an extraction as a step of the progress bar; `seen` is given its counts."""

    def on_progress(counts: ExtractionCounts) -> None:
        if counts.stage:
            update(console.Step(0, 0, stage=counts.stage))
            return
        if seen is not None:
            seen[:] = [counts]
        rate = counts.images_per_second
        bad = f"{len(counts.bad)} bad" if counts.bad else ""
        parts = [f"{rate:.1f} img/s" if rate else "", bad]
        detail = ", ".join(part for part in parts if part)
        update(console.Step(counts.done, counts.total, detail))

    return on_progress
