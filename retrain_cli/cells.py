"""Cells of tables that other programs read: no name can pretend to be more than one cell."""

from __future__ import annotations

import os
import re

_NUMBER = re.compile(r"[+-]?(\d[\d,]*\.?\d*|\.\d+)([eE][+-]?\d+)?%?")
_TSV = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}
# Names on Windows hold no such characters, and every path there holds backslashes.
_ESCAPES = _TSV if os.sep == "\\" else {"\\": "\\\\", **_TSV}


def tsv_cell(text: str) -> str:
    r"""The text with tabs, line ends and backslashes as `\t`, `\n`, `\r` and `\\`."""
    return "".join(_ESCAPES.get(character, character) for character in text)


def csv_cell(text: str) -> str:
    """The text as a spreadsheet takes it for a text, whatever it begins with.

    What could be a formula begins with `=`, `+`, `-`, `@`, a tab or a line end; it gets an
    apostrophe before it, and so does what begins with one already: without its first apostrophe
    each text is as it was. Numbers stay as they are.
    """
    if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "'")) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text
