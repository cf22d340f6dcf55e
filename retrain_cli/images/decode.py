"""Image bytes to 8-bit RGB pixels of the wanted size, safe on hostile data and in many threads.

Formats are told by content and each is opened by its own Pillow class: no other decoder ever sees
the data, the size limit is ours, and Pillow's global settings stay as they are.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import (
    Image,
    JpegImagePlugin,
)

from retrain_cli.errors import ImageError, MissingExtraError
from retrain_cli.images.codecs.opening import is_tga, open_lazily
from retrain_cli.images.formats import (
    FORMAT_NAMES,
    HEAD_BYTES,
    ImageFormat,
    looks_like_text,
    sniff_format,
)
from retrain_cli.images.limits import limited
from retrain_cli.images.limits.budget import OverBudgetError, PixelBudget
from retrain_cli.images.limits.costs import BYTES_A_PIXEL, Cost, cost_of
from retrain_cli.images.orientation import DECODER_FAULTS, orientation_of
from retrain_cli.images.pixels import flatten, turn
from retrain_cli.images.resizing import Resizing, inner_size, pad

Pixels = NDArray[np.uint8]
"""`(height, width, 3) uint8` of one image, or a batch of such."""

PREPROCESSING_VERSION = 2
"""Part of each bottleneck cache's fingerprint: raise it whenever `decode_image` changes a pixel of
ordinary photos, for that has everybody's vectors computed again.

It was not raised when rare files came to be shown as their formats have it: grey TIFFs of more than
8 bits (white is 0, 12 bits, 32 bits without sign), TIFFs of 16 bits a plane, grey PNGs of 2, 4 and
16 bits and RGB of 16 bits with a transparent colour, GIFs whose first frame leaves some of the
canvas free, and orientations stored in a type that is not EXIF's. A vector that a cache holds of
such a file from before stays until the file is written anew or the cache begun anew. Files that
were refused then are looked at again in each run anyway.
"""

MAX_PIXELS = 178_956_970
"""Larger images are refused unseen, as decompression bombs; this is Pillow's own hard limit."""

_BUDGET = PixelBudget(MAX_PIXELS)
"""All threads together hold no more than one largest image would."""

DRAFT_GAP = 1.5
"""A JPEG may be decoded at 1/2, 1/4 or 1/8 where that leaves this many times the wanted size.

Measured from photos of 0.8 to 12 Mpx to 224 and 299 px: 0.3 to 0.75 of the time of a full decode,
and a root mean square difference below 0.9 grey levels; at 1.0 it reaches 1.7, and 2.7 at 128 px.
"""

_FAST_JPEG_PIXELS = 1 << 22
"""Larger ones, which are very long or very large for a draft too, are not held twice."""


def decode_image(
    data: bytes,
    size: tuple[int, int],
    rule: str = "squash",
    timeout: float = limited.PHOTO_TIMEOUT,
    most_pixels: int = MAX_PIXELS,
) -> NDArray[np.uint8]:
    """Decode an image file, upright, to RGB pixels of exactly the wanted size.

    The EXIF orientation is applied, transparency is laid on white, the first frame of an animation
    is taken, and resizing is bilinear with antialiasing. A JPEG is decoded at a reduced scale that
    is never below the wanted size.

    Args:
        data: the file's bytes.
        size: wanted (height, width) in pixels.
        rule: `squash` ignores the aspect ratio, `crop` fills and cuts both ends of the longer
            side, `letterbox` fits inside and pads with grey; see `ResizeRule`.
        timeout: seconds of processor time for a photo that may take very long or much memory by
            its header; a process of its own decodes it. 0 for no limit.
        most_pixels: a photo that has more of them by its header is bad; `MAX_PIXELS` at most.

    Returns:
        `(height, width, 3) uint8`, sRGB as stored, 0 to 255.

    Raises:
        ImageError: the bytes are no image that can be used; the message is the short reason.
    """
    cost, pixels = _decode_image(data, size, rule, most_pixels)
    if pixels is None:
        with _BUDGET.take(_share(cost)):
            pixels = limited.call("decode_image", data, (size, rule), timeout)
    return pixels


def _decode_image(
    data: bytes, size: tuple[int, int], rule: str, most_pixels: int
) -> tuple[Cost, NDArray[np.uint8] | None]:
    """Decode, or leave it where that is too much for this process."""
    height, width = size
    with _opened(data) as (image, cost):
        _check_size(*image.size, most_pixels)
        if cost.is_suspicious:
            if _BUDGET.refuses_some:
                raise OverBudgetError
            return cost, None
        extent = _draft(image, (width, height), rule)
        with _BUDGET.take(max(image.width * image.height, _share(cost))):
            raw = _read_jpeg(image, data)
            if raw is None:
                image.load()
            orientation = orientation_of(image)
            goal = (height, width) if orientation >= 5 else (width, height)
            resizing = Resizing.by_rule(extent or image.size, goal, rule)
            pixels = resizing.apply(flatten(image), raw)
        if orientation != 1:
            pixels = np.asarray(turn(Image.fromarray(pixels), orientation))
        return cost, pad(pixels, (width, height))


def _share(cost: Cost) -> int:
    """What an image takes of the budget, which is in pixels of ordinary formats."""
    return min(cost.memory // BYTES_A_PIXEL, MAX_PIXELS)


def decode_here() -> None:
    """From now on decode all images in this process, which is there for suspicious ones."""
    _BUDGET.is_for_suspicious = True


def refuse_above(pixels: int) -> None:
    """Decode nothing larger in this process, which is one of several: `OverBudgetError` instead."""
    _BUDGET.refuse_above(pixels)


def load_rgb(data: bytes, timeout: float = limited.PHOTO_TIMEOUT) -> Image.Image:
    """Decode an image file at its full size, upright, as an RGB Pillow image.

    Args:
        data: the file's bytes.
        timeout: as of `decode_image`.

    Raises:
        ImageError: as `decode_image`.
    """
    with _opened(data) as (image, cost):
        if not cost.is_suspicious:
            with _BUDGET.take(max(image.width * image.height, _share(cost))):
                image.load()
                return turn(flatten(image).convert("RGB"), orientation_of(image))
    with _BUDGET.take(_share(cost)):
        return Image.fromarray(limited.call("load_rgb", data, (), timeout))


def check_image(data: bytes) -> ImageFormat:
    """Look at the header only: the format, and whether its size and our decoders allow decoding.

    Raises:
        ImageError: empty, no image, over the size limit, or an optional package is missing.
    """
    image_size(data)
    return _format_of(data)


def image_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels by the header, before any rotation; raises as `check_image`."""
    with _opened(data) as (image, _):
        return image.size


def upright_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels of what `load_rgb` gives, by the header; raises as `check_image`.

    Only a TIFF is turned while it is loaded: of that the header tells the size upright already.
    """
    with _opened(data) as (image, _):
        turned = image.format != "TIFF" and orientation_of(image) >= 5
        return image.size[::-1] if turned else image.size


def _format_of(data: bytes) -> ImageFormat:
    """Format of the bytes, or an ImageError that says what they are instead."""
    if not data:
        raise ImageError("0 bytes")
    name = sniff_format(data[:HEAD_BYTES])
    if name is None and is_tga(data):
        return "tga"
    if name is None:
        text = " (looks like text)" if looks_like_text(data[:HEAD_BYTES]) else ""
        raise ImageError(f"not an image{text}")
    return name


@contextmanager
def _opened(data: bytes) -> Iterator[tuple[Image.Image, Cost]]:
    """Open an image lazily, check its size, and look at what decoding will take.

    All that its decoder raises becomes ImageError.
    """
    name = _format_of(data)
    hush_pillow()
    image: Image.Image | None = None
    try:
        image = _open_heic(data) if name == "heic" else open_lazily(data, name)
        _check_size(*image.size)
        cost = cost_of(image, name, data)
        yield image, replace(cost, is_suspicious=False) if _BUDGET.is_for_suspicious else cost
    except MemoryError as error:
        raise ImageError("not enough memory to decode it") from error
    except DECODER_FAULTS as error:
        raise ImageError(_reason(name, data, error)) from error
    finally:
        if image is not None:
            image.close()


def _open_heic(data: bytes) -> Image.Image:
    """Open a HEIC photo through pillow-heif, which turns it upright by itself."""
    try:
        import pillow_heif
    except ImportError as error:
        raise ImageError(str(MissingExtraError("HEIC photos", "heic"))) from error
    lazy = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
    _check_size(*lazy.size)
    sized = Image.Image()
    sized._size = lazy.size
    if cost_of(sized, "heic", data).is_suspicious and not _BUDGET.is_for_suspicious:
        return sized  # which is all that this process wants of it
    with _BUDGET.take(lazy.size[0] * lazy.size[1]):
        image: Image.Image = lazy.to_pillow()
    return image


def _check_size(width: int, height: int, most_pixels: int = MAX_PIXELS) -> None:
    """Refuse decompression bombs and images without pixels."""
    if width < 1 or height < 1:
        raise ImageError(f"{width} x {height} px: it has no pixels")
    if width * height > most_pixels:
        limit = f"{most_pixels:,}".replace(",", " ")
        raise ImageError(f"{width} x {height} px is more than the limit of {limit} px")


_LONGEST_FAULT = 160
"""Characters of a decoder's own words; some of them repeat what is in the file."""


def _reason(name: ImageFormat, data: bytes, error: Exception) -> str:
    """Short reason for a decoder's fault; Pillow tells truncation in several ways."""
    text = " ".join(str(error).split())[:_LONGEST_FAULT]
    cut = ("truncated", "Truncated", "broken data stream", "unexpected end", "buffer is not large")
    if any(word in text for word in cut) or isinstance(error, EOFError) or _is_cut(name, data):
        return f"truncated {FORMAT_NAMES[name]}"
    if not text or isinstance(error, LookupError):  # a bare key says nothing
        text = f"{type(error).__name__} {text}".strip()
    return f"damaged {FORMAT_NAMES[name]} ({text})"


def _is_cut(name: ImageFormat, data: bytes) -> bool:
    """Whether a WebP is shorter than it says; its decoder does not tell this from damage."""
    return name == "webp" and len(data) < 8 + int.from_bytes(data[4:8], "little")


def _draft(image: Image.Image, size: tuple[int, int], rule: str) -> tuple[float, float] | None:
    """Have a JPEG decoded at 1/2, 1/4 or 1/8 where that still leaves `DRAFT_GAP` times the goal.

    Returns:
        What the photo covers of the reduced pixels, (width, height): the last of them may be cut
        by its edge. None for other formats, whose size is final only when they are loaded.
    """
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return None
    goal = size[::-1] if orientation_of(image) >= 5 else size
    width, height = inner_size(image.size, goal, rule)
    drafted = image.draft(None, (round(width * DRAFT_GAP), round(height * DRAFT_GAP)))
    return drafted[1][2:] if drafted else None


def _read_jpeg(image: Image.Image, data: bytes) -> bytes | None:
    """Pixels of a JPEG that is small, or small by its draft; None where Pillow is to load it."""
    is_jpeg = isinstance(image, JpegImagePlugin.JpegImageFile)
    if not is_jpeg or image.width * image.height > _FAST_JPEG_PIXELS:
        return None
    return read_jpeg(data, image.mode, image.size)


_PILLOW_MODULES: Final = r"PIL\."


def hush_pillow() -> None:
    """Silence Pillow's warnings and log.

    A filter for good, because `warnings.catch_warnings` is not safe in threads; looked up each
    time, because others (pytest) exchange the list of filters. The log goes on to whoever listens
    to it; with a handler of its own Python no longer prints it by itself.
    """
    if not any(_is_ours(entry) for entry in warnings.filters):
        warnings.filterwarnings("ignore", module=_PILLOW_MODULES)
    log = logging.getLogger("PIL")
    if not log.handlers:
        log.addHandler(logging.NullHandler())


def _is_ours(entry: tuple[Any, ...]) -> bool:
    """Whether a warning filter is the one of `hush_pillow`."""
    return bool(entry[0] == "ignore" and getattr(entry[3], "pattern", "") == _PILLOW_MODULES)


_COLOURS = {"RGB": ("RGB", 3), "L": ("GRAY", 1)}
_LEAST_SIDE = 8
"""The scale is chosen by the size that it gives; below 8 pixels several scales give the same."""


def read_jpeg(data: bytes, mode: str, size: tuple[int, int]) -> bytes | None:
    """Decode a JPEG.

    Args:
        data: the file's bytes.
        mode: Pillow's mode of the image.
        size: (width, height) to decode at: the whole size, or what Pillow's `draft` came to.

    Returns:
        The pixels row by row, or None where Pillow has to look at it: other modes, and whatever is
        wrong with the file, for Pillow forgives some faults and has words for the rest.
    """
    import simplejpeg

    if mode not in _COLOURS or max(size) < _LEAST_SIDE:
        return None
    (colours, bands), (width, height) = _COLOURS[mode], size
    # The buffer holds to the size that was checked, whatever the file says elsewhere.
    buffer = np.empty(width * height * bands, np.uint8)
    try:
        pixels = simplejpeg.decode_jpeg(
            data, colours, min_height=height, min_width=width, buffer=buffer
        )
    except ValueError:
        return None
    return bytes(buffer) if pixels.shape[:2] == (height, width) else None
