"""PNG and GIF files of every depth and kind of transparency, and with metadata that is odd."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.picture import GREY, RGB

_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
_PASSES = (*_ADAM7, (1, 0, 2, 1))  # (top, left, rows, columns)


def chunk(kind: bytes, body: bytes, wrong: int = 0) -> bytes:
    """A chunk; `wrong` is added to its checksum."""
    checksum = (zlib.crc32(kind + body) + wrong) & 0xFFFFFFFF
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def png(
    samples: NDArray[Any],
    colour_type: int,
    bits: int,
    before: bytes = b"",
    after: bytes = b"",
    interlaced: bool = False,
) -> bytes:
    """A PNG file.

    Args:
        samples: `(height, width, bands)`.
        colour_type: as in the standard.
        bits: of a sample.
        before: chunks before the pixels.
        after: chunks after them.
        interlaced: by Adam7.
    """
    height, width, _ = samples.shape
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, interlaced)
    parts = [samples[t::r, left::c] for t, left, r, c in _PASSES] if interlaced else [samples]
    rows = b"".join(b"\0" + _row(row, bits) for part in parts if part.size for row in part)
    body = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(rows)) + after
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def _row(row: NDArray[Any], bits: int) -> bytes:
    if bits == 16:
        return row.astype(">u2").tobytes()
    digits = (row[..., None].astype(np.int64) >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(digits.ravel().astype(np.uint8)).tobytes()


def pngs() -> Iterator[tuple[str, bytes]]:
    """Files by a name that says what they are."""
    for bits in (1, 2, 4, 8, 16):
        most = (1 << bits) - 1
        values = np.rint(GREY / 255 * most).astype(np.int64)[..., None]
        for interlaced in (False, True):
            name = f"grey-u{bits}{'-interlaced' if interlaced else ''}"
            yield f"{name}", png(values, _GREY, bits, interlaced=interlaced)
            for key in {0, most // 3, most - most // 4, most}:
                marked = values.copy()
                marked[5:12] = key
                before = chunk(b"tRNS", struct.pack(">H", key))
                yield f"{name}-key{key}", png(marked, _GREY, bits, before, interlaced=interlaced)
    yield from _colours()
    yield from _palettes()
    yield from _odd_metadata()


def _colours() -> Iterator[tuple[str, bytes]]:
    fade = np.broadcast_to(np.linspace(0, 255, GREY.shape[1]).astype(np.int64), GREY.shape)
    for bits in (8, 16):
        scale = 1 if bits == 8 else 257
        colours = RGB.astype(np.int64) * scale
        alpha = fade[..., None] * scale
        yield f"rgb-u{bits}", png(colours, _RGB, bits)
        both = np.concatenate([colours, alpha], axis=-1)
        yield f"rgb-alpha-u{bits}", png(both, _RGB_ALPHA, bits)
        both = np.concatenate([GREY.astype(np.int64)[..., None] * scale, alpha], axis=-1)
        yield f"grey-alpha-u{bits}", png(both, _GREY_ALPHA, bits)
        key = [scale * value for value in (70, 80, 90)]
        colours[5:12] = key
        colours[12:14] = [value + (1 if bits == 16 else 3) for value in key]  # nearly transparent
        before = chunk(b"tRNS", struct.pack(">3H", *key))
        for interlaced in (False, True):
            name = f"rgb-u{bits}-key{'-interlaced' if interlaced else ''}"
            yield name, png(colours, _RGB, bits, before, interlaced=interlaced)


def _palettes() -> Iterator[tuple[str, bytes]]:
    for bits in (1, 2, 4, 8):
        count = 1 << bits
        ramp = np.rint(np.linspace(0, 255, count)).astype(np.int64)
        colours = np.stack([ramp, ramp[::-1], (ramp * 7) % 256], -1).astype(np.uint8)
        palette = chunk(b"PLTE", colours.tobytes())
        values = (GREY.astype(np.int64) * (count - 1) // 255)[..., None]
        yield f"palette-u{bits}", png(values, _PALETTE, bits, palette)
        for name, alpha in (("one", b"\xff\0"), ("fade", ramp.astype(np.uint8).tobytes())):
            before = palette + chunk(b"tRNS", alpha)
            yield f"palette-u{bits}-{name}", png(values, _PALETTE, bits, before)


def _odd_metadata() -> Iterator[tuple[str, bytes]]:
    large = b"{" + b"a" * 2_000_000 + b"}"
    pressed = zlib.compress(large)
    key = chunk(b"tRNS", struct.pack(">H", 60), 1)
    chunks = {
        "ztxt-large": chunk(b"zTXt", b"workflow\0\0" + pressed),
        "itxt-large": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + pressed),
        "iccp-large": chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(1_500_000))),
        "iccp-no-zlib": chunk(b"iCCP", b"p\0\0no zlib"),
        "iccp-odd-method": chunk(b"iCCP", b"p\0\7xx"),
        "checksum-text": chunk(b"tEXt", b"Comment\0x", 1),
        "checksum-gama": chunk(b"gAMA", b"\0\0\xb1\x8f", 1),
        "checksum-exif": chunk(b"eXIf", b"II*\0\x08\0\0\0\0\0", 1),
        "checksum-trns": key,
        "checksum-private": chunk(b"prVt", b"x", 1),
        "short-phys": chunk(b"pHYs", b"\0\0\0\1"),
        "short-chrm": chunk(b"cHRM", bytes(7)),
        "short-gama": chunk(b"gAMA", b"\0"),
        "empty-srgb": chunk(b"sRGB", b""),
        "empty-trns": chunk(b"tRNS", b""),
        "long-trns": chunk(b"tRNS", b"\0\x3c\0"),
        "exif-junk": chunk(b"eXIf", b"junkjunk"),
        "time-junk": chunk(b"tIME", b"\xff"),
        "actl-junk": chunk(b"acTL", b"\0"),
        "fctl-junk": chunk(b"fcTL", b"\0"),
    }
    grey = GREY.astype(np.int64)[..., None]
    for name, body in chunks.items():
        yield f"odd-{name}", png(grey, _GREY, 8, body)
        yield f"odd-{name}-after", png(grey, _GREY, 8, b"", body)
    yield "odd-many", png(grey, _GREY, 8, b"".join(chunks.values()))
