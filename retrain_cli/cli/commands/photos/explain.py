"""`retrain explain PHOTO...`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.context import comma_separated, workspace_of
from retrain_cli.cli.grammar import check_goes_with
from retrain_cli.cli.options import Described, ImagePaths, JsonForm, NullSeparated
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.cli.sources import named_sources
from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.workflows.explaining.explainer import ExplainRequest

if TYPE_CHECKING:
    from retrain_cli.workflows.explaining.explainer import ExplainedPhoto
    from retrain_cli.workflows.explaining.heat_pictures import DrawnPhoto, PictureWriter

USUAL_FOLDER = Path("heatmaps")


@command
def explain(
    ctx: typer.Context,
    paths: ImagePaths,
    request: Annotated[
        ExplainRequest,
        Fields(
            of_class=Described(
                "For which class: its name; true for that of the photo's folder; predicted for "
                "those that score best.",
                metavar="NAME",
            ),
            top_k=Described("For how many of the classes that score best (default: 2).", "-k"),
            contrast=Described(
                "Why the first class and not the second.",
                parser=comma_separated,
                metavar="A,B",
            ),
            method="cam: exact, from the last feature map, about as fast as `label`; layercam: "
            "finer, by gradients at an earlier layer; fused: both, multiplied; occlusion: what the "
            "class loses when a place is covered, 50 forward passes a photo.",
            layer="With --method layercam or fused: at this layer (default: the last one that is "
            "finer than cam). With --channels: of this layer (default: first).",
            channels="In place of heatmaps: so many channels of a layer, those that answer most.",
            beside=Described(
                "With --channels: the same network with other weights beside it: imagenet, random, "
                "a FILE, or the RUN of a finetune.",
                metavar="WEIGHTS",
            ),
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o",
            help="Folder for the pictures (default: heatmaps; with --json none are drawn).",
        ),
    ],
    null: NullSeparated,
    form: JsonForm,
) -> None:  # fmt: skip
    """Show which places of a photo speak for a class: heatmaps, in input order, as they come.

    Each photo gets a picture of it under its heatmaps, NAME.png, and each heatmap alone,
    NAME-map-CLASS.png; sheet.svg shows them together. --json prints the numbers: the grid lies over
    "box", in the photo's pixels, and with cam its mean and the bias add up to the logit.
    """
    from retrain_cli.cli.views.explain import ExplainView
    from retrain_cli.engine import quiet_engine
    from retrain_cli.workflows.explaining.activation_maps import ActivationViewer
    from retrain_cli.workflows.explaining.explainer import Explainer
    from retrain_cli.workflows.explaining.heat_pictures import PictureWriter

    check_goes_with(ctx, {"null": "--null"}, "- for a list of paths", given="-" in (paths or ()))
    if not paths:
        raise ConfigError("explain needs photos: paths, folders, or - for a list on standard input")
    folder = output or (None if form == "json" else USUAL_FOLDER)
    if form == "text" and not sys.stdout.isatty():
        form = "json"
    ignored = [workspace_of(ctx).root, *([folder] if folder else [])]
    sources = named_sources(paths, "\0" if null else "\n", ignored)
    view = ExplainView(form)
    with ExitStack() as opened:
        opened.enter_context(
            interrupts.keeping(lambda: f"{view.n_photos} photo(s) were explained, all in full")
        )
        update = opened.enter_context(console.progress("explaining"))
        workspace = workspace_of(ctx)
        explainer: Explainer | ActivationViewer
        if request.channels is None:
            explainer = opened.enter_context(Explainer(request, workspace))
        else:
            explainer = opened.enter_context(ActivationViewer(request, workspace))
        writer = None
        if folder is not None:
            writer = opened.enter_context(PictureWriter(folder, request.photo_timeout))
        opened.enter_context(quiet_engine())
        for drawn in _drawn(explainer.explain(sources), writer):
            view.show(drawn)
            if not sys.stdout.isatty():  # on a terminal the answers themselves show it
                update(console.Step(view.n_photos, 0, f"{view.n_bad:,} bad" if view.n_bad else ""))
        sheet = writer.write_sheet() if writer else None
    if writer and view.n_bad < view.n_photos:
        together = "" if sheet is None else f", and together in {sheet}"
        without = f"; the sheet has no room for {writer.n_left_out:,}" if writer.n_left_out else ""
        console.note(f"the pictures are in {folder}{together}{without}")
    if view.n_bad:
        console.warn(
            f"{view.n_bad} of {view.n_photos} photo(s) could not be explained; see their errors"
        )
    if view.n_bad == view.n_photos:
        raise DatasetError("a heatmap needs a photo, and there was none that can be explained")


def _drawn(photos: Iterable[ExplainedPhoto], writer: PictureWriter | None) -> Iterator[DrawnPhoto]:
    from retrain_cli.workflows.explaining.heat_pictures import DrawnPhoto

    if writer is None:
        return (DrawnPhoto(photo) for photo in photos)
    return writer.draw(photos)
