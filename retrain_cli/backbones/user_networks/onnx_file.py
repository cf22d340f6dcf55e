"""What an ONNX file says of itself: inputs, outputs, metadata, and the files that belong to it.

It is a message of Protocol Buffers (https://protobuf.dev/programming-guides/encoding/), whose
fields onnx.proto numbers. Only these fields are looked at; nothing in the file runs, weights are
passed over, and the one thing that may lead out of the file is examined first: weights that lie in
files of their own ("external data").
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from retrain_cli.backbones.digests import digest_file
from retrain_cli.errors import WeightsError, reason_of, setting
from retrain_cli.files import read_file

_MOST_BYTES = (2 << 30) - 1  # of any message; larger networks have external data
_MOST_FIELDS = 3_000_000  # the largest networks have some 100,000
_EXTERNAL = 1

_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Of each kind of message the fields that lead to tensors, and what they hold."""

ELEMENT_KINDS = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
    8: "string", 9: "bool", 10: "float16", 11: "float64", 16: "bfloat16",
}  # fmt: skip
"""Names of the element types of onnx.proto."""


@dataclass(frozen=True, slots=True)
class OnnxTensor:
    """An input or output.

    Attributes:
        name: its name.
        kind: its element type, such as "float32"; "" where it is no tensor.
        shape: its axes, None for those of any length; None where not even their number is said.
        meanings: of each axis what it is said to be, such as "DATA_CHANNEL"; mostly "".
    """

    name: str
    kind: str
    shape: tuple[int | None, ...] | None
    meanings: tuple[str, ...] = ()

    def __str__(self) -> str:
        axes = "?" if self.shape is None else " x ".join(str(axis or "any") for axis in self.shape)
        return f"{self.name} ({self.kind or 'no tensor'}, {axes})"


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """What an ONNX file says of itself.

    Attributes:
        inputs: what it takes, without those that it holds itself.
        outputs: what it gives.
        metadata: texts by their keys.
        external: places of files with weights, relative to its folder, by name.
    """

    inputs: tuple[OnnxTensor, ...]
    outputs: tuple[OnnxTensor, ...]
    metadata: dict[str, str]
    external: tuple[str, ...]


def read_onnx(path: Path) -> OnnxFile:
    """Look into a file; once per state of it.

    Raises:
        WeightsError: it cannot be read, is no ONNX file, or names files that it must not.
    """
    try:
        status = path.stat()
        return _read_unchanged(path, status.st_size, status.st_mtime_ns)
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{setting('BackboneSpec.name', 'onnx:')} takes an intact ONNX file, and {path} is "
            f"none ({getattr(error, 'strerror', None) or reason_of(error)}): export or copy it "
            "again"
        ) from error


def digest_onnx(path: Path) -> str:
    """BLAKE2b-128 of the file, and of the files of weights that it names, as 32 hex digits.

    Raises:
        WeightsError: as `read_onnx`.
    """
    own, external = digest_file(path), read_onnx(path).external
    if not external:
        return own
    digest = hashlib.blake2b(own.encode(), digest_size=16)
    for location in external:
        digest.update(location.encode() + b"\0" + digest_file(path.parent / location).encode())
    return digest.hexdigest()


@lru_cache(maxsize=4)
def _read_unchanged(path: Path, size: int, mtime_ns: int) -> OnnxFile:
    message = memoryview(read_file(path, _MOST_BYTES))
    budget = _Budget(_MOST_FIELDS)
    external = _external_files(message, budget)
    for location in external:
        _check_external(path, location)
    return _describe(message, budget, external)


@dataclass(slots=True)
class _Budget:
    """Fields that may still be looked at: a hostile file has millions of empty ones."""

    left: int


def _fields(message: memoryview, budget: _Budget) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field: an integer, or bytes.

    Raises:
        ValueError: this is no message.
    """
    position, end = 0, len(message)
    while position < end:
        budget.left -= 1
        if budget.left < 0:
            raise ValueError(f"it has more than {_MOST_FIELDS:,} fields, as no network has")
        tag, position = _integer(message, position)
        number, kind = tag >> 3, tag & 7
        if number == 0 or kind not in (0, 1, 2, 5):
            raise ValueError("it is no message of Protocol Buffers")
        if kind == 0:
            value, position = _integer(message, position)
            yield number, value
            continue
        length = {1: 8, 5: 4}.get(kind, 0)
        if kind == 2:
            length, position = _integer(message, position)
        if length > end - position:
            raise ValueError("it ends too early, or is no message of Protocol Buffers")
        yield number, message[position : position + length]
        position += length


def _integer(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("it ends too early")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
    raise ValueError("it is no message of Protocol Buffers")


def _messages(message: memoryview, number: int, budget: _Budget) -> Iterator[memoryview]:
    """The messages within a message that have this number."""
    for found, value in _fields(message, budget):
        if found == number:
            if isinstance(value, int):
                raise ValueError("it is no ONNX model")
            yield value


def _text(message: memoryview, number: int, budget: _Budget) -> str:
    """A text within a message, "" where there is none; of several the last one counts."""
    found = [bytes(value) for value in _messages(message, number, budget)]
    return found[-1].decode("utf-8", "replace") if found else ""


def _number(message: memoryview, number: int, budget: _Budget) -> int | None:
    found = [value for key, value in _fields(message, budget) if key == number]
    return next((value for value in reversed(found) if isinstance(value, int)), None)


def _external_files(model: memoryview, budget: _Budget) -> tuple[str, ...]:
    """The places that any tensor in the model names, however deep it lies."""
    waiting, found = [("model", model)], set[str]()
    while waiting:
        kind, message = waiting.pop()
        if kind == "tensor":
            found.update(_locations(message, budget))
            continue
        inside = _INSIDE[kind]
        for number, value in _fields(message, budget):
            if number in inside:
                if isinstance(value, int):
                    raise ValueError("it is no ONNX model")
                waiting.append((inside[number], value))
    return tuple(sorted(found))


def _locations(tensor: memoryview, budget: _Budget) -> Iterator[str]:
    """Where the numbers of a tensor lie, if not in it."""
    is_external, named = False, False
    for number, value in _fields(tensor, budget):
        if number == 14 and value == _EXTERNAL:
            is_external = True
        elif number == 13 and not isinstance(value, int):
            key = _text(value, 1, budget)
            if key == "location":
                named = True
                yield _text(value, 2, budget)
    if is_external and not named:
        raise ValueError("a tensor lies in another file, and it does not say in which")


def _check_external(path: Path, location: str) -> None:
    """Hold a file of weights to lie beside the network or in a folder below.

    Raises:
        ValueError: it lies elsewhere, is a link to elsewhere, or is not there.
    """
    parts = PurePosixPath(location).parts
    plain = bool(parts) and ".." not in parts and not location.startswith("/")
    if not plain or "\\" in location or ":" in location or "\0" in location:
        raise ValueError(
            f"its weights must lie in files beside it, and it names {location!r:.80}, which leads "
            "out of its folder"
        )
    file, folder = path.parent / location, path.parent.resolve()
    if not file.is_file():
        raise ValueError(f"its weights lie in {location!r:.80}, which is not beside it")
    if not file.resolve().is_relative_to(folder):
        raise ValueError(
            f"its weights lie in {location!r:.80}, which is a link out of its folder: copy both "
            "with cp -L"
        )


def _describe(model: memoryview, budget: _Budget, external: tuple[str, ...]) -> OnnxFile:
    graphs = list(_messages(model, 7, budget))
    has_version = bool(_number(model, 1, budget))
    if len(graphs) != 1 or not has_version or not list(_messages(model, 8, budget)):
        raise ValueError("it is no ONNX model")
    (graph,) = graphs
    held = {_text(tensor, 8, budget) for tensor in _messages(graph, 5, budget)}
    inputs = [_tensor(value, budget) for value in _messages(graph, 11, budget)]
    return OnnxFile(
        # Older files list their weights among the inputs.
        tuple(one for one in inputs if one.name not in held),
        tuple(_tensor(value, budget) for value in _messages(graph, 12, budget)),
        {
            _text(entry, 1, budget): _text(entry, 2, budget)
            for entry in _messages(model, 14, budget)
        },
        external,
    )


def _tensor(value: memoryview, budget: _Budget) -> OnnxTensor:
    """An input or output of a graph, from its ValueInfoProto."""
    name = _text(value, 1, budget)
    for kind in _messages(value, 2, budget):
        for tensor in _messages(kind, 1, budget):
            element = ELEMENT_KINDS.get(_number(tensor, 1, budget) or 0, "another kind")
            for shape in _messages(tensor, 2, budget):
                axes = list(_messages(shape, 1, budget))
                lengths = tuple(_number(axis, 1, budget) or None for axis in axes)
                meanings = tuple(_text(axis, 3, budget) for axis in axes)
                return OnnxTensor(name, element, lengths, meanings)
            return OnnxTensor(name, element, None)
    return OnnxTensor(name, "", None)
