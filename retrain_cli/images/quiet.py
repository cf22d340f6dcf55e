"""Keep Pillow's remarks about odd files off the terminal; an ImageError says what is wrong."""

from __future__ import annotations

import logging
import warnings
from typing import Any, Final

_PILLOW_MODULES: Final = r"PIL\."


def hush_pillow() -> None:
    """Silence Pillow's warnings and log.

    A filter for good, because `warnings.catch_warnings` is not safe in threads; looked up each
    time, because others (pytest) exchange the list of filters. The log goes on to whoever listens
    to it; with a handler of its own Python no longer prints it by itself.
    """
    if not any(_is_ours(entry) for entry in warnings.filters):
        warnings.filterwarnings("ignore", module=_PILLOW_MODULES)
    log = logging.getLogger("PIL")
    if not log.handlers:
        log.addHandler(logging.NullHandler())


def _is_ours(entry: tuple[Any, ...]) -> bool:
    """Whether a warning filter is the one of `hush_pillow`."""
    return bool(entry[0] == "ignore" and getattr(entry[3], "pattern", "") == _PILLOW_MODULES)
