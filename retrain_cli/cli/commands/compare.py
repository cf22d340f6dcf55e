"""`retrain compare RUN_A RUN_B [...]`."""

from __future__ import annotations

from typing import Annotated

import typer

from retrain_cli.cli import console
from retrain_cli.cli.completion import run_names
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.options import TableForm
from retrain_cli.cli.signatures import command


@command
def compare(
    ctx: typer.Context,
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Two or more runs; each is compared with the first.", autocompletion=run_names
        ),
    ],
    flips: Annotated[
        bool,
        typer.Option(
            "--flips",
            help="Print the photos that exactly one run gets right instead: change, path, true, "
            "answer of either run; tab-separated in a pipe.",
        ),
    ],
    form: TableForm,
) -> None:
    """Compare runs on the photos that they were both tested on.

    A difference counts where its 95% interval, paired on the same photos, does not hold 0. Classes
    count as better or worse where McNemar's exact test says so, allowing for their number; the rest
    may be chance.
    """
    from retrain_cli.cli.views import compare as view
    from retrain_cli.workflows.compare import compare_runs

    with console.progress("comparing"):
        comparisons = compare_runs(runs, workspace_of(ctx))
    (view.show_flips if flips else view.show_comparisons)(comparisons, form)
