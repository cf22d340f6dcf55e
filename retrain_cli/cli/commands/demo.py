"""`retrain demo [FOLDER]`."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.options import Described
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.workflows.demo import DemoRequest
from retrain_cli.workspace import ENVIRONMENT_VARIABLE, Workspace

NEXT_STEPS = """
[bold]Your turn[/]
  retrain bottlenecks ./photos          your own photos, one folder per class, with Inception v3
  retrain train                         the study's protocol: 10,000 steps of Adam
  retrain train --optimizer auto        seconds, and mostly better where photos are few
  retrain eval --top5 --plot plot.png   the same figures as a picture
  retrain eval --misclassified          the mistakes, the surest first
  retrain --help                        everything else
"""


@command
def demo(
    ctx: typer.Context,
    request: Annotated[
        DemoRequest,
        Fields(
            folder=Described("Where the sample photos are, or will be drawn.", is_argument=True)
        ),
    ],
) -> None:
    """Walk through the main job on drawn sample photos, with nothing to download."""
    from retrain_cli.workflows.demo import demo_steps, draw_new_photos

    workspace = workspace_of(ctx)
    _prepare(request.folder)
    new_photos = [_short(path) for path in draw_new_photos(workspace)]
    for step in demo_steps(request.folder, new_photos):
        command = shlex.join(("retrain", *step.arguments))
        console.styled(f"\n[dim]{step.purpose}[/]\n[bold green]$ {command}[/]")
        console.flush()
        _run(step.arguments, workspace)
    console.styled(NEXT_STEPS.rstrip())


def _prepare(folder: Path) -> None:
    from retrain_cli.samples import list_samples
    from retrain_cli.workflows.demo import prepare_samples

    total, done = len(list_samples()), 0
    with console.progress("drawing sample photos") as update:

        def on_image(path: Path) -> None:
            nonlocal done
            done += 1
            update(console.Step(done, total))

        drawn = prepare_samples(folder, on_image)
    if drawn:
        console.note(
            f"drew {total} sample photos of 8 classes into {folder}; one is broken on purpose"
        )


def _run(arguments: tuple[str, ...], workspace: Workspace) -> None:
    """Run the command just as it was shown, in this workspace; leave where it fails."""
    environment = {**os.environ, ENVIRONMENT_VARIABLE: str(workspace.root)}
    command = [sys.executable, "-m", "retrain_cli", *arguments]
    with subprocess.Popen(command, env=environment) as process:
        try:
            code = process.wait()
        except KeyboardInterrupt as stop:
            # A terminal sends Ctrl-C to both. Either way it keeps what is worth keeping first.
            if isinstance(stop, interrupts.Interruption) and stop.number != signal.SIGINT:
                process.terminate()
            process.wait()
            raise
    if code:
        raise typer.Exit(code)


def _short(path: Path) -> Path:
    """Relative to this folder where that is shorter to read."""
    current = Path.cwd()
    return path.relative_to(current) if path.is_relative_to(current) else path
