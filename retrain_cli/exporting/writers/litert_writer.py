"""A LiteRT file (.tflite), by TensorFlow's converter, with the metadata that MediaPipe reads."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from retrain_cli.engine import load_tensorflow
from retrain_cli.exporting.description import DESCRIPTION_FILE, LABELS_FILE
from retrain_cli.exporting.writers.export_parts import ExportParts, frozen_function, writing_format
from retrain_cli.exporting.writers.litert_metadata import METADATA_NAME, metadata_of

_FIXED_DATE = (1980, 1, 1, 0, 0, 0)
"""Of what is appended: the same run gives the same bytes."""


def write_litert(parts: ExportParts, path: Path) -> None:
    """Write a `.tflite` file.

    Raises:
        ExportError: TensorFlow cannot convert it.
        OSError: the disk cannot be written.
    """
    with writing_format("a LiteRT file"):
        tensorflow = load_tensorflow()
        function = frozen_function(parts.model, parts.description.size)
        converter = tensorflow.lite.TFLiteConverter.from_concrete_functions([function])
        if parts.description.precision == "float16":
            converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tensorflow.float16]
        elif parts.description.precision == "int8":
            # Weights of convolutions get a scale a channel; pixels stay uint8, scores float32.
            converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: _samples(parts)
        content = _described(converter.convert(), parts)
    path.write_bytes(content)


def _samples(parts: ExportParts) -> Iterator[list[Any]]:
    for photo in parts.calibration():
        yield [photo[np.newaxis]]


def _described(content: bytes, parts: ExportParts) -> bytes:
    """The file with its metadata inside, and the files that these name behind it."""
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].name = b"images"
    graph.tensors[graph.outputs[0]].name = b"scores"
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(metadata_of(parts.description), np.uint8)
    entry.name, entry.buffer = METADATA_NAME, len(model.buffers)
    model.buffers = [*model.buffers, buffer]
    model.metadata = [*(model.metadata or []), entry]
    model.description = f"retrain run {parts.description.run}".encode("utf-8", "replace")
    file = io.BytesIO(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
    labels = "\n".join(parts.description.labels)
    with zipfile.ZipFile(file, "a") as archive:
        for name, text in (
            (LABELS_FILE, labels.encode("utf-8", "surrogateescape")),
            (DESCRIPTION_FILE, parts.description.to_json().encode()),
        ):
            archive.writestr(zipfile.ZipInfo(name, _FIXED_DATE), text)
    return file.getvalue()
