"""Which side of a photo is up, as its EXIF metadata says, in whatever type that is stored."""

from __future__ import annotations

import struct
from typing import Any, Final

from PIL import Image

_TAG = 0x0112
DECODER_FAULTS: Final = (  # what Pillow's decoders raise on damaged or hostile data
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    AttributeError,
    AssertionError,
    EOFError,
    RuntimeError,
    BufferError,
    struct.error,
    Image.DecompressionBombError,
)


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none or where the metadata is broken.

    Pillow itself turns a TIFF, and pillow-heif a HEIC photo, while loading: this is 1 afterwards.
    """
    try:
        value = as_number(image.getexif().get(_TAG, 1))
    except DECODER_FAULTS:
        return 1
    return value if value is not None and 1 <= value <= 8 else 1


def as_number(value: Any) -> int | None:
    """A small whole number of any EXIF type; None where it is none.

    The type should be SHORT. Cameras and editors also write BYTE and UNDEFINED, which come as
    bytes, of one, two or four octets in either order; ASCII, which comes as text; fractions, and
    lists of one or of the same number again.
    """
    if isinstance(value, tuple | list):
        value = value[0] if value else None
    if isinstance(value, bytes):
        octets = value.strip(b"\0 ")
        value = (
            octets.decode("ascii")
            if octets.isdigit()
            else octets[0]
            if octets[1:] == b"" and octets
            else None
        )
    if isinstance(value, str):
        value = value.strip("\0 ")
        return int(value) if value.isascii() and value.isdigit() and len(value) < 4 else None
    try:
        number = int(value)
    except (TypeError, ValueError, ArithmeticError):
        return None
    return number if number == value else None
