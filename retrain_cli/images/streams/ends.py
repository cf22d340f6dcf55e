"""Where images of all formats end in a stream, by their own structure."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from retrain_cli.images.codecs.netpbm import read_header
from retrain_cli.images.formats import ImageFormat
from retrain_cli.images.streams.jpeg_end import BrokenError, Held, Walk, holds_another, jpeg_end
from retrain_cli.images.streams.tiff_end import tiff_end

TO_THE_LAST: Final = 1 << 62
"""An end that is beyond every stream: the rest of it is this image."""

_BOX_TYPES: Final = frozenset({
    b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"wide", b"uuid", b"idat", b"pdin",
    b"moof", b"mfra", b"sidx", b"styp", b"emsg", b"mvhd", b"udta", b"jp2h", b"jp2c", b"jp2i",
    b"xml ", b"asoc", b"jumb", b"rreq", b"jpch", b"jplh", b"ftbl", b"url ", b"uinf", b"mpvd",
    b"sefd", b"jP  ", b"grid",
})  # fmt: skip


def _png_end(held: Held) -> Walk:
    """Chunks (length, type, data, checksum) up to IEND."""
    at = 8
    while True:
        yield at + 8
        kind = held[at + 4 : at + 8]
        if not kind.isalpha():
            raise BrokenError
        held.unit, at = at, at + 12 + int.from_bytes(held[at : at + 4], "big")
        if kind == b"IEND":
            yield at
            return at


def _gif_end(held: Held) -> Walk:
    yield 13
    held.unit = 13
    at = 13 + _gif_palette(held[10])
    while True:
        yield at + 1
        kind = held[at]
        if kind == 0x3B:
            if holds_another(held, held.unit, at):
                raise BrokenError
            return at + 1
        if kind == 0x2C:  # an image
            yield at + 11
            at += 11 + _gif_palette(held[at + 9])
        elif kind == 0x21:  # an extension
            at += 2
        elif kind == 0 and at > 13:
            at += 1
            continue
        else:
            raise BrokenError
        while True:
            yield at + 1
            size = held[at]
            at += 1 + size
            if not size:
                break


def _gif_palette(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _bmp_end(held: Held) -> Walk:
    """The size in the header, unless the pixels need more, or it is left out."""
    yield 54
    stated, start, header = struct.unpack_from("<I4xII", held, 2)
    if header == 12:
        width, height, bits = struct.unpack_from("<HH2xH", held, 18)
        compression = 0
    else:
        width, height, bits, compression = struct.unpack_from("<ii2xHI", held, 18)
    pixels = (abs(width) * bits + 31) // 32 * 4 * abs(height) if compression in (0, 3, 6) else 0
    if not pixels and not stated:
        return TO_THE_LAST
    return int(max(stated, start + pixels))


def _riff_end(held: Held) -> Walk:
    yield 12
    size = 8 + int.from_bytes(held[4:8], "little")
    return size + size % 2


def boxes_end(held: Held) -> Walk:
    """Boxes of ISO/IEC 14496-12 and JPEG 2000 up to what is none, or begins a new file."""
    at = 0
    while True:
        yield at + 16
        size, kind = int.from_bytes(held[at : at + 4], "big"), bytes(held[at + 4 : at + 8])
        if size == 1:
            size = int.from_bytes(held[at + 8 : at + 16], "big")
        is_new = kind in (b"ftyp", b"jP  ") and at > 0 and not (kind == b"ftyp" and at == 12)
        if kind not in _BOX_TYPES or is_new or (size < 8 and size != 0):
            return at
        if size == 0:
            return TO_THE_LAST
        at += size
        yield at


def _jp2_end(held: Held) -> Walk:
    yield 4
    if held[:4] == b"\xff\x4f\xff\x51":
        return (yield from _codestream_end(held))
    return (yield from boxes_end(held))


def _codestream_end(held: Held) -> Walk:
    """Segments of a JPEG 2000 codestream, and its tile parts, whose length is in SOT."""
    at = 2
    while True:
        yield at + 12
        marker = held[at + 1]
        if held[at] != 0xFF:
            raise BrokenError
        if marker == 0xD9:
            return at + 2
        if marker == 0x90:
            length = int.from_bytes(held[at + 6 : at + 10], "big")
            if length == 0:  # up to the end of the codestream
                while (end := held.find(b"\xff\xd9", at)) < 0:
                    yield len(held) + 1
                return end + 2
            at += length
        else:
            at += 2 + int.from_bytes(held[at + 2 : at + 4], "big")
        yield at + 2
        if held[at : at + 2] == b"\xff\xd9":
            return at + 2


def _netpbm_end(held: Held) -> Walk:
    while True:
        try:
            header = read_header(held)
            break
        except ValueError as error:
            if "truncated" not in str(error):
                raise BrokenError from error
        yield len(held) + 1
    if header.raster_bytes is not None:
        return header.start + header.raster_bytes
    return (yield from _plain_end(held, header.start, header.width * header.height * header.bands))


def _plain_end(held: Held, at: int, count: int) -> Walk:
    """Over numbers that are text; those of P1 may stand without anything between them."""
    is_bits, step = held[:2] == b"P1", 1 << 16
    is_within = False
    while True:
        yield at + 1
        for octet in held[at : at + step]:
            is_digit = 0x30 <= octet <= 0x39
            if is_digit and (is_bits or not is_within):
                count -= 1
            if not is_digit and count <= 0:
                return at
            is_within = is_digit
            at += 1
            if is_bits and count <= 0:
                return at
            if not is_digit and octet not in b" \t\r\n\v\f#":
                return at  # a comment, or no number: the decoder will see


def _icon_end(held: Held) -> Walk:
    yield 6
    count = int.from_bytes(held[4:6], "little")
    yield 6 + 16 * count
    entries = (struct.unpack_from("<II", held, 14 + 16 * number) for number in range(count))
    return max((size + offset for size, offset in entries), default=6)


def _icns_end(held: Held) -> Walk:
    yield 8
    return int.from_bytes(held[4:8], "big")


def _qoi_end(held: Held) -> Walk:
    """The stream of chunks ends with seven zeros and a one, which no pixels need to look like."""
    at = 14
    while (end := held.find(b"\0\0\0\0\0\0\0\1", at)) < 0:
        at = max(14, len(held) - 7)
        yield len(held) + 1
    return end + 8


def _sun_end(held: Held) -> Walk:
    yield 32
    _, width, height, depth, length, kind, _, palette = struct.unpack_from(">8I", held)
    pixels = ((width * depth + 15) // 16) * 2 * height
    return int(32 + palette + (length if kind == 2 else pixels))


def _sgi_end(held: Held) -> Walk:
    yield 12
    packed, size = held[2], held[3]
    dimension, width, height, depth = struct.unpack_from(">4H", held, 4)
    rows = (height if dimension > 1 else 1) * (depth if dimension > 2 else 1)
    if not packed:
        return int(512 + width * rows * size)
    yield 512 + 8 * rows
    starts = struct.unpack_from(f">{rows}I", held, 512)
    lengths = struct.unpack_from(f">{rows}I", held, 512 + 4 * rows)
    return max((sum(place) for place in zip(starts, lengths, strict=True)), default=512)


def _pcx_end(held: Held) -> Walk:
    yield 128
    _, top, _, bottom = struct.unpack_from("<4H", held, 4)
    bits, planes, stride = held[3], held[65], int.from_bytes(held[66:68], "little")
    left_over, at = stride * planes * (bottom - top + 1), 128
    while left_over > 0:
        yield at + 2
        is_run = held[at] >= 0xC0
        left_over -= held[at] & 0x3F if is_run else 1
        at += 1 + is_run
    if (bits, planes) == (8, 1):  # a palette of 256 colours may follow
        yield at + 1
        if held[at] == 12:
            return at + 769
    return at


_DXGI_CODES: Final = {69: b"DXT1", 72: b"DXT3", 75: b"DXT3", 78: b"ATI1", 81: b"ATI2", 93: b"DXT5",
                     96: b"DXT5"}  # fmt: skip
"""By the first of three numbers of DXGI_FORMAT, codes of formats with blocks of that size."""


def _dds_end(held: Held) -> Walk:
    """Pixels of the image and its smaller copies; of formats that we do not know, all the rest."""
    yield 148
    height, width = struct.unpack_from("<II", held, 12)
    levels = max(1, min(int.from_bytes(held[28:32], "little"), 32))
    flags, code, bits = struct.unpack_from("<I4sI", held, 80)
    end = 128
    if code == b"DX10":  # the format stands behind the header
        number = int.from_bytes(held[128:132], "little")
        code, end = _DXGI_CODES.get(number - number % 3, b"?"), 148
    blocks = {b"DXT1": 8, b"ATI1": 8, b"BC4U": 8, b"BC4S": 8, b"DXT3": 16, b"DXT5": 16}
    blocks |= {b"ATI2": 16, b"BC5U": 16, b"BC5S": 16}
    if int.from_bytes(held[112:116], "little") or (flags & 4 and code not in blocks):
        return TO_THE_LAST
    end += 1024 if flags & 0x20 else 0
    for level in range(levels):
        wide, high = max(1, width >> level), max(1, height >> level)
        if flags & 4:
            end += ((wide + 3) // 4) * ((high + 3) // 4) * blocks[code]
        else:
            end += (wide * bits + 7) // 8 * high
    return int(end)


def _to_the_last(held: Held) -> Walk:
    yield 1
    return TO_THE_LAST


ENDS: Final[dict[ImageFormat, Callable[[Held], Walk]]] = {
    "jpeg": jpeg_end,
    "png": _png_end,
    "gif": _gif_end,
    "bmp": _bmp_end,
    "tiff": tiff_end,
    "webp": _riff_end,
    "avif": boxes_end,
    "heic": boxes_end,
    "netpbm": _netpbm_end,
    "jp2": _jp2_end,
    "tga": _to_the_last,
    "pcx": _pcx_end,
    "ico": _icon_end,
    "cur": _icon_end,
    "icns": _icns_end,
    "dds": _dds_end,
    "sgi": _sgi_end,
    "sun": _sun_end,
    "qoi": _qoi_end,
}
"""How to find the end of an image that begins where the buffer does."""
