"""Image formats told by content, the magic numbers of the first bytes, not by extension."""

from __future__ import annotations

import re
import struct
from pathlib import PurePath
from typing import Final, Literal

# fmt: off
ImageFormat = Literal[
    "jpeg", "png", "gif", "bmp", "tiff", "webp", "avif", "heic", "netpbm", "jp2", "tga", "pcx",
    "ico", "cur", "icns", "dds", "sgi", "sun", "qoi",
]
# fmt: on

HEAD_BYTES = 512
"""How many leading bytes `sniff_format` wants; 32 tell all but odd AVIF, HEIC and PNM files."""

FORMAT_NAMES: Final[dict[ImageFormat, str]] = {
    "jpeg": "JPEG",
    "png": "PNG",
    "gif": "GIF",
    "bmp": "BMP",
    "tiff": "TIFF",
    "webp": "WebP",
    "avif": "AVIF",
    "heic": "HEIC",
    "netpbm": "Netpbm",
    "jp2": "JPEG 2000",
    "tga": "TGA",
    "pcx": "PCX",
    "ico": "ICO",
    "cur": "CUR",
    "icns": "ICNS",
    "dds": "DDS",
    "sgi": "SGI",
    "sun": "Sun raster",
    "qoi": "QOI",
}

_MAGIC: Final[tuple[tuple[bytes, ImageFormat], ...]] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),  # BigTIFF
    (b"MM\0+", "tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),  # the codestream alone
    (b"icns", "icns"),
    (b"DDS \x7c\0\0\0", "dds"),
    (b"\x59\xa6\x6a\x95", "sun"),
    (b"qoif", "qoi"),
)
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
_HEIC_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
# Sizes of the header that follows "BM", length and offset: "BM" alone begins many a text, too.
_BMP_HEADERS: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_BLANK: Final = rb"(?:\s|#[^\r\n]*[\r\n])+"
_NETPBM: Final = re.compile(
    rb"P[14]" + _BLANK + rb"\d+" + _BLANK + rb"\d+\s"
    rb"|P[2356]" + _BLANK + rb"\d+" + _BLANK + rb"\d+" + _BLANK + rb"\d+\s"
    rb"|P7\n(?:#|WIDTH|HEIGHT|DEPTH|MAXVAL|TUPLTYPE)"
    rb"|P[Ff]\n\d+\s+\d+\s+-?\d"
)
# fmt: off
_EXTENSIONS: Final = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".bmp", ".dib", ".tif",
    ".tiff", ".webp", ".avif", ".avifs", ".heic", ".heif", ".heics", ".heifs", ".hif",
    ".pbm", ".pgm", ".ppm", ".pnm", ".pam", ".pfm", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx",
    ".tga", ".pcx", ".ico", ".cur", ".icns", ".dds", ".sgi", ".ras", ".qoi",
})
_RAW_EXTENSIONS: Final = frozenset({
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".kdc",
    ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2",
    ".srf", ".srw", ".x3f",
})
# fmt: on
_TGA_EXTENSIONS: Final = frozenset({".tga", ".icb", ".vda", ".vst"})


def sniff_format(head: bytes, name: str = "") -> ImageFormat | None:
    """Format of a file, or None where it is no image that we read.

    Args:
        head: its first `HEAD_BYTES` bytes.
        name: its name. A TGA has no magic number, so that its extension has to speak for it; and
            the raw files of cameras begin like TIFFs, with a preview.
    """
    extension = PurePath(name).suffix.lower()
    if extension in _RAW_EXTENSIONS:
        return None
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return found
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "bmp"
    if head[4:8] == b"ftyp":
        return _sniff_brands(head)
    return _sniff_header(head, extension)


def _sniff_header(head: bytes, extension: str) -> ImageFormat | None:
    """Formats whose magic number is so short that the header has to make sense, too."""
    if _NETPBM.match(head):
        return "netpbm"
    if head[:2] == b"\x01\xda" and head[2:3] in b"\0\1" and _is_between(head[4:6], 1, 3):
        return "sgi"
    if head[:4] in (b"\0\0\1\0", b"\0\0\2\0") and _is_icon(head):
        return "ico" if head[2] == 1 else "cur"
    if head[:1] == b"\n" and _is_pcx(head):
        return "pcx"
    return "tga" if extension in _TGA_EXTENSIONS and has_tga_header(head) else None


def _sniff_brands(head: bytes) -> ImageFormat | None:
    """AVIF or HEIC by the brands of an ISO base media file (ISO/IEC 14496-12, `ftyp` box).

    The major brand may be the neutral `mif1`, so compatible brands count, and AVIF goes first.
    """
    end = int.from_bytes(head[:4], "big")
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(end, len(head)), 4))}
    if brands & _AVIF_BRANDS:
        return "avif"
    return "heic" if brands & _HEIC_BRANDS else None


def _is_between(field: bytes, least: int, most: int) -> bool:
    return least <= int.from_bytes(field, "big") <= most


def _is_icon(head: bytes) -> bool:
    """Whether the first entry of the directory of an icon or cursor points behind it."""
    if len(head) < 22:
        return False
    count, reserved = int.from_bytes(head[4:6], "little"), head[9]
    size, offset = struct.unpack_from("<II", head, 14)
    return count > 0 and reserved == 0 and size > 0 and offset >= 6 + 16 * count


def _is_pcx(head: bytes) -> bool:
    if len(head) < 128:
        return False
    version, encoding, bits = head[1:4]
    left, top, right, bottom = struct.unpack_from("<4H", head, 4)
    known = version in (0, 2, 3, 4, 5) and encoding == 1 and bits in (1, 2, 4, 8)
    return known and head[64] == 0 and 1 <= head[65] <= 4 and left <= right and top <= bottom


def has_tga_header(head: bytes) -> bool:
    """Whether all fields of a Truevision header are possible, and agree with each other."""
    if len(head) < 18:
        return False
    _, map_type, kind, _, map_length, map_bits, _, _, width, height, bits, flags = (
        struct.unpack_from("<3BHHB4H2B", head)
    )
    depths = {1: (8, 16), 2: (15, 16, 24, 32), 3: (1, 8, 16)}.get(kind & 7, ())
    if kind not in (1, 2, 3, 9, 10, 11) or bits not in depths or flags & 0xC0:
        return False
    has_map = map_type == 1 and map_length > 0 and map_bits in (15, 16, 24, 32)
    if map_type > 1 or (map_type == 0 and map_length) or (kind & 7 == 1 and not has_map):
        return False
    return bool(width > 0 and height > 0 and flags & 15 <= 8)


def is_raw_name(name: str) -> bool:
    """Whether a name's extension is one of a camera's raw files."""
    return PurePath(name).suffix.lower() in _RAW_EXTENSIONS


def looks_like_image_name(name: str) -> bool:
    """Whether a file's extension promises an image; one that is none by content is then *bad*."""
    return PurePath(name).suffix.lower() in _EXTENSIONS


def looks_like_text(head: bytes) -> bool:
    """Whether the first bytes are UTF-8 or ASCII text, a cut character at the end aside."""
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8-sig")
    return bool(text) and all(char.isprintable() or char in "\t\r\n\f" for char in text)
