"""`retrain watch INBOX`."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.grammar import check_goes_with
from retrain_cli.cli.options import Described, TableForm
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.errors import WorkspaceError
from retrain_cli.workflows.label import LabelRequest
from retrain_cli.workflows.watching.watch_request import WatchRequest

if TYPE_CHECKING:
    from retrain_cli.workflows.watching.inbox_watcher import WatchedPhoto


@command
def watch(
    ctx: typer.Context,
    request: Annotated[
        WatchRequest,
        Fields(
            inbox=Described("Folder in which photos arrive, at any depth.", is_argument=True),
            sort_into="The album: move each photo into the folder of its label in this folder. "
            "What is there stays; without this option photos stay where they are.",
            tags="Write labels as XMP keywords into each photo, or into a .xmp file beside it "
            "(sidecar); or as rows of labels.csv or labels.jsonl in the album, else in INBOX.",
            interval=Described(
                "Time between two looks; a photo is taken when two have found it the same.",
                metavar="SECONDS",
            ),
            once="Label what is there now, and end.",
        ),
    ],
    labels: Annotated[
        LabelRequest,
        Fields(
            threshold="Leave out labels with a lower score.",
            reject="Leave photos unnamed that look like none of the classes, or unsure.",
            max_error="With --reject: the share of the named that may be wrong.",
            top_k=Described("Labels a photo; it is sorted by the first (default: 1).", "-k"),
            model="Label with this file of `export` in place of a run; for ONNX, LiteRT and "
            "OpenVINO without TensorFlow.",
            bundle="Label with this file of `bundle` in place of a run.",
            trust_model="Let a SavedModel that was exported elsewhere run: it is a program.",
        ),
    ],
    form: TableForm,
) -> None:
    """Label photos as they arrive in a folder, and move them into an album, tag them, or both.

    The output is that of `label`. Ctrl-C or SIGTERM ends it; no photo is ever lost, labelled into
    two places, or written over another. What is no good photo stays in the inbox.
    """
    from retrain_cli.cli.views.label import LabelView
    from retrain_cli.engine import quiet_engine
    from retrain_cli.workflows.portable.file_labeller import open_labeller
    from retrain_cli.workflows.watching.inbox_watcher import InboxWatcher

    check_goes_with(ctx, {"max_error": "--max-error"}, "--reject", given=labels.reject)
    if form == "text" and not sys.stdout.isatty():
        form = "json"
    labels = replace(labels, top_k=labels.top_k or 1)
    workspace = workspace_of(ctx)
    good = bad = 0

    def done() -> str:
        return f"{good:,} photo(s) were {_done_by(request)}"

    with (
        interrupts.keeping(lambda: f"{done()}; the others are in {request.folder} as they were"),
        console.progress("watching"),
        open_labeller(labels, workspace) as labeller,
        InboxWatcher(
            request, labeller, labels.top_k or 1, [workspace.root], console.warn
        ) as watcher,
        quiet_engine(),
    ):
        view = LabelView(
            form, labeller.labels, labels.top_k or 1, sorts=request.sort_into is not None
        )
        if not request.once:
            console.note(f"watching {request.folder} with {labeller.title}; Ctrl-C ends it")
        try:
            for photo in watcher.photos():
                _tell(photo)
                view.show(photo.image, photo.place)
                good, bad = (good, bad + 1) if photo.image.error else (good + 1, bad)
        except KeyboardInterrupt:
            if request.once:
                raise
    view.summarise()
    console.note(done())
    if watcher.growing:
        console.note(f"{watcher.growing:,} file(s) had not arrived yet; the next watch takes them")
    if bad:
        console.warn(f"{bad:,} file(s) could not be labelled; see their errors")
    if request.once and watcher.faults:
        raise WorkspaceError(
            f"{watcher.faults:,} photo(s) could not be {_done_by(request)}: see the warnings above"
        )


def _done_by(request: WatchRequest) -> str:
    sorts = [f"sorted into {request.sort_into}"] if request.sort_into is not None else []
    tags = [f"listed in {request.table}" if request.table else "tagged"] if request.tags else []
    return " and ".join([*sorts, *tags])


def _tell(photo: WatchedPhoto) -> None:
    """A line of the story; on a terminal the answer itself tells it."""
    image = photo.image
    if sys.stdout.isatty():
        return
    if image.error:
        console.note(f"{image.path}: left where it is: {image.error}")
        return
    best = image.labels[0] if image.labels else None
    label = "no label" if best is None else f"{best.label} {best.score:.1%}"
    console.note(f"{image.path}: {label}" + (f" -> {photo.place}" if photo.place else ""))
