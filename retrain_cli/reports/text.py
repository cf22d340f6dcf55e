"""Numbers and names as a report writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOT_DEFINED = "n/a"


def percent(value: float | None, digits: int = 1) -> str:
    """A share from 0 to 1 as `93.1%`."""
    return NOT_DEFINED if value is None else f"{value:.{digits}%}"


def interval(estimate: Mapping[str, float] | None, dash: str = "\N{EN DASH}") -> str:
    """The ends of a confidence interval of shares as `90.2-95.4%`, with a dash."""
    if estimate is None:
        return ""
    return f"{100 * estimate['low']:.1f}{dash}{100 * estimate['high']:.1f}%"


def number(value: float | None, digits: int = 3) -> str:
    """A figure that is no share."""
    return NOT_DEFINED if value is None else f"{value:.{digits}f}"


def figure(value: Any, form: str, dash: str = "\N{EN DASH}") -> tuple[str, str]:
    """A figure and its interval, as JSON has them, in words; see `evaluation.figures.Form`."""
    if value is None:
        return (NOT_DEFINED, "")
    write = percent if form == "percent" else plain
    if not isinstance(value, Mapping):
        return (write(value), "")
    if form == "percent":
        return (write(value["value"]), interval(value, dash))
    return (write(value["value"]), f"{plain(value['low'])}{dash}{plain(value['high'])}")


def plain(value: float) -> str:
    """Three digits; what is not quite 1 does not look so."""
    return "0.999+" if 0.9995 <= value < 1 else f"{value:.3f}"


def printable(text: str) -> str:
    """The text with control characters and stray bytes made visible; all the rest as it is."""
    if text.isprintable():
        return text
    shown = (
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )
    return "".join(shown)


def setting(value: Any) -> str:
    """A value of a configuration."""
    if value is None:
        return "\N{EM DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return printable(str(value))
