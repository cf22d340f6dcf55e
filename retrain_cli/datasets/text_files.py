"""Text files that users write, with whatever editor or spreadsheet."""

from __future__ import annotations

import codecs
from pathlib import Path

from retrain_cli.files import read_file


def read_text(path: Path) -> str:
    """Text of a file in UTF-8, or in UTF-16 as Windows programs write it, marked as such.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is in another encoding.
    """
    data = read_file(path)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    return data.decode("utf-8-sig")
