"""The formats of `retrain export`, in one table: names, precisions, inputs, and who writes them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from retrain_cli.errors import ConfigError, MissingExtraError, setting
from retrain_cli.exporting.description import ExportFormat, ExportInput, ExportPrecision


@dataclass(frozen=True)
class FormatRow:
    """One format.

    Attributes:
        name: as Ultralytics and Keras users know it.
        title: as people call it.
        ending: of the file or folder, behind the run's name.
        precisions: that its weights can have.
        inputs: that it can take; the first one is the usual one.
        packages: Python modules that writing and running need beside this package's own.
        writer: module in `writers` and its function.
        runner: module in `runners` and its function, which opens such a file.
        is_fetched: whether a part of it comes over the network.
    """

    name: ExportFormat
    title: str
    ending: str
    precisions: tuple[ExportPrecision, ...]
    inputs: tuple[ExportInput, ...]
    packages: tuple[str, ...]
    writer: str
    runner: str
    is_fetched: bool = False

    def input_for(self, wanted: ExportInput | None) -> ExportInput:
        """What a file of this format is to take.

        Raises:
            ConfigError: it cannot take that.
        """
        if wanted is None or wanted in self.inputs:
            return wanted or self.inputs[0]
        raise ConfigError(
            f"{self.title} takes {' or '.join(self.inputs)}, not {setting('input', wanted)}: "
            "choose one of these, or leave it out"
        )

    def check_precision(self, wanted: ExportPrecision) -> None:
        """Refuse a precision that this format does not have.

        Raises:
            ConfigError: it does not.
        """
        if wanted not in self.precisions:
            able = [row.name for row in FORMATS.values() if wanted in row.precisions]
            raise ConfigError(
                f"{setting('quantise', wanted)} goes with {', '.join(able)}, and {self.title} has "
                "no such weights: choose one of these"
            )

    def check_installed(self) -> None:
        """Say so early where a package is missing.

        Raises:
            MissingExtraError: it is.
        """
        if any(find_spec(package) is None for package in self.packages):
            raise MissingExtraError(f"{self.title}s", "export")


_ALL: tuple[ExportPrecision, ...] = ("float32", "float16", "int8")
FORMATS: dict[ExportFormat, FormatRow] = {
    row.name: row
    for row in (
        FormatRow(
            "savedmodel", "SavedModel", "_saved_model", ("float32",),
            ("bytes", "pixels", "any-size"), (),
            "saved_model_writer:write_saved_model", "tensorflow_runner:open_saved_model",
        ),
        FormatRow(
            "litert", "LiteRT file", ".tflite", _ALL, ("pixels",),
            ("ai_edge_litert", "flatbuffers"),
            "litert_writer:write_litert", "litert_runner:open_litert",
        ),
        FormatRow(
            "onnx", "ONNX file", ".onnx", _ALL, ("any-size", "pixels"),
            ("onnx", "tf2onnx", "onnxruntime"),
            "onnx_writer:write_onnx", "onnx_runner:open_onnx",
        ),
        FormatRow(
            "openvino", "OpenVINO model", "_openvino_model", _ALL, ("any-size", "pixels"), (),
            "openvino_writer:write_openvino", "openvino_runner:open_openvino",
        ),
        FormatRow(
            "keras", "Keras file", ".keras", ("float32",), ("pixels",), (),
            "keras_writer:write_keras", "tensorflow_runner:open_keras_file",
        ),
        FormatRow(
            "web", "web page", "_web", _ALL, ("any-size",), ("onnx", "tf2onnx", "onnxruntime"),
            "web_writer:write_web", "onnx_runner:open_web", is_fetched=True,
        ),
    )
}  # fmt: skip
"""By name, in the order in which `all` writes them."""


def function_of(room: str, place: str) -> Any:
    """A writer or runner by its place, such as `onnx_writer:write_onnx`."""
    module, _, name = place.partition(":")
    return getattr(import_module(f"retrain_cli.exporting.{room}.{module}"), name)
