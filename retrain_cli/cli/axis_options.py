"""An option for each setting that a search can vary, made of the settings themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import Parameter
from typing import Annotated, Any, Final, get_type_hints

import typer

from retrain_cli.checks import choices_of
from retrain_cli.cli.options import SHARED, Described
from retrain_cli.cli.signatures import one_of
from retrain_cli.flags import flag_of
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.studies.search.axes import EPOCHS, searchable

METAVAR: Final = "VALUES"
_PANEL = "What is tried: values with commas between them, or LOW..HIGH"
_TEXTS: Final[dict[str, str]] = {
    EPOCHS: "Passes over the training photos, in place of --steps.",
    "optimizer": "How the head learns.",
    "sampling": "How batches are drawn.",
    "l2": "Weight decay; none is the optimiser's usual one.",
    "head": "Linear layer, or scaled cosines.",
    "hidden": "Units of a hidden layer, as none,64,256; of several, 256+128.",
    "normalise": "What is done to bottlenecks first.",
    "views": "Distorted views of each photo that are trained on, too, of `bottlenecks --views`.",
    "dropout": "Share of each hidden layer's output, or of the bottleneck, that a step leaves out.",
}
"""Where the text of `train` says more than is needed here, or something else."""


def axis_parameters() -> Iterator[Parameter]:
    """For the signature of a command: each option holds the text of an axis, or None."""
    for name in searchable():
        option = typer.Option(
            flag_of(name), help=_help(name), metavar=METAVAR, rich_help_panel=_PANEL
        )
        annotation = Annotated[str | None, option]
        yield Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _help(name: str) -> str:
    text: str | Described = _TEXTS.get(name) or SHARED.get(f"TrainingConfig.{name}", "")
    words = text.help if isinstance(text, Described) else text
    choices = () if name == EPOCHS else choices_of(get_type_hints(TrainingConfig)[name])
    return f"{words}{one_of(choices)}"


def axes_of(values: Mapping[str, Any]) -> dict[str, str]:
    """The axes that were named, as they were typed."""
    return {name: values[name] for name in searchable() if values.get(name) is not None}
