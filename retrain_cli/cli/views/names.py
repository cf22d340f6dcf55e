"""What is said of the names of classes that no source class has, and that nearly one has."""

from __future__ import annotations

import re
from collections.abc import Iterable

from retrain_cli.cli import console
from retrain_cli.datasets.class_names import shown_name
from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.reports.text import printable

_WNID = re.compile(r"[nvars]\d{8}(?= )")
_SHOWN = 10
"""Hints; more of them are counted."""


def show_hints(origins: Iterable[ClassOrigin]) -> None:
    """Ask for each class that is EXT by its name whether it is the source class named so nearly."""
    hinted = [origin for origin in origins if origin.hint]
    for origin in hinted[:_SHOWN]:
        name, one = printable(origin.class_name), _WNID.match(origin.hint)
        verdict = one[0] if one and " | " not in origin.hint else "int"
        console.note(
            f"{shown_name(name)} is EXT by its name: did you mean {origin.hint}? then write "
            f"`{name},{verdict}` into a file for --int-ext"
        )
    if len(hinted) > _SHOWN:
        console.note(f"... and {len(hinted) - _SHOWN} more classes like that: see --json")
