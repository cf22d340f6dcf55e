"""What an exported file says of itself: the run, its labels, and what pixels it takes.

It travels inside the file, in the place that each format has for such notes, as one JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from retrain_cli.checks import check_types
from retrain_cli.errors import ExportError, reason_of
from retrain_cli.workspace import to_json

ExportFormat = Literal["savedmodel", "litert", "onnx", "openvino", "keras", "web"]
ExportInput = Literal["bytes", "pixels", "any-size"]
ExportPrecision = Literal["float32", "float16", "int8"]

KEY = "retrain"
"""Under this name the JSON text stands in the metadata of a file."""

DESCRIPTION_FILE = "retrain.json"
LABELS_FILE = "labels.txt"
"""The same as files, in formats that carry files."""

FORMAT_VERSION = 1
_MOST_CHARACTERS = 64 << 20


@dataclass(frozen=True)
class ExportDescription:
    """What an exported file says of itself.

    Attributes:
        run: name of the run.
        created: when the run was trained, ISO 8601.
        version: of the package that exported it.
        labels: class names, in the order of the scores.
        format: of the file.
        input: what it takes: a photo's bytes, 8-bit RGB pixels of its own size, or of any size.
        height: pixels of the square, or rectangle, that the network takes.
        width: the same.
        resize: the rule by which a photo becomes that: see `images.resizing.ResizeRule`.
        backbone: the network and its settings, in words.
        precision: of the file's weights.
        temperature: what the logits were divided by when the run was calibrated; None where its
            scores are as trained. The scores of the file are calibrated already.
        least_score: a best score below this is better called unknown; None where validation gave
            no such threshold.
        max_error: the share of wrong answers above that threshold, on validation; None likewise.
        digests: BLAKE2b-128 of what the file was made from, by name.
    """

    run: str
    created: str
    version: str
    labels: tuple[str, ...]
    format: ExportFormat
    input: ExportInput
    height: int
    width: int
    resize: str
    backbone: str
    precision: ExportPrecision = "float32"
    temperature: float | None = None
    least_score: float | None = None
    max_error: float | None = None
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return (self.height, self.width)

    def to_json(self) -> str:
        """As one line of JSON."""
        return to_json({"format_version": FORMAT_VERSION, **asdict(self), "labels": [*self.labels]})

    @classmethod
    def from_json(cls, text: str | None, path: Path) -> ExportDescription:
        """The inverse of `to_json`.

        Args:
            text: what the file holds under `KEY`; None where it holds nothing.
            path: the file, for messages.

        Raises:
            ExportError: nothing, damaged, or written by a newer version.
        """
        if text is None:
            raise ExportError(
                f"a file to label with must be one that `retrain export` wrote, and {path} holds "
                "no description by it: export the run again"
            )
        try:
            if len(text) > _MOST_CHARACTERS:
                raise ValueError("it is too long")
            values: dict[str, Any] = dict(json.loads(text))
            version = values.pop("format_version", None)
            if version != FORMAT_VERSION:
                raise ValueError(f"format {version!r:.20}, not {FORMAT_VERSION}")
            known = {one.name for one in fields(cls)}
            made = cls(**{**values, "labels": tuple(values["labels"])})
            check_types(made)
            if not made.labels or min(made.size) < 1 or {*values} - known:
                raise ValueError("it has no labels or no size")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ExportError(
                f"{path} should say what it is and cannot be read ({reason_of(error)}): export "
                "the run again"
            ) from error
        return made
