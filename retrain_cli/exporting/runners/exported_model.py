"""An exported file that is ready to run, whatever its format; and how to open one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import ExportError, RetrainError, reason_of
from retrain_cli.exporting.description import ExportDescription, ExportFormat
from retrain_cli.exporting.export_formats import FORMATS, function_of
from retrain_cli.images.decode import decode_image, load_rgb

Scores = NDArray[np.float32]

WEB_MODEL = "model.onnx"
"""The network in the folder of a web page."""


@dataclass(frozen=True, eq=False)
class ExportedModel:
    """An exported file in its own runtime.

    Attributes:
        description: what the file says of itself.
        scores: `(n, height, width, 3) uint8` of the file's own size to `(n, n_classes) float32`.
        answer: what the file was made for: a photo's bytes, or pixels of any size, `(1, ...)`, to
            `(1, n_classes) float32`.
    """

    description: ExportDescription
    scores: Callable[[NDArray[np.uint8]], Scores]
    answer: Callable[[bytes | NDArray[np.uint8]], Scores]

    def from_photo(self, data: bytes) -> Scores:
        """Scores `(n_classes,)` of a photo's bytes, as whoever uses the file comes to them.

        What the file does not do is done by our decoder: all but the network, all but the resizing,
        or nothing.
        """
        described = self.description
        if described.input == "bytes":
            scores = self.answer(data)
        elif described.input == "any-size":
            scores = self.answer(np.asarray(load_rgb(data), np.uint8)[np.newaxis])
        else:
            pixels = decode_image(data, described.size, described.resize)
            scores = self.scores(pixels[np.newaxis])
        return np.asarray(scores[0], np.float32)


def format_of(path: Path) -> ExportFormat:
    """Which format a file or folder has, by its name and by what a folder holds.

    Raises:
        ExportError: it is not there, or is none.
    """
    if not path.exists():
        raise ExportError(f"a file to label with must be there, and {path} is not: export a run")
    by_suffix: dict[str, ExportFormat] = {
        ".onnx": "onnx", ".tflite": "litert", ".keras": "keras", ".xml": "openvino"
    }  # fmt: skip
    suffix = path.with_suffix("").suffix if path.suffix == ".rejected" else path.suffix
    if suffix in by_suffix and path.is_file():
        return by_suffix[suffix]
    if (path / "model.xml").is_file():
        return "openvino"
    if (path / WEB_MODEL).is_file():
        return "web"
    if (saved_model_folder(path) / "saved_model.pb").is_file():
        return "savedmodel"
    raise ExportError(
        f"a file to label with ends with {', '.join(by_suffix)}, or is the folder of a SavedModel, "
        f"an OpenVINO model or a web page, and {path} is none: name what `retrain export` wrote"
    )


def saved_model_folder(path: Path) -> Path:
    """The folder with `saved_model.pb`: the given one, or its newest version."""
    if (path / "saved_model.pb").is_file() or not path.is_dir():
        return path
    versions = [one for one in path.iterdir() if one.name.isdigit() and one.is_dir()]
    return max(versions, key=lambda one: int(one.name), default=path)


def open_exported(path: Path) -> ExportedModel:
    """Open what `retrain export` wrote, in the runtime of its format alone.

    Raises:
        ExportError: it is not there, is damaged, or was written by something else.
        MissingExtraError: its runtime is not installed.
    """
    row = FORMATS[format_of(path)]
    try:
        opened: ExportedModel = function_of("runners", row.runner)(path)
    except RetrainError:
        raise
    except Exception as error:  # whatever a runtime raises on a damaged file
        raise ExportError(
            f"{path} is no {row.title} that can be run ({reason_of(error)[:200]}): export the run "
            "again"
        ) from error
    return opened
