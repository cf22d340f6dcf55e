"""Sheets in a real Chromium: readable on light and dark, and on a telephone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser import visit

from retrain_cli.notebook.sheets import Grid, sheet

LEAST_CONTRAST = 4.5
"""Of text and ground, as WCAG 2.2 asks for (success criterion 1.4.3)."""

WIDE = Grid(
    ("photo", "class", "figure", "p", "share"),
    [[f"a/very/long/path/to/a/photo-number-{n}.jpg", "ant", 12_345, "", 0.5] for n in range(30)],
    "a table that is wider than the screen",
    bars=True,
)
COLOURS = """() => [...document.querySelectorAll('.retrain b, .retrain td, .retrain caption')].map(
    one => [getComputedStyle(one).color, getComputedStyle(one).opacity])"""


@pytest.mark.parametrize(("scheme", "ground", "text"), [("light", 255, 20), ("dark", 24, 225)])
def test_text_stands_out_and_nothing_is_cut(
    tmp_path: Path, scheme: str, ground: int, text: int
) -> None:
    """A notebook gives its own colours to what stands in it, and so do these pages."""
    page = tmp_path / "page.html"
    style = f"background:rgb({ground},{ground},{ground});color:rgb({text},{text},{text})"
    page.write_text(
        f'<meta charset="utf-8"><body style="{style}">{sheet("a <title>", "a sentence", WIDE)}'
    )
    with visit(page, 390, scheme) as visited:
        wide: Any = visited.page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= 390
        inner: Any = visited.page.evaluate(
            "() => { const one = document.querySelector('.r-scroll');"
            " one.scrollLeft = 9999; return [one.scrollLeft, one.scrollWidth, one.clientWidth] }"
        )
        assert inner[0] >= inner[1] - inner[2] - 1, "the table's end can be scrolled to"
        for colour, opacity in visited.page.evaluate(COLOURS):
            grey = float(colour.strip("rgb()").split(",")[0])
            shown = float(opacity) * grey + (1 - float(opacity)) * ground
            assert contrast(shown, ground) >= LEAST_CONTRAST, (colour, opacity)


def contrast(first: float, second: float) -> float:
    """Of two greys from 0 to 255, by WCAG's relative luminance."""
    bright, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(grey: float) -> float:
    share = grey / 255
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)
