"""All photos with their heatmaps on one sheet: an SVG that needs nothing else."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image

from retrain_cli.explaining.colours import diverging, sequential
from retrain_cli.explaining.heatmap import Heatmap
from retrain_cli.images.placement import Placement
from retrain_cli.reports.heatmaps.heat_colours import Pixels, SmallPhoto, levels, over_photo
from retrain_cli.reports.heatmaps.heat_panels import broken, captions, ends
from retrain_cli.reports.heatmaps.quick_png import MARK

MOST_PHOTOS = 60
"""On a sheet: about 1.5 MB."""

_SIDE, _GAP, _LINE, _BAR = 168, 12, 19, 8
_LETTERS = 20
_QUALITY = 78
_STYLE = """
text { font: 15px system-ui, sans-serif; fill: #14141a; }
.faint { fill: #55555c; } .small { font-size: 13px; } .paper { fill: #fff; }
@media (prefers-color-scheme: dark) {
  text { fill: #ececf1; } .faint { fill: #b4b4bd; } .paper { fill: #16161a; } }
"""


class HeatSheet:
    """A sheet in the making; a row a photo."""

    def __init__(self) -> None:
        self._rows: list[str] = []
        self._top = float(_GAP)
        self._columns = 1
        self.n_photos = 0

    @property
    def is_full(self) -> bool:
        """Whether no further photo has room."""
        return self.n_photos >= MOST_PHOTOS

    def add(
        self, photo: SmallPhoto, heatmaps: Sequence[Heatmap], placement: Placement, name: str
    ) -> None:
        """Put a photo and its heatmaps below what is there."""
        said = [_lines(name), *(_lines(*captions(heatmap)) for heatmap in heatmaps)]
        top = self._top + max(2, *map(len, said)) * _LINE + 4
        parts = [
            _text(_left(column), self._top + 14 + line * _LINE, text, kind)
            for column, lines in enumerate(said)
            for line, (text, kind) in enumerate(lines)
        ]
        size = _fitting(photo.drawn)
        parts.append(_image(_small(photo.pixels, size), _left(0), top))
        for column, heatmap in enumerate(heatmaps, start=1):
            left = _left(column)
            heat = levels(heatmap, placement, size)
            small = _small(photo.pixels, size)
            parts.append(_image(over_photo(small, heat, signed=heatmap.is_signed), left, top))
            parts.append(_legend(left, top + size[1] + 6, heatmap))
        self._columns = max(self._columns, 1 + len(heatmaps))
        self._rows.append("".join(parts))
        self._top = top + size[1] + 6 + _BAR + _LINE + 2 * _GAP
        self.n_photos += 1

    def svg(self, meaning: str) -> str:
        """The sheet; `meaning` says what the colours are."""
        width = self._columns * _SIDE + (self._columns + 1) * _GAP
        height = self._top + _LINE
        foot = _text(_GAP, self._top + 4, meaning, "faint small")
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" '
            f'width="{width}" height="{height:g}"><!-- {MARK} --><style>{_STYLE}</style><defs>'
            f"{_gradient('most', sequential())}{_gradient('both', diverging())}</defs>"
            f'<rect class="paper" width="100%" height="100%"/>{"".join(self._rows)}{foot}</svg>\n'
        )


def jpeg(pixels: Pixels) -> str:
    """Pixels as a JPEG in a `data:` address."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _fitting(size: tuple[int, int]) -> tuple[int, int]:
    scale = _SIDE / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _small(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def _left(column: int) -> int:
    return _GAP + column * (_SIDE + _GAP)


def _lines(name: str, second: str = "") -> list[tuple[str, str]]:
    """The lines over a picture, each with its kind; about as many letters as its width takes."""
    faint = [(line, "faint") for line in broken(second, _fits)] if second else []
    return [(line, "") for line in broken(name, _fits)] + faint


def _fits(text: str) -> bool:
    return len(text) <= _LETTERS


def _text(left: float, base: float, text: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{left:g}" y="{base:g}"{named}>{escape(text)}</text>'


def _image(pixels: Pixels, left: float, top: float) -> str:
    height, width = pixels.shape[:2]
    left += (_SIDE - width) / 2
    return (
        f'<image x="{left:g}" y="{top:g}" width="{width}" height="{height}" href="{jpeg(pixels)}"/>'
    )


def _legend(left: float, top: float, heatmap: Heatmap) -> str:
    least, most = ends(heatmap)
    base = top + _BAR + 15
    colours = "both" if heatmap.is_signed else "most"
    return (
        f'<rect x="{left:g}" y="{top:g}" width="{_SIDE}" height="{_BAR}" fill="url(#{colours})"/>'
        + _text(left, base, least, "faint small")
        + f'<text x="{left + _SIDE:g}" y="{base:g}" class="faint small" text-anchor="end">'
        f"{escape(most)}</text>"
    )


def _gradient(name: str, table: Pixels) -> str:
    stops = "".join(
        f'<stop offset="{at / (len(table) - 1):.3f}" stop-color="#{bytes(table[at]).hex()}"/>'
        for at in np.linspace(0, len(table) - 1, 18).astype(int)
    )
    return f'<linearGradient id="{name}">{stops}</linearGradient>'
