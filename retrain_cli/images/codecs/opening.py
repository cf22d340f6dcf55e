"""Which reader opens which format. Only these see any data, whatever else Pillow can read.

Left out are readers that start other programs or are as powerful as one (EPS, PDF, WMF), that open
containers of documents (FPX, MIC), that are hardly looked after and hardly used (FLI, BLP, PSD and
some twenty more), or whose format holds anything (FITS, HDF5, GRIB).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Final

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    CurImagePlugin,
    DdsImagePlugin,
    GifImagePlugin,
    IcnsImagePlugin,
    IcoImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    PcxImagePlugin,
    QoiImagePlugin,
    SgiImagePlugin,
    SunImagePlugin,
    TgaImagePlugin,
    WebPImagePlugin,
    features,
)

from retrain_cli.errors import ImageError
from retrain_cli.images.codecs.jpeg import open_jpeg
from retrain_cli.images.codecs.netpbm import NetpbmFile
from retrain_cli.images.codecs.png import open_png
from retrain_cli.images.codecs.tiff import TiffFile
from retrain_cli.images.formats import FORMAT_NAMES, ImageFormat, has_tga_header

_OPENERS: Final[dict[ImageFormat, Callable[[io.BytesIO], Any]]] = {
    "gif": GifImagePlugin.GifImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "tiff": TiffFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
    "netpbm": NetpbmFile,
    "jp2": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "tga": TgaImagePlugin.TgaImageFile,
    "pcx": PcxImagePlugin.PcxImageFile,
    "ico": IcoImagePlugin.IcoImageFile,
    "cur": CurImagePlugin.CurImageFile,
    "icns": IcnsImagePlugin.IcnsImageFile,
    "dds": DdsImagePlugin.DdsImageFile,
    "sgi": SgiImagePlugin.SgiImageFile,
    "sun": SunImagePlugin.SunImageFile,
    "qoi": QoiImagePlugin.QoiImageFile,
}
_FEATURES: Final[dict[ImageFormat, str]] = {"avif": "avif", "webp": "webp", "jp2": "jpg_2000"}
_FOOTER: Final = b"TRUEVISION-XFILE.\0"
_TGA_HEADER = 18


def open_lazily(data: bytes, name: ImageFormat) -> Image.Image:
    """Read the header with the reader of that format alone; not for HEIC, which is no part of it.

    Raises:
        ImageError: this Pillow is built without the format.
        Exception: any of `DECODER_FAULTS`.
    """
    if name in _FEATURES and not features.check(_FEATURES[name]):
        raise ImageError(f"{FORMAT_NAMES[name]} is not built into this Pillow: upgrade pillow")
    if name in ("jpeg", "png"):
        return open_jpeg(data) if name == "jpeg" else open_png(data)
    image: Image.Image = _OPENERS[name](io.BytesIO(data))
    if isinstance(image, GifImagePlugin.GifImageFile) and image.tile:
        _note_painted(image)
    if isinstance(image, TiffFile) and is_raw(data, image.tag_v2):
        raise ImageError("a camera's raw file: export it as JPEG or TIFF from a photo program")
    return image


_NEW_SUBFILE_TYPE, _SUB_IFDS, _DNG_VERSION = 254, 330, 50706


def is_raw(data: bytes, tags: Any) -> bool:
    """Whether a TIFF is the raw file of a camera, whose first image is a small preview.

    That is what DNG and Canon's CR2 say of themselves; with others (NEF, ARW, PEF) the first image
    is marked as one of reduced resolution, and the photo is in a directory below.
    """
    is_preview = int(tags.get(_NEW_SUBFILE_TYPE, 0) or 0) & 1 and _SUB_IFDS in tags
    return _DNG_VERSION in tags or data[8:10] == b"CR" or bool(is_preview)


def _note_painted(image: Any) -> None:
    """Where the first frame does not cover the canvas nothing was painted; it shows through."""
    painted = image.tile[0].extents
    if painted != (0, 0, *image.size):
        image.painted = painted


def is_tga(data: bytes) -> bool:
    """Whether bytes without a name are a TGA: by its footer, else by a header that fits them.

    Version 1 has neither magic number nor footer; its header has to be possible in every field, and
    the pixels have to be there.
    """
    if not has_tga_header(data[:_TGA_HEADER]):
        return False
    if data.endswith(_FOOTER):
        return True
    kind, map_bits, bits = data[2], data[7], data[16]
    width, height = (int.from_bytes(data[at : at + 2], "little") for at in (12, 14))
    map_bytes = int.from_bytes(data[5:7], "little") * ((map_bits + 7) // 8)
    needed = width * height * ((bits + 7) // 8)
    if kind & 8:  # a run takes two bytes at least, and is no longer than 128 pixels
        needed = needed // 128
    return len(data) >= _TGA_HEADER + data[0] + map_bytes + needed
