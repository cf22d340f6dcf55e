"""GIF files whose first frame covers the canvas in part only."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from reference.picture import GREY, HEIGHT, WIDTH

_RAMP = np.rint(np.linspace(0, 255, 16)).astype(np.uint8)
_PALETTE = np.stack([_RAMP, _RAMP[::-1], (_RAMP.astype(int) * 7 % 256).astype(np.uint8)], axis=-1)
_GREYS = np.stack([np.arange(16, dtype=np.uint8)] * 3, axis=-1)


def gif(
    part: tuple[int, int, int, int],
    transparent: int | None = None,
    local: bool = False,
    grey: bool = False,
    frames: int = 1,
) -> bytes:
    """A GIF file.

    Args:
        part: (left, top, width, height) of the frames on the canvas.
        transparent: index of the colour that shows what is below.
        local: the palette is that of the frame, not of the file.
        grey: a palette that needs none.
        frames: how many.
    """
    palette = (_GREYS if grey else _PALETTE).tobytes()
    screen = struct.pack("<HHBBB", WIDTH, HEIGHT, 0x70 if local else 0xF3, 2, 0)
    data = b"GIF89a" + screen + (b"" if local else palette)
    left, top, width, height = part
    values = (GREY // 17)[top : top + height, left : left + width]
    for _ in range(frames):
        if transparent is not None:
            data += b"!\xf9\4\1\0\0" + bytes([transparent]) + b"\0"
        data += (
            b"," + struct.pack("<4HB", *part, 0x83 if local else 0) + (palette if local else b"")
        )
        data += _pixels(values.ravel().tolist())
    return data + b";"


def _pixels(values: list[int]) -> bytes:
    """LZW that never grows its table: a clear code before each pixel, codes of 5 bits."""
    codes = [code for value in values for code in (16, value)] + [17]
    number = sum(code << 5 * place for place, code in enumerate(codes))
    packed = number.to_bytes((5 * len(codes) + 7) // 8, "little")
    blocks = [packed[at : at + 255] for at in range(0, len(packed), 255)]
    return b"\4" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def gifs() -> Iterator[tuple[str, bytes]]:
    """Files by a name that says what they are."""
    parts = {
        "whole": (0, 0, WIDTH, HEIGHT),
        "corner": (0, 0, 9, 7),
        "middle": (5, 4, 8, 9),
        "right": (WIDTH - 6, 0, 6, HEIGHT),
        "bottom": (0, HEIGHT - 5, WIDTH, 5),
    }
    for name, part in parts.items():
        for transparent in (None, 0, 3):
            for local in (False, True):
                suffix = "" if transparent is None else f"-clear{transparent}"
                suffix += "-local" if local else ""
                yield f"{name}{suffix}", gif(part, transparent, local)
        yield f"{name}-grey", gif(part, grey=True)
        yield f"{name}-frames", gif(part, frames=2)
