"""Netpbm images (PBM, PGM, PPM, PAM, PFM) by NumPy.

Pillow reads most of them a sample at a time in Python, and neither PAM nor PFM in colour. The
formats: netpbm.sourceforge.net/doc, and Debevec's for PFM.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from retrain_cli.images.pixels import scale_to_bytes

_PLAIN: Final = {b"P1", b"P2", b"P3"}
_BANDS: Final = {b"P1": 1, b"P2": 1, b"P3": 3, b"P4": 1, b"P5": 1, b"P6": 3, b"PF": 3, b"Pf": 1}
_HEADER_BYTES = 1 << 16  # comments may be long, but not without end
_NUMBER: Final = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*([-+.\deE]+)")
_MODES: Final = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Header:
    """What stands before the samples.

    Attributes:
        kind: the two letters that the file begins with.
        width: pixels.
        height: pixels.
        bands: samples a pixel.
        most: the greatest sample; for PFM the scale, which is negative for Intel's order.
        start: where the samples begin.
    """

    kind: bytes
    width: int
    height: int
    bands: int
    most: float
    start: int

    @property
    def raster_bytes(self) -> int | None:
        """Bytes of the samples; None for the plain formats, whose numbers are text."""
        samples = self.width * self.height * self.bands
        if self.kind in _PLAIN:
            return None
        if self.kind == b"P4":
            return (self.width + 7) // 8 * self.height
        if self.kind in (b"PF", b"Pf"):
            return 4 * samples
        return samples * (1 if self.most < 256 else 2)


def read_header(data: bytes | bytearray | memoryview) -> Header:
    """Read the header.

    Raises:
        ValueError: it is none, or cut; the message says which, "truncated" for the latter.
    """
    head = bytes(data[:_HEADER_BYTES])
    kind = head[:2]
    if kind == b"P7":
        return _pam_header(head)
    if kind not in _BANDS:
        raise ValueError("no header")
    at, numbers = 2, []
    for _ in range(2 if kind in (b"P1", b"P4") else 3):
        found = _NUMBER.match(head, at)
        if found is None or found.end() == len(head):
            raise ValueError("no header" if len(head) == _HEADER_BYTES else "truncated header")
        numbers.append(float(found[1]))
        at = found.end()
    width, height, most = (*numbers, 1.0)[:3]
    return _checked(Header(kind, int(width), int(height), _BANDS[kind], most, at + 1))


def _pam_header(head: bytes) -> Header:
    end = head.find(b"ENDHDR\n")
    if end < 0:
        raise ValueError("truncated header")
    lines = (line.split(None, 1) for line in head[3:end].split(b"\n") if line[:1] != b"#")
    fields = {line[0]: line[1] for line in lines if len(line) == 2}
    try:
        numbers = [int(fields[key]) for key in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")]
    except (KeyError, ValueError) as error:
        raise ValueError("a field of the header is missing or no number") from error
    width, height, bands, most = numbers
    return _checked(Header(b"P7", width, height, bands, most, end + 7))


def _checked(header: Header) -> Header:
    is_float = header.kind in (b"PF", b"Pf")
    if not np.isfinite(header.most) or (not is_float and not 0 < header.most < 65536):
        raise ValueError(f"the greatest value is {header.most:g}; it has to be 1 to 65535")
    if header.bands not in _MODES or header.most == 0:
        raise ValueError(f"{header.bands} samples a pixel")
    return header


class NetpbmFile(ImageFile.ImageFile):
    """A Netpbm image as Pillow would have it: the header now, the pixels when they are loaded."""

    format = "NETPBM"
    format_description = "Netpbm"

    def _open(self) -> None:
        assert self.fp is not None
        data = self.fp.read()
        self._header, self._data = read_header(data), data
        self._size = (self._header.width, self._header.height)
        self._mode = _MODES[self._header.bands]
        self._is_read = False

    def load(self) -> Any:
        """Decode.

        Raises:
            ValueError: there are fewer samples than the header says, or what are none.
        """
        if not self._is_read:
            self._is_read = True
            self.im = Image.fromarray(_pixels(self._header, self._data)).im
            self._data = b""
        return Image.Image.load(self)


def _pixels(header: Header, data: bytes) -> NDArray[np.uint8]:
    """`(height, width) uint8` or `(height, width, bands) uint8`."""
    shape = (header.height, header.width, header.bands)
    if header.kind in (b"PF", b"Pf"):
        pixels = scale_to_bytes(_floats(header, data).reshape(shape))[::-1]
    else:
        pixels = _to_bytes(_samples(header, data).reshape(shape), int(header.most))
    if header.kind in (b"P1", b"P4"):
        pixels = 255 - pixels  # there 1 is black
    return np.ascontiguousarray(pixels[..., 0] if header.bands == 1 else pixels)


def _floats(header: Header, data: bytes) -> NDArray[Any]:
    dtype = "<f4" if header.most < 0 else ">f4"
    return np.frombuffer(_raster(header, data), dtype)


def _samples(header: Header, data: bytes) -> NDArray[Any]:
    """The samples, one after the other, of any integer type."""
    count = header.width * header.height * header.bands
    if header.kind in _PLAIN:
        return _plain_samples(header, data, count)
    octets = np.frombuffer(_raster(header, data), np.uint8)
    if header.kind == b"P4":
        rows = octets.reshape(header.height, -1)
        return np.unpackbits(rows, axis=1)[:, : header.width]
    return octets if header.most < 256 else octets.view(">u2")


def _plain_samples(header: Header, data: bytes, count: int) -> NDArray[Any]:
    text = data[header.start :]
    if b"#" in text:
        text = re.sub(rb"#[^\r\n]*", b"", text)
    if header.kind == b"P1":  # its digits may stand without anything between them
        values = np.frombuffer(text, np.uint8)
        values = values[(values == 0x30) | (values == 0x31)][:count] - 0x30
    else:
        values = np.array(text.split(None, count)[:count]).astype(np.uint32)
    if len(values) < count:
        raise ValueError("truncated")
    return values


def _raster(header: Header, data: bytes) -> memoryview:
    size = header.raster_bytes or 0
    if len(data) < header.start + size:
        raise ValueError("truncated")
    return memoryview(data)[header.start : header.start + size]


def _to_bytes(samples: NDArray[Any], most: int) -> NDArray[np.uint8]:
    """Scale so that the greatest value is 255; what is above it, which is an error, is white."""
    if most == 255:
        return (
            samples.astype(np.uint8, copy=False)
            if samples.dtype == np.uint8
            else np.minimum(samples, 255).astype(np.uint8)
        )
    table = np.minimum((np.arange(65536, dtype=np.uint32) * 255 + most // 2) // most, 255)
    return np.take(table.astype(np.uint8), samples, mode="clip")
