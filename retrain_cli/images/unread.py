"""What lies among photos and is not read: which kind it is, and what can be done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from retrain_cli.images.formats import is_raw_name

_EXPORT: Final = "export it as JPEG, PNG or TIFF"
_CONVERT: Final = "convert it to PNG or TIFF"


@dataclass(frozen=True)
class Unread:
    """A kind of file that is passed over.

    Attributes:
        kind: what it is, such as "Photoshop document (.psd)".
        is_picture: whether somebody may have meant it as a photo.
        remedy: what to do to have it read; empty where it is no picture.
    """

    kind: str
    is_picture: bool
    remedy: str = ""


_PICTURES: Final[dict[str, tuple[str, str]]] = {
    ".psd": ("Photoshop document", _EXPORT),
    ".psb": ("Photoshop document", _EXPORT),
    ".xcf": ("GIMP document", _EXPORT),
    ".kra": ("Krita document", _EXPORT),
    ".ora": ("OpenRaster document", _EXPORT),
    ".afphoto": ("Affinity document", _EXPORT),
    ".svg": ("vector drawing", "draw it as PNG, for instance with rsvg-convert"),
    ".svgz": ("vector drawing", "draw it as PNG, for instance with rsvg-convert"),
    ".eps": ("PostScript drawing", _CONVERT),
    ".ai": ("Illustrator document", _EXPORT),
    ".wmf": ("Windows metafile", _CONVERT),
    ".emf": ("Windows metafile", _CONVERT),
    ".pdf": ("PDF document", "take the images out of it, for instance with pdfimages"),
    ".djvu": ("DjVu document", _CONVERT),
    ".jxl": ("JPEG XL image", "convert it to JPEG or PNG, for instance with djxl"),
    ".jxr": ("JPEG XR image", _CONVERT),
    ".wdp": ("JPEG XR image", _CONVERT),
    ".exr": ("OpenEXR image", _CONVERT),
    ".hdr": ("Radiance image", _CONVERT),
    ".fits": ("FITS image", _CONVERT),
    ".fit": ("FITS image", _CONVERT),
    ".dcm": ("DICOM image", "convert it to PNG, for instance with dcm2pnm"),
    ".xbm": ("X11 bitmap", _CONVERT),
    ".xpm": ("X11 pixmap", _CONVERT),
    ".fli": ("animation", "take single frames out of it with ffmpeg"),
    ".flc": ("animation", "take single frames out of it with ffmpeg"),
}
# fmt: off
_VIDEOS: Final = frozenset({
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv",
    ".3gp", ".flv", ".ogv", ".insv",
})
# fmt: on


def unread_kind(name: str) -> Unread:
    """What a file that is passed over is, by its name: its content is not kept in mind."""
    extension = PurePath(name).suffix.lower()
    if is_raw_name(name):
        remedy = "develop it: export it as JPEG or TIFF from the camera's or another program"
        return Unread(f"camera raw file ({extension})", True, remedy)
    if extension in _VIDEOS:
        remedy = "take single frames out of it, for instance with ffmpeg"
        return Unread(f"video ({extension})", True, remedy)
    if extension in _PICTURES:
        what, remedy = _PICTURES[extension]
        return Unread(f"{what} ({extension})", True, remedy)
    return Unread(f"no image ({extension})" if extension else "no image (no extension)", False)


def why_unread(name: str) -> str:
    """The reason for a file that was to be an image and is passed over, in one short line."""
    unread = unread_kind(name)
    return f"{unread.kind}, not read: {unread.remedy}" if unread.is_picture else "not an image"
