"""Foreign exceptions as a few words inside a message of ours."""

from __future__ import annotations


def reason_of(error: Exception) -> str:
    """The first line of an exception's text, its class where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
