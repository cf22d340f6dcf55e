"""Image formats told by content, the magic numbers of the first bytes, not by extension."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final, Literal

ImageFormat = Literal["jpeg", "png", "gif", "bmp", "tiff", "webp", "avif", "heic"]

HEAD_BYTES = 256
"""How many leading bytes `sniff_format` wants; 32 tell all but odd AVIF and HEIC files."""

FORMAT_NAMES: Final[dict[ImageFormat, str]] = {
    "jpeg": "JPEG",
    "png": "PNG",
    "gif": "GIF",
    "bmp": "BMP",
    "tiff": "TIFF",
    "webp": "WebP",
    "avif": "AVIF",
    "heic": "HEIC",
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
)
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
_HEIC_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
# Sizes of the header that follows "BM", length and offset: "BM" alone begins many a text, too.
_BMP_HEADERS: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
# fmt: off
_EXTENSIONS: Final = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".bmp", ".dib", ".tif",
    ".tiff", ".webp", ".avif", ".avifs", ".heic", ".heif", ".heics", ".heifs", ".hif",
})
# fmt: on


def sniff_format(head: bytes) -> ImageFormat | None:
    """Format of a file by its first `HEAD_BYTES` bytes; None where it is no image that we read."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "bmp"
    return _sniff_brands(head) if head[4:8] == b"ftyp" else None


def _sniff_brands(head: bytes) -> ImageFormat | None:
    """AVIF or HEIC by the brands of an ISO base media file (ISO/IEC 14496-12, `ftyp` box).

    The major brand may be the neutral `mif1`, so compatible brands count, and AVIF goes first.
    """
    end = int.from_bytes(head[:4], "big")
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(end, len(head)), 4))}
    if brands & _AVIF_BRANDS:
        return "avif"
    return "heic" if brands & _HEIC_BRANDS else None


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
