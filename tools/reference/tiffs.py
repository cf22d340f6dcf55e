"""TIFF files of every photometric interpretation, depth, sample format, byte order and layout."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.picture import GREY, RGB

_KINDS = {1: "u", 2: "i", 3: "f"}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8


@dataclass(frozen=True)
class Layout:
    """How the samples lie in a file; names as in TIFF 6.0."""

    order: str = "<"
    compression: int = 1
    rows_a_strip: int = 0
    tile: int = 0
    planar: bool = False
    fill_order: int = 1


def tiff(
    samples: NDArray[Any],
    photometric: int,
    bits: int,
    layout: Layout | None = None,
    tags: dict[int, tuple[int, list[int]]] | None = None,
    sample_format: int = 1,
) -> bytes:
    """A TIFF file.

    Args:
        samples: `(height, width, bands)`.
        photometric: PhotometricInterpretation.
        bits: of each sample.
        layout: None for one uncompressed strip in the order of Intel.
        tags: further ones: number -> (type, values).
        sample_format: 1 unsigned, 2 signed, 3 floating point.
    """
    layout = layout or Layout()
    height, width, bands = samples.shape
    planes = [samples[..., [band]] for band in range(bands)] if layout.planar else [samples]
    parts = [_packed(part, bits, layout) for plane in planes for part in _parts(plane, layout)]
    entries: dict[int, tuple[int, list[int]]] = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * bands),
        259: (3, [layout.compression]),
        262: (3, [photometric]),
        266: (3, [layout.fill_order]),
        277: (3, [bands]),
        284: (3, [2 if layout.planar else 1]),
        339: (3, [sample_format] * bands),
    }
    counts = [len(part) for part in parts]
    offsets = [8 + sum(counts[:number]) for number in range(len(counts))]
    if layout.tile:
        sizes = {322: (4, [layout.tile]), 323: (4, [layout.tile])}
        entries |= {**sizes, 324: (4, offsets), 325: (4, counts)}
    else:
        rows = layout.rows_a_strip or height
        entries |= {273: (4, offsets), 278: (4, [rows]), 279: (4, counts)}
    return _file(b"".join(parts), entries | (tags or {}), layout.order)


def _parts(plane: NDArray[Any], layout: Layout) -> Iterator[NDArray[Any]]:
    height, width, _ = plane.shape
    if not layout.tile:
        rows = layout.rows_a_strip or height
        yield from (plane[top : top + rows] for top in range(0, height, rows))
        return
    for top in range(0, height, layout.tile):
        for left in range(0, width, layout.tile):
            part = plane[top : top + layout.tile, left : left + layout.tile]
            missing = [(0, layout.tile - side) for side in part.shape[:2]]
            yield np.pad(part, [*missing, (0, 0)])


def _packed(part: NDArray[Any], bits: int, layout: Layout) -> bytes:
    """The samples of a strip or tile as bytes; each row begins with a byte of its own."""
    if bits in (8, 16, 32, 64):
        kind = part.dtype.kind if part.dtype.kind == "f" else "i" if part.min() < 0 else "u"
        data = part.astype(f"{layout.order}{kind}{bits // 8}").tobytes()
    else:
        shifts = np.arange(bits - 1, -1, -1)
        digits = (part[..., None].astype(np.int64) >> shifts) & 1
        rows = np.packbits(digits.reshape(len(part), -1).astype(np.uint8), axis=1)
        data = rows.tobytes()
    if layout.fill_order == 2:
        data = bytes(int(f"{octet:08b}"[::-1], 2) for octet in data)
    return zlib.compress(data) if layout.compression == 8 else data


def _file(body: bytes, entries: dict[int, tuple[int, list[int]]], order: str) -> bytes:
    body += bytes(len(body) % 2)
    directory, extra = b"", b""
    extra_at = 8 + len(body) + 2 + 12 * len(entries) + 4
    for tag, (kind, values) in sorted(entries.items()):
        form = {1: "B", 3: "H", 4: "I"}[kind]
        value = struct.pack(f"{order}{len(values)}{form}", *values)
        if len(value) > 4:
            extra, value = extra + value, struct.pack(f"{order}I", extra_at + len(extra))
        directory += struct.pack(f"{order}HHI", tag, kind, len(values)) + value.ljust(4, b"\0")
    magic = b"II*\0" if order == "<" else b"MM\0*"
    header = magic + struct.pack(f"{order}I", 8 + len(body))
    return header + body + struct.pack(f"{order}H", len(entries)) + directory + bytes(4) + extra


def tiffs() -> Iterator[tuple[str, bytes]]:
    """Files by a name that says what they are."""
    yield from _greys()
    yield from _colours()
    yield from _palettes()


_LAYOUTS = {
    "": Layout(),
    "-mm": Layout(">"),
    "-zip": Layout(compression=8),
    "-mm-zip": Layout(">", 8),
    "-strips": Layout(rows_a_strip=5),
    "-tiles": Layout(tile=16),
    "-mm-tiles-zip": Layout(">", 8, tile=16),
}


def _greys() -> Iterator[tuple[str, bytes]]:
    grey = GREY.astype(np.float64)[..., None] / 255
    for photometric, name in ((_WHITE_IS_ZERO, "white0"), (_BLACK_IS_ZERO, "black0")):
        shown = 1 - grey if photometric == _WHITE_IS_ZERO else grey
        for bits in (1, 2, 4, 8, 12, 16, 32):
            values = np.rint(shown * ((1 << bits) - 1)).astype(np.int64)
            for suffix, layout in _LAYOUTS.items():
                yield f"grey-{name}-u{bits}{suffix}", tiff(values, photometric, bits, layout)
        for suffix in ("", "-mm", "-zip", "-mm-zip"):
            layout, real = _LAYOUTS[suffix], shown.astype(np.float32)
            yield f"grey-{name}-f32{suffix}", tiff(real, photometric, 32, layout, None, 3)
        reverse = Layout(fill_order=2)
        for bits in (1, 2, 4, 8):
            values = np.rint(shown * ((1 << bits) - 1)).astype(np.int64)
            yield f"grey-{name}-u{bits}-reverse", tiff(values, photometric, bits, reverse)
    for bits in (8, 16):
        values = np.rint(grey * ((1 << (bits - 1)) - 1)).astype(np.int64)
        for suffix in ("", "-mm", "-zip", "-mm-zip"):
            yield f"grey-black0-i{bits}{suffix}", tiff(values, 1, bits, _LAYOUTS[suffix], None, 2)
    values = np.rint(grey * 255).astype(np.int64) * 257
    yield "grey-black0-u16-void", tiff(values, 1, 16, None, None, 4)
    yield "grey-black0-u32-of16", tiff(values, 1, 32)


def _colours() -> Iterator[tuple[str, bytes]]:
    alpha = np.linspace(0, 255, GREY.shape[1]).astype(np.uint8)
    alpha = np.broadcast_to(alpha, GREY.shape)[..., None]
    layouts = _LAYOUTS | {"-planar": Layout(planar=True), "-mm-planar": Layout(">", planar=True)}
    layouts |= {"-planar-zip": Layout(compression=8, planar=True)}
    layouts |= {"-planar-strips": Layout(planar=True, rows_a_strip=5)}
    ink = 255 - RGB
    black = ink.min(axis=-1, keepdims=True)
    cmyk = np.concatenate([ink - black, black], axis=-1)
    for bits in (8, 16):
        scale = 1 if bits == 8 else 257
        for suffix, layout in layouts.items():
            name = f"u{bits}{suffix}"
            yield f"rgb-{name}", tiff(RGB.astype(np.int64) * scale, _RGB, bits, layout)
            with_alpha = np.concatenate([RGB, alpha], axis=-1).astype(np.int64) * scale
            extra = {338: (3, [2])}
            yield f"rgb-alpha-{name}", tiff(with_alpha, _RGB, bits, layout, extra)
            yield f"cmyk-{name}", tiff(cmyk.astype(np.int64) * scale, _CMYK, bits, layout)
    laid = np.rint(RGB * (alpha / 255.0)).astype(np.int64)
    associated = np.concatenate([laid, alpha], axis=-1)
    yield "rgb-associated-u8", tiff(associated, _RGB, 8, None, {338: (3, [1])})
    unspecified = np.concatenate([RGB, np.full_like(alpha, 255)], axis=-1)
    yield "rgb-unspecified-u8", tiff(unspecified, _RGB, 8, None, {338: (3, [0])})
    for kind, name in ((1, "associated"), (2, "alpha")):
        grey = GREY[..., None] if kind == 2 else np.rint(GREY[..., None] * (alpha / 255.0))
        both = np.concatenate([grey.astype(np.int64), alpha], axis=-1)
        for suffix in ("", "-mm", "-zip"):
            data = tiff(both, _BLACK_IS_ZERO, 8, _LAYOUTS[suffix], {338: (3, [kind])})
            yield f"grey-{name}-u8{suffix}", data
    for suffix in ("", "-zip", "-planar"):
        data = tiff(_ycbcr(), _YCBCR, 8, layouts[suffix], {530: (3, [1, 1])})
        yield f"ycbcr-u8{suffix}", data
    yield "lab-u8", tiff(_lab(), _LAB, 8)


def _ycbcr() -> NDArray[Any]:
    """JFIF's YCbCr of the picture (ITU-R BT.601)."""
    red, green, blue = (RGB[..., band].astype(np.float64) for band in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    blueness, redness = (blue - luma) / 1.772 + 128, (red - luma) / 1.402 + 128
    return np.clip(np.rint(np.stack([luma, blueness, redness], -1)), 0, 255).astype(np.int64)


def _lab() -> NDArray[Any]:
    """A slope of lightness, neutral in colour: L* 0 to 100 as 0 to 255, a* and b* 0."""
    flat = np.zeros_like(GREY)
    return np.stack([GREY, flat, flat], axis=-1).astype(np.int64)


def _palettes() -> Iterator[tuple[str, bytes]]:
    for bits in (1, 2, 4, 8):
        count = 1 << bits
        ramp = np.rint(np.linspace(0, 255, count)).astype(np.int64)
        colours = np.stack([ramp, ramp[::-1], (ramp * 7) % 256])
        table = {320: (3, (colours * 257).ravel().tolist())}
        values = (GREY.astype(np.int64) * (count - 1) // 255)[..., None]
        for suffix in ("", "-mm", "-zip", "-tiles"):
            data = tiff(values, _PALETTE, bits, _LAYOUTS[suffix], table)
            yield f"palette-u{bits}{suffix}", data
