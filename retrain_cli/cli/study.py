"""`retrain study NAME`: one function for each study, of its own options alone.

`_study` adds the options that all studies have, runs the study and shows its result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli.cli.study_options import with_common_options

if TYPE_CHECKING:
    from retrain_cli.studies.study import Study

app = typer.Typer(
    help="Run the paper's experiments on your own photos: how effective is transfer learning here?",
    no_args_is_help=True,
)


def _study(name: str) -> Callable[[Callable[..., Study]], Callable[..., Study]]:
    """Make a command of a function that makes a study of its options."""

    def register(make: Callable[..., Study]) -> Callable[..., Study]:
        app.command(name)(with_common_options(make))
        return make

    return register


@_study("int-ext")
def int_ext(
    classes: Annotated[
        int | None,
        typer.Option(
            help="Classes of each classifier (default: 100 as in the paper, or as many as the "
            "photos allow).",
            show_default=False,
        ),
    ] = None,
    mixes: Annotated[
        int, typer.Option(help="How many mixes, from all EXT to all INT in equal steps.")
    ] = 11,
) -> Study:
    """Accuracy of classifiers of known (INT) and new (EXT) classes in several mixes (Figs. 6, 7).

    Each repeat draws other target classes at random. Mixes that the photos do not allow are
    named and left out.
    """
    from retrain_cli.studies.int_ext import IntExtStudy

    return IntExtStudy(classes, mixes)
