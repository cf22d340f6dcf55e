"""`retrain bundle [RUN]`."""

from __future__ import annotations

from typing import Annotated

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.options import Described, JsonForm
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.workflows.portable.bundling import BundleRequest

_NOT_WRITTEN = "nothing is bundled, for the file is there whole or not at all"


@command
def bundle(
    ctx: typer.Context,
    request: Annotated[
        BundleRequest,
        Fields(
            run=Described("Run to bundle (default: latest).", is_argument=True, and_option=True),
            output=Described("File to write, a new one (default: RUN.retrain here).", "-o"),
            with_backbone="Put the weights of the backbone in, so that nothing else is needed; "
            "those of a fine-tuned run are always in it.",
            max_error="The share that may be wrong above the threshold for `label --reject`, which "
            "the file carries.",
        ),
    ],
    form: JsonForm,
) -> None:
    """Write a run as one file that labels on another machine.

    It holds head, calibration, labels and settings, no photo and no program, and each part of it is
    checked by its digest when `retrain label --bundle` opens it.
    """
    from retrain_cli.workflows.portable.bundling import bundle_run

    with interrupts.keeping(lambda: _NOT_WRITTEN), console.progress("bundle"):
        done = bundle_run(request, workspace_of(ctx))
    if form == "json":
        console.document(done.to_dict())
        return
    console.line(str(done.path))
    needs = "it needs nothing else" if done.needs is None else f"where it is opened, {done.needs}"
    console.note(
        f"{console.size(done.bytes)}, digest {done.digest}; {needs}; "
        f"next: retrain label --bundle {done.path} PHOTO"
    )
