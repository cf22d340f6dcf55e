"""What all pictures share: file formats, colours, and how they are written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain_cli.errors import ConfigError, setting
from retrain_cli.workspace import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
GREY = "#767676"
GRID = "#dddddd"


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
    with replacing(path) as saved, mpl.rc_context(_SVG_SETTINGS):
        draw().savefig(saved, format=suffix, dpi=150, metadata=metadata)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches; without pyplot: no window system, no shared state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def as_text(name: str) -> str:
    """A class name as a picture shows it: no formulas between dollars, nothing unprintable."""
    shown = "".join(c if c.isprintable() else "?" for c in name).replace("$", r"\$")
    return shown if len(shown) <= 32 else shown[:31] + "…"


def unit_square(axes: Any, x_label: str, y_label: str) -> None:
    """Axes from 0 to 1 both ways, with a grid."""
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color=GRID, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
