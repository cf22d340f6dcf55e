"""A photo and its heatmaps side by side, with what the colours mean."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from retrain_cli.explaining.heatmap import Heatmap
from retrain_cli.reports.heatmaps.heat_colours import (
    Pixels,
    SmallPhoto,
    colour_bar,
    over_photo,
)
from retrain_cli.reports.text import printable

SIDE = 240
"""Longer side of a drawn photo in pixels."""

_GAP, _TEXT, _LINE, _BAR = 14, 24, 32, 14
"""Pixels between panels; of letters, which are read where a picture of three panels is shown 390
wide; of a line of them; of a bar of colours."""
_INK, _FAINT = (20, 20, 24), (90, 90, 96)


def draw_panels(
    photo: SmallPhoto,
    heatmaps: Sequence[Heatmap],
    heats: Sequence[NDArray[np.float32]],
    name: str,
) -> Pixels:
    """The photo, then it under each heatmap, with class, score and the meaning of the colours.

    Args:
        photo: the photo.
        heatmaps: what is shown beside it.
        heats: the heat of each pixel of each of them, see `levels`.
        name: of the photo.

    Returns:
        `(height, width, 3) uint8`.
    """
    width, height = SIDE, photo.drawn[1]
    columns = 1 + len(heatmaps)
    heads = [_head(name), *(_head(*captions(heatmap)) for heatmap in heatmaps)]
    under = max(2, *map(len, heads)) * _LINE
    sheet = paper(columns * width + (columns + 1) * _GAP, under + height + 2 * _LINE + 3 * _GAP)
    _panel(sheet, 0, photo.pixels, heads[0], under)
    top = under + 2 * _GAP + height
    for line, text in enumerate(_meaning(heatmaps)):
        write(sheet, (_GAP, top + line * _LINE), text, _TEXT - 4)
    for column, (heatmap, heat) in enumerate(zip(heatmaps, heats, strict=True), start=1):
        pixels = over_photo(photo.pixels, heat, signed=heatmap.is_signed)
        _panel(sheet, column, pixels, heads[column], under)
        _legend(sheet, _left(column), top, heatmap)
    return sheet


def captions(heatmap: Heatmap) -> tuple[str, str]:
    """What stands over a heatmap: its class, and its score or what it is against."""
    name = printable(heatmap.label)
    second = f"not {printable(heatmap.against)}" if heatmap.against else f"{heatmap.score:.1%}"
    return name, f"{second} at {heatmap.layer}" if heatmap.layer else second


def ends(heatmap: Heatmap) -> tuple[str, str]:
    """What stands at both ends of the colours."""
    most = share_text(heatmap.largest)
    return (f"−{most}" if heatmap.is_signed else "0%"), most


def share_text(share: float) -> str:
    """A share with as many digits as it needs."""
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def _meaning(heatmaps: Sequence[Heatmap]) -> tuple[str, str]:
    if not heatmaps:
        return "", ""
    shapes = {heatmap.grid.shape for heatmap in heatmaps}
    if heatmaps[0].is_signed:
        return "share of evidence:", "blue is against"
    if len(shapes) > 1:  # several layers
        return "share of evidence", "in one of the fields"
    rows, columns = shapes.pop()
    return "share of evidence", f"in 1 of {rows} × {columns} fields"


Head = list[tuple[str, bool]]
"""The lines over a picture, and whether each is faint."""


def _head(name: str, second: str = "") -> Head:
    faint = [(line, True) for line in lines_of(second, SIDE)] if second else []
    return [(line, False) for line in lines_of(name, SIDE)] + faint


def _panel(sheet: Pixels, column: int, picture: Pixels, head: Head, under: int) -> None:
    for line, (text, faint) in enumerate(head):
        place = (_left(column), _GAP // 2 + line * _LINE)
        write(sheet, place, text, _TEXT, faint=faint)
    middle = (SIDE - picture.shape[1]) // 2
    put(sheet, (_left(column) + middle, under + _GAP), picture)


def _legend(sheet: Pixels, left: int, top: int, heatmap: Heatmap) -> None:
    put(sheet, (left, top + 4), colour_bar(SIDE, _BAR, signed=heatmap.is_signed))
    least, most = ends(heatmap)
    line = top + _BAR + 8
    write(sheet, (left, line), least, _TEXT - 4)
    write(sheet, (left + SIDE, line), most, _TEXT - 4, to_the_left=True)


def _left(column: int) -> int:
    return _GAP + column * (SIDE + _GAP)


def paper(width: int, height: int) -> Pixels:
    """An empty sheet, white."""
    return np.full((height, width, 3), 255, np.uint8)


def put(sheet: Pixels, place: tuple[int, int], picture: Pixels) -> None:
    """Lay a picture on a sheet, its upper left corner at (left, top); what is outside is lost."""
    area = _area(sheet, place, picture)
    area[...] = picture[: area.shape[0], : area.shape[1]]


def _area(sheet: Pixels, place: tuple[int, int], picture: Pixels) -> Pixels:
    left, top = place
    return sheet[top : top + picture.shape[0], left : left + picture.shape[1]]


def write(
    sheet: Pixels,
    place: tuple[int, int],
    text: str,
    size: int,
    *,
    faint: bool = True,
    to_the_left: bool = False,
) -> None:
    """Put a line of text on a sheet, from its upper left corner on, or up to its upper right one.

    Most lines are on every picture, and drawing letters takes longer than all the rest.
    """
    if not text:
        return
    letters = _letters(text, size, _FAINT if faint else _INK)
    left = max(0, place[0] - letters.shape[1]) if to_the_left else place[0]
    area = _area(sheet, (left, place[1]), letters)
    np.minimum(area, letters[: area.shape[0], : area.shape[1]], out=area)


_one_at_a_time = threading.RLock()
"""Photos are drawn in threads, and a font is not made for several."""


@lru_cache(maxsize=1024)
def _letters(text: str, size: int, ink: tuple[int, int, int]) -> Pixels:
    """The letters of a line on white."""
    with _one_at_a_time:
        font = font_of(text, size)
        width, height = max(1, round(font.getlength(text))), round(1.4 * size)
        letters = Image.new("RGB", (width, height), (255, 255, 255))
        ImageDraw.Draw(letters).text((0, 0), text, ink, font)
        return np.asarray(letters)


def lines_of(text: str, width: int, size: int = _TEXT) -> list[str]:
    """The text in as many lines as it takes, each at most so many pixels wide; nothing is cut."""
    with _one_at_a_time:
        font = font_of(text, size)
        return broken(text, lambda part: font.getlength(part) <= width)


def broken(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Break a text into lines that fit, behind a space or a mark where one is in the second half.

    A line has one letter at least, whether that fits or not.
    """
    lines = []
    while len(text) > 1 and not fits(text):
        most = 1
        while most < len(text) and fits(text[: most + 1]):
            most += 1
        marks = [at for at in range(most, most // 2, -1) if text[at - 1] in " _-"]
        end = marks[0] if marks else most
        lines.append(text[:end].rstrip(" "))
        text = text[end:]
    return [*lines, text]


def font_of(text: str, size: int) -> ImageFont.FreeTypeFont:
    """A font that has these letters, where this machine has one."""
    plain = all(ord(letter) < 0x2E80 for letter in text)
    return _font(size) if plain else _other_font(size)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    found = find_spec("matplotlib")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"
    return ImageFont.truetype(folder / "DejaVuSans.ttf", size)


@cache
def _other_font(size: int) -> ImageFont.FreeTypeFont:
    """One with Chinese, Japanese or Korean letters; the usual one where there is none."""
    from matplotlib.font_manager import fontManager

    from retrain_cli.reports.plots.plot_files import OTHER_SCRIPTS

    files = {font.name: font.fname for font in fontManager.ttflist}
    found = next((files[name] for name in OTHER_SCRIPTS if name in files), None)
    return ImageFont.truetype(found, size) if found else _font(size)
