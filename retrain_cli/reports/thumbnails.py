"""Small pictures of photos, as text that stands inside a page."""

from __future__ import annotations

import base64
import io

from PIL import Image

from retrain_cli.images.decode import load_rgb
from retrain_cli.images.limits.limited import PHOTO_TIMEOUT

SIDE = 168
"""Longer side in pixels of the photo that is looked at: about 7 kB."""

SMALL_SIDE = 112
"""The same for those that it is compared with: about 4 kB."""

_QUALITY = 72


def thumbnail(data: bytes, side: int = SIDE, timeout: float = PHOTO_TIMEOUT) -> str:
    """An image file's bytes as a small upright JPEG in a `data:` address.

    Args:
        data: the file's bytes.
        side: longer side in pixels; smaller images keep their size.
        timeout: as of `load_rgb`.

    Raises:
        ImageError: the bytes are no image that can be used.
    """
    image = load_rgb(data, timeout)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
