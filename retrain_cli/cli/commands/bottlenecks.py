"""`retrain bottlenecks IMAGE_DIR`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of

if TYPE_CHECKING:
    from retrain_cli.extraction.batcher import ExtractionCounts


def bottlenecks(
    ctx: typer.Context,
    image_dir: Annotated[Path, typer.Argument(help="Folder with a sub-folder of photos a class.")],
    backbone: Annotated[
        str,
        typer.Option(
            help="Pre-trained network: a name (`retrain doctor --backbones` lists them), or "
            "hub:HANDLE_OR_FOLDER for a TensorFlow Hub feature vector or a SavedModel folder.",
        ),
    ] = "inception_v3",
    weights: Annotated[
        str,
        typer.Option(
            help="imagenet, random, or a FILE: .weights.h5, legacy no-top .h5, or .keras."
        ),
    ] = "imagenet",
    layer: Annotated[
        str | None,
        typer.Option(help="Take the bottleneck at this earlier layer, such as mixed8."),
    ] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Width multiplier of mobilenet and mobilenet_v2.")
    ] = None,
    pooling: Annotated[
        str, typer.Option(help="How a feature map becomes one vector: avg or max.")
    ] = "avg",
    input_size: Annotated[
        int | None, typer.Option(help="Side in pixels (default: the backbone's own).")
    ] = None,
    resize: Annotated[
        str, typer.Option(help="How a photo becomes a square: squash, crop or letterbox.")
    ] = "squash",
    precision: Annotated[
        str,
        typer.Option(
            help="What the network computes in: float32, bfloat16, float16 (GPU), int8 (processor; "
            "calibrated on your photos), or auto: the fastest that loses nothing here, unless a "
            "cache in another one holds most of the photos."
        ),
    ] = "auto",
    runtime: Annotated[
        str,
        typer.Option(
            help="What runs the network: keras (any GPU or processor), openvino (processor) or "
            "auto."
        ),
    ] = "auto",
    source_classes: Annotated[
        str | None,
        typer.Option(
            help="Classes that the backbone was trained on, for INT/EXT: imagenet, none or a FILE "
            "(default: the backbone's own).",
        ),
    ] = None,
    int_ext: Annotated[
        Path | None,
        typer.Option(help="CSV that overrides INT/EXT: class,int|ext or class,wnid."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="near-duplicates: keep almost equal photos together in one split, from here on.",
        ),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            help="What the first level of the folder is: classes, splits (train, val, test) with "
            "the classes below, or auto: by names and contents; what could be both is refused."
        ),
    ] = "auto",
    rescan: Annotated[
        bool,
        typer.Option(
            "--rescan",
            help="Read every photo again, also those that look unchanged; nothing is computed "
            "twice.",
        ),
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be done, and compute nothing.")
    ] = False,
    batch_size: Annotated[int, typer.Option(help="Images a forward pass.")] = 32,
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
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first bad image instead of skipping it.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compute and cache the bottleneck of every photo.

    Only what is not in the cache is computed, so this can be stopped and started at will. A photo
    that was renamed, moved or copied is known by its content.
    """
    from retrain_cli.backbones.spec import BackboneSpec
    from retrain_cli.cli.views import bottlenecks as view
    from retrain_cli.engine import quiet_engine
    from retrain_cli.extraction.pipeline import ExtractionSettings
    from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
    from retrain_cli.workflows.shared.plan import plan_bottlenecks

    request = BottleneckRequest(
        image_dir,
        BackboneSpec(
            name=backbone,
            alpha=alpha,
            layer=layer,
            pooling=pooling,  # type: ignore[arg-type]  # resolve() checks the choices
            weights=weights,
            input_size=input_size,
            resize=resize,  # type: ignore[arg-type]
            precision=precision,  # type: ignore[arg-type]
            runtime=runtime,  # type: ignore[arg-type]
        ),
        source_classes,
        int_ext,
        ExtractionSettings(
            batch_size,
            workers,
            device,
            strict,
            readers,  # type: ignore[arg-type]  # it checks the choices
        ),
        group=group,
        layout=layout,  # type: ignore[arg-type]  # reading it checks the choice
        rescan=rescan,
    )
    workspace = workspace_of(ctx)
    if plan:
        with console.progress("reading") as update, quiet_engine():
            view.show_plan(plan_bottlenecks(request, workspace, extraction_step(update)), json)
        return
    with console.progress("bottlenecks") as update, quiet_engine():
        summary = fill_cache(
            request,
            workspace,
            extraction_step(update),
            on_look=looking(update),
            on_warning=console.warn,
        )
    view.show_summary(summary, json)


def looking(update: Callable[[console.Step], None]) -> Callable[[int, int], None]:
    """Progress of looking at photos as a step of the progress bar."""
    return lambda done, total: update(console.Step(done, total, "looking at the photos"))


def extraction_step(
    update: Callable[[console.Step], None],
) -> Callable[[ExtractionCounts], None]:
    """Progress of an extraction as a step of the progress bar."""

    def on_progress(counts: ExtractionCounts) -> None:
        if counts.stage:
            update(console.Step(0, 0, counts.stage))
            return
        rate = counts.images_per_second
        bad = f"{len(counts.bad)} bad" if counts.bad else ""
        parts = [f"{rate:.1f} img/s" if rate else "", bad]
        detail = ", ".join(part for part in parts if part)
        update(console.Step(counts.done, counts.total, detail))

    return on_progress
