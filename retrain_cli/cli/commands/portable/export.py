"""`retrain export [RUN]`."""

from __future__ import annotations

from typing import Annotated

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.options import Described, JsonForm
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.workflows.portable.export_request import ExportRequest

_NOT_WRITTEN = "nothing is exported, for the folder is there whole or not at all"


@command
def export(
    ctx: typer.Context,
    request: Annotated[
        ExportRequest,
        Fields(
            run=Described("Run to export (default: latest).", is_argument=True, and_option=True),
            format="What to write; all writes every one whose packages are installed, but for web, "
            "a page that runs in the browser.",
            output=Described("Folder to write, a new one (default: RUN-FORMAT here).", "-o"),
            quantise="Smaller weights (default: float32). int8 is calibrated on training photos.",
            input="What the file takes: a photo's bytes, pixels of any size, or of the network's "
            "size (default: the first of these that the format can).",
            photos="The image folder, where it is not any more where the run was trained.",
            check_photos="Test photos that the file is checked on, at most.",
            tolerance="How many may get another label than from the run where that is not "
            "undecided, as a share; for int8 how much lower the accuracy may be (default: 0.001; "
            "for int8 0.01).",
            max_error="The share that may be wrong above the threshold for unknown photos, which "
            "the file carries.",
        ),
    ],
    form: JsonForm,
) -> None:
    """Write a run as a file for other programs, and prove on test photos that it answers alike.

    The file holds the network, the head, calibration and labels; pixels are scaled in it. Beside it
    lie a model card, the labels, an example in Python, and the figures of the check. A file that
    does not answer as its run does is called *.rejected, and the exit code is 4.
    """
    from retrain_cli.cli.views.portable.parity_table import show_export
    from retrain_cli.workflows.portable.export_run import export_run

    with interrupts.keeping(lambda: _NOT_WRITTEN), console.progress("export") as update:
        done = export_run(
            request,
            workspace_of(ctx),
            lambda doing, n, total: update(console.Step(n, total, stage=doing)),
        )
    show_export(done, form)
    done.check()
