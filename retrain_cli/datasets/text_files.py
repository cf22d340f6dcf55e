"""Text files that users write, with whatever editor or spreadsheet."""

from __future__ import annotations

import codecs
import csv
from pathlib import Path

from retrain_cli.errors import DatasetError
from retrain_cli.files import read_file


def read_text(path: Path) -> str:
    """Text of a file in UTF-8, or in UTF-16 as Windows programs write it, marked as such.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is in another encoding.
    """
    return decoded(read_file(path))


def decoded(data: bytes) -> str:
    """The text of a file's bytes; raises UnicodeDecodeError as `read_text`."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    return data.decode("utf-8-sig")


def read_rows(path: Path, rule: str, advice: str) -> list[list[str]]:
    """Rows of a file of values separated by commas; blanks after a comma do not count.

    Args:
        path: the file.
        rule: what the option takes, for the message.
        advice: what to do next.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        return rows_of(read_text(path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(f"{rule}; received {str(path)!r} ({reason}): {advice}") from error


def rows_of(text: str, delimiter: str = ",") -> list[list[str]]:
    """Its lines, each in its values."""
    return list(csv.reader(text.splitlines(), delimiter=delimiter, skipinitialspace=True))
