"""Cut a stream of images that follow each other (`ffmpeg -f image2pipe`) into single ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_STANDALONE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})  # TEM, RST0-7: no length follows
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = 0xD9


def split_images(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Images one by one: JPEG and PNG by their own structure, anything else as one image.

    Args:
        pieces: the stream, in pieces of any size.
    """
    held = b""
    for piece in pieces:
        held += piece
        while end := _first_end(held):
            yield held[:end]
            held = held[end:]
    if held:
        yield held


def _first_end(data: bytes) -> int | None:
    """Where the first image of `data` ends; None where it is not complete, or cannot be told."""
    try:
        if data.startswith(_PNG):
            return _png_end(data)
        if data.startswith(_JPEG):
            return _jpeg_end(data)
    except IndexError:
        pass
    return None


def _png_end(data: bytes) -> int:
    """Walk the chunks (length, type, data, CRC) up to IEND. Raises IndexError where data ends."""
    at = len(_PNG)
    while True:
        kind = data[at + 4 : at + 8]
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        _ = data[at - 1]
        if kind == b"IEND":
            return at


def _jpeg_end(data: bytes) -> int:
    """Walk the segments, so that a thumbnail's end is not taken for the image's.

    Raises:
        IndexError: the data ends first.
    """
    at = len(_JPEG)
    while True:
        if data[at] != 0xFF:
            raise IndexError("not a marker: the rest is one image")
        marker = data[at + 1]
        at += 2
        if marker == _END_OF_IMAGE:
            return at
        if marker == 0xFF:  # fill byte
            at -= 1
        elif marker not in _STANDALONE_MARKERS:
            at += int.from_bytes(data[at : at + 2], "big") if data[at + 1] is not None else 0
            if marker == _START_OF_SCAN:
                at = _scan_end(data, at)


def _scan_end(data: bytes, at: int) -> int:
    """The next marker after entropy-coded data, where 0xFF is followed by 0 or a restart."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0:
            raise IndexError("the scan goes on")
        if data[at + 1] != 0 and data[at + 1] not in _STANDALONE_MARKERS:
            return at
        at += 2
