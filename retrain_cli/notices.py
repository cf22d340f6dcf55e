"""What the user should know and nothing depends on, such as that a result is not remembered.

A notebook gets a Python warning; the command line says it in a line of its own (`listen`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable


def _as_warning(text: str) -> None:
    warnings.warn(text, stacklevel=3)


_listener: list[Callable[[str], None]] = [_as_warning]
_told: set[str] = set()


def listen(listener: Callable[[str], None]) -> None:
    """Let `listener` have the notices from here on, each text once."""
    _listener[:] = [listener]
    _told.clear()


def tell(text: str) -> None:
    """Tell the user once."""
    if text not in _told:
        _told.add(text)
        _listener[0](text)


def not_remembered(what: str, reason: object) -> None:
    """Tell that what was found is used now, and has to be found again the next time.

    Args:
        what: such as "how photos look".
        reason: why it cannot be kept.
    """
    tell(f"{what} is not remembered for the next time: {reason}")
