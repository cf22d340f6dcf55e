"""`model_card.md`: what an exported file is, how good it was found to be, and what it cannot do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retrain_cli.exporting.description import LABELS_FILE, ExportDescription
from retrain_cli.exporting.export_examples import example_name
from retrain_cli.exporting.export_formats import FORMATS

_FEW = 40
_INPUTS = {
    "bytes": "the bytes of JPEG, PNG, GIF or BMP photos, as a batch of strings",
    "pixels": "8-bit RGB pixels, `(n, {height}, {width}, 3) uint8`",
    "any-size": "8-bit RGB pixels of any size, `(n, height, width, 3) uint8`",
}
_LIMITS = {
    "savedmodel": (
        "one photo that cannot be decoded fails its whole batch: send photos that may be damaged "
        "one by one.",
        "TIFF, AVIF, HEIC and other rare formats are not read from bytes.",
        "it is a program to whoever loads it: take one only from those you trust.",
    ),
    "litert": (
        "it takes one photo at a time.",
        "photos are decoded, turned and resized before it.",
    ),
    "onnx": ("photos are decoded, and turned as their EXIF orientation says, before it.",),
    "openvino": (
        'compile it with `INFERENCE_PRECISION_HINT` `"f32"`: newer processors compute in bfloat16 '
        "otherwise, and scores differ by up to 0.15.",
        "photos are decoded, and turned as their EXIF orientation says, before it.",
    ),
    "keras": ("photos are decoded, turned and resized before it.",),
    "web": (
        "its network was checked with ONNX Runtime; photos are decoded by the visitor's browser, "
        "which reads JPEG, PNG, WebP, GIF and BMP, and few others.",
        "it comes from a web server, such as `example_web.py`: browsers do not run it from a file.",
    ),
}


@dataclass(frozen=True, eq=False)
class CardFile:
    """A file that the card is about.

    Attributes:
        name: of the file or folder.
        described: what it says of itself.
        figures: of its parity, as `Parity.to_dict` gives them, with `bytes`.
    """

    name: str
    described: ExportDescription
    figures: Mapping[str, Any]


def write_card(files: Sequence[CardFile], run: Mapping[str, Any], trained_on: str) -> str:
    """The card as Markdown.

    Args:
        files: at least one.
        run: figures of the run itself on the same photos: `accuracy` and `latency_ms`.
        trained_on: the photos that the run was trained on, in words.
    """
    first = files[0].described
    parts = [
        f"# {_plain(first.run)}",
        f"An image classifier of {len(first.labels)} classes, trained on {trained_on} with retrain "
        f"{first.version} on {first.created[:10]}. Backbone: {_plain(first.backbone)}.",
        "## Classes",
        _labels(first),
        "## How good it is",
        _table(files, run),
        _score_notes(first),
        "## What goes in",
        *(_input(one) for one in files),
        "## What it cannot do",
        "\n".join(f"- {line}" for line in _limits(files)),
        "## What it was made from",
        "\n".join(f"- {name}: `{digest}`" for name, digest in first.digests.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    """A name of the user's as one line of Markdown."""
    seen = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    return seen.replace("|", "\\|")


def _labels(described: ExportDescription) -> str:
    shown = [_plain(label) for label in described.labels[:_FEW]]
    more = len(described.labels) - len(shown)
    return ", ".join(shown) + (f", and {more} more in {LABELS_FILE}" if more else "")


def _table(files: Sequence[CardFile], run: Mapping[str, Any]) -> str:
    photos = files[0].figures["photos"]
    lines = [
        f"On {photos} test photos, one at a time, from a photo's bytes to its scores on one "
        "machine's processor:",
        "",
        "| | MB | largest score difference | other label | accuracy | median ms | p95 ms |",
        "|---|---|---|---|---|---|---|",
        f"| the run itself | | | | {run['accuracy']:.1%} | {_milliseconds(run)} |",
    ]
    for one in files:
        figures = one.figures
        difference = figures["largest_difference"]
        lines.append(
            f"| {_plain(one.name)} | {figures['bytes'] / 1e6:.1f} | "
            f"{'no number' if difference is None else f'{difference:.2g}'} | "
            f"{figures['other_labels']} | {figures['accuracy']:.1%} | {_milliseconds(figures)} |"
        )
    return "\n".join(lines)


def _milliseconds(figures: Mapping[str, Any]) -> str:
    latency = figures["latency_ms"]
    return f"{latency['median']:.1f} | {latency['p95']:.1f}"


def _score_notes(described: ExportDescription) -> str:
    notes = []
    if described.temperature is not None:
        notes.append(
            f"The scores are calibrated (temperature {described.temperature:.3g}): of the photos "
            "with a best score of 0.8 about 80% should be right."
        )
    if described.least_score is not None and described.max_error is not None:
        notes.append(
            f"Call a photo unknown where its best score is below {described.least_score:.3f}: "
            f"above it at most {described.max_error:.0%} of the validation photos were named "
            "wrongly."
        )
    else:
        notes.append("Validation gave no threshold below which a photo is better called unknown.")
    return "\n\n".join(notes)


def _input(one: CardFile) -> str:
    described = one.described
    takes = _INPUTS[described.input].format(height=described.height, width=described.width)
    does = {
        "bytes": f"Decoding, EXIF orientation, resizing (`{described.resize}`) and scaling are",
        "any-size": f"Resizing (`{described.resize}`, antialiased) and scaling are",
        "pixels": "Scaling is",
    }[described.input]
    how = (
        f" Resize photos by the rule `{described.resize}`, bilinear and antialiased, and leave the "
        "pixels as they are: 0 to 255, red first."
        if described.input == "pixels"
        else ""
    )
    return (
        f"`{_plain(one.name)}` ({described.precision}) takes {takes}. {does} part of it, and so "
        f"is softmax: scaling twice ruins the answers.{how} See `{example_name(described)}`."
    )


def _limits(files: Sequence[CardFile]) -> list[str]:
    found = [
        f"{FORMATS[one.described.format].title}: {line}"
        for one in files
        for line in _LIMITS[one.described.format]
    ]
    found.append("It knows its own classes alone: a photo of anything else gets one of them, too.")
    return list(dict.fromkeys(found))
