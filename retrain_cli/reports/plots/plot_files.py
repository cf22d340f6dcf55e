"""What all pictures share: file formats, colours, and how they are written."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain_cli import notices
from retrain_cli.errors import ConfigError, setting
from retrain_cli.workspace import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LONGEST = 60
"""Letters of a name."""
_MOST_LETTERS = 10
"""That are named of those that no font has."""
_MARGIN = 0.3  # inches
_ROOM = 40.0

FORMATS = ("png", "svg", "pdf")

# Okabe and Ito's palette, told apart by every kind of colour vision.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
)
BLACK = "#000000"
GREY = "#767676"
GRID = "#dddddd"


OTHER_SCRIPTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "PingFang SC",
    "Hiragino Sans",
    "Arial Unicode MS",
)
"""Fonts with Chinese, Japanese or Korean letters, one of which most machines have."""

# Without random ids and a date an SVG drawn again from the same figures is the same file; letters
# kept as text make it a third of the size.
_SVG_SETTINGS: dict[Any, Any] = {"svg.hashsalt": "retrain", "svg.fonttype": "none"}


def check_format(path: Path) -> str:
    """The format that a picture's suffix names.

    Raises:
        ConfigError: another suffix.
    """
    suffix = path.suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        raise ConfigError(
            f"{setting('plot')} takes a file ending in .png, .svg or .pdf, not {path.name!r}"
        )
    return suffix


def save_figure(draw: Callable[[], Figure], path: Path) -> None:
    """Draw and write a picture; an existing file is replaced in one step.

    Args:
        draw: draws it, once the suffix is found good.
        path: where to; its suffix, `.png`, `.svg` or `.pdf`, chooses the format.

    Raises:
        ConfigError: another suffix.
        WorkspaceError: the file cannot be written.
    """
    suffix = check_format(path)
    import matplotlib as mpl

    metadata = {"Date": None} if suffix == "svg" else None
    settings = {**_SVG_SETTINGS, "font.family": _fonts()}
    with replacing(path) as saved, mpl.rc_context(settings), _told_of_letters():
        draw().savefig(saved, format=suffix, dpi=150, metadata=metadata)


@contextmanager
def _told_of_letters() -> Iterator[None]:
    """Tell in a line of letters that no font here has, where Matplotlib warns of each of them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", message="Glyph")
        yield
    messages = [str(one.message) for one in caught]
    codes = [found[1] for one in messages if (found := re.match(r"Glyph (\d+) .*missing", one))]
    if codes:
        letters = "".join(chr(int(code)) for code in dict.fromkeys(codes))[:_MOST_LETTERS]
        notices.tell(
            f"the fonts of this machine lack letters of names, which pictures show as boxes "
            f"({letters}): install one that has them, such as {OTHER_SCRIPTS[0]}"
        )
    for one in caught:
        if not str(one.message).startswith("Glyph"):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


@cache
def _fonts() -> list[str]:
    """The usual font, and those of this machine that have letters which that lacks."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in OTHER_SCRIPTS if name in installed)]


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches; without pyplot: no window system, no shared state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def as_text(name: str) -> str:
    """A class name as a picture shows it: no formulas between dollars, nothing unprintable.

    Of a very long one the middle is left out: names of a kind mostly differ at an end.
    """
    shown = "".join(c if c.isprintable() else "?" for c in name)
    if len(shown) > _LONGEST:
        half = _LONGEST // 2
        shown = f"{shown[:half]}…{shown[half + 1 - _LONGEST :]}"
    return shown.replace("$", r"\$")


def legend_beside(figure: Figure, axes: Any) -> None:
    """A legend to the right of a drawing, for which the picture grows as wide as it takes."""
    width, height = figure.get_size_inches()
    handles, labels = axes.get_legend_handles_labels()
    figure.set_size_inches(_ROOM, height)  # for any legend, while it is measured
    legend = figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=9)
    figure.draw_without_rendering()
    box = legend.get_window_extent()
    taken = (box.width / figure.dpi, box.height / figure.dpi)
    figure.set_size_inches(width + taken[0] + _MARGIN, max(height, taken[1] + _MARGIN))


def unit_square(axes: Any, x_label: str, y_label: str) -> None:
    """Axes from 0 to 1 both ways, with a grid; lines on the edge keep their whole width."""
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    for line in axes.get_lines():
        line.set_clip_on(False)
    axes.set_aspect("equal")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color=GRID, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
