"""The metadata of a LiteRT image classifier, written field by field with flatbuffers.

The tables and the numbers of their fields are those of TensorFlow Lite's public schema
`metadata_schema.fbs`, which MediaPipe and Android's tools read.
"""

from __future__ import annotations

from typing import Any

from retrain_cli.errors import MissingExtraError
from retrain_cli.exporting.description import DESCRIPTION_FILE, LABELS_FILE, ExportDescription

METADATA_NAME = "TFLITE_METADATA"
_IDENTIFIER = b"M001"
_PARSER_VERSION = "1.0.0"

_RGB = 1
_IMAGE_PROPERTIES, _FEATURE_PROPERTIES = 2, 1
_NORMALISATION, _THRESHOLDING = 1, 3
_DESCRIPTIONS, _AXIS_LABELS = 1, 2
"""Members of the schema's enumerations and unions."""

Offset = int


def metadata_of(described: ExportDescription) -> bytes:
    """The flatbuffer that goes into the model's metadata entry."""
    try:
        import flatbuffers
    except ImportError as error:
        raise MissingExtraError("LiteRT files", "export") from error
    return _Tables(flatbuffers.Builder(1024), described).finish()


class _Tables:
    """Tables of the schema, each built after those that it holds."""

    def __init__(self, builder: Any, described: ExportDescription) -> None:
        self._builder = builder
        self._described = described

    def finish(self) -> bytes:
        described, builder = self._described, self._builder
        graph = self._table(9, {0: self._text("image classifier"), 2: self._list([self._input()]),
                                3: self._list([self._output()])})  # fmt: skip
        files = self._list([self._file(DESCRIPTION_FILE, "what retrain knows", _DESCRIPTIONS)])
        root = self._table(
            8,
            {
                0: self._text(described.run),
                1: self._text(f"{len(described.labels)} classes; {described.backbone}"),
                2: self._text(described.version),
                3: self._list([graph]),
                6: files,
                7: self._text(_PARSER_VERSION),
            },
        )
        builder.Finish(root, file_identifier=_IDENTIFIER)
        return bytes(builder.Output())

    def _input(self) -> Offset:
        size = self._table(2, numbers={0: self._described.width, 1: self._described.height})
        image = self._table(2, {1: size}, octets={0: _RGB})
        # Pixels stay as they are: the graph scales them.
        options = self._table(2, {0: self._floats([0.0]), 1: self._floats([1.0])})
        unit = self._table(2, {1: options}, octets={0: _NORMALISATION})
        stats = self._table(2, {0: self._floats([255.0]), 1: self._floats([0.0])})
        return self._table(
            7,
            {
                0: self._text("images"),
                1: self._text("8-bit RGB; scaling is part of the graph"),
                3: self._content(_IMAGE_PROPERTIES, image),
                4: self._list([unit]),
                5: stats,
            },
        )

    def _output(self) -> Offset:
        least = self._described.least_score
        units = []
        if least is not None:
            options = self._table(1, floats={0: least})
            units = [self._table(2, {1: options}, octets={0: _THRESHOLDING})]
        stats = self._table(2, {0: self._floats([1.0]), 1: self._floats([0.0])})
        fields = {
            0: self._text("scores"),
            1: self._text("calibrated probability of each class"),
            3: self._content(_FEATURE_PROPERTIES, self._table(0)),
            5: stats,
            6: self._list([self._file(LABELS_FILE, "one class a line", _AXIS_LABELS)]),
        }
        return self._table(7, fields | ({4: self._list(units)} if units else {}))

    def _content(self, kind: int, properties: Offset) -> Offset:
        return self._table(3, {1: properties}, octets={0: kind})

    def _file(self, name: str, what: str, kind: int) -> Offset:
        return self._table(5, {0: self._text(name), 1: self._text(what)}, octets={2: kind})

    def _table(
        self,
        n_fields: int,
        offsets: dict[int, Offset] | None = None,
        *,
        octets: dict[int, int] | None = None,
        numbers: dict[int, int] | None = None,
        floats: dict[int, float] | None = None,
    ) -> Offset:
        builder = self._builder
        builder.StartObject(n_fields)
        for slot, offset in (offsets or {}).items():
            builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
        for slot, octet in (octets or {}).items():
            builder.PrependUint8Slot(slot, octet, 0)
        for slot, number in (numbers or {}).items():
            builder.PrependUint32Slot(slot, number, 0)
        for slot, value in (floats or {}).items():
            builder.PrependFloat32Slot(slot, value, 0.0)
        return int(builder.EndObject())

    def _text(self, text: str) -> Offset:
        return int(self._builder.CreateString(text.encode("utf-8", "replace").decode()))

    def _list(self, offsets: list[Offset]) -> Offset:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def _floats(self, values: list[float]) -> Offset:
        self._builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self._builder.PrependFloat32(value)
        return int(self._builder.EndVector())
