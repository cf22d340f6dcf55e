"""Lists of paths as other programs write them: line ends, byte order marks, blanks, UTF-16.

Paths come out as they arrive; nothing waits for more than the first few bytes.
"""

from __future__ import annotations

import codecs
import os
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import AnyStr, Final

_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_NUL = "\0"


def listed_paths(pieces: Iterable[bytes], separator: str) -> Iterator[str]:
    """The paths of a list that comes in pieces.

    With lines (a separator of a line feed) what surrounds a path counts for it only where there is
    such a file: carriage returns, blanks, quotation marks. With NULs each path is as it is.

    Args:
        pieces: the list's bytes: those of the paths, or UTF-16, with a byte order mark or without.
        separator: a line feed or a NUL.
    """
    items = _items(iter(pieces), separator)
    if separator == _NUL:
        return (item for item in items if item)
    return (path for line in items for path in _paths_of(line))


def _paths_of(line: str) -> Iterator[str]:
    """The path of a line, or the paths, where lines end with a carriage return."""
    parts = [line] if _exists(line) else line.split("\r")
    return (_as_it_is_there(part) for part in parts if part.strip())


def _as_it_is_there(line: str) -> str:
    """The line, or what remains of it without what programs put around a path."""
    bare = line.strip()
    is_quoted = len(bare) > 2 and bare[0] == bare[-1] and bare[0] in "\"'"
    inner = bare[1:-1] if is_quoted else bare
    forms = (unicodedata.normalize("NFC", inner), unicodedata.normalize("NFD", inner))
    return next((path for path in (line, bare, inner, *forms) if _exists(path)), bare)


def _exists(path: str) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:  # a NUL in it, or characters that no file name has
        return False


def _items(pieces: Iterator[bytes], separator: str) -> Iterator[str]:
    """The list cut at each separator: as names of files, or decoded, where it is UTF-16."""
    head = b""
    while not _tells_encoding(head) and (piece := next(pieces, b"")):
        head += piece
    encoding, mark = _encoding_of(head, separator)
    whole = chain([head.removeprefix(mark)], pieces)
    if encoding == "utf-8":
        return map(os.fsdecode, _split(whole, separator.encode()))
    return _split(_decoded(whole, encoding), separator)


def _tells_encoding(head: bytes) -> bool:
    """Whether the bytes so far are enough; a list of paths of one letter must not be held back."""
    may_be_mark = any(mark.startswith(head[:2]) for mark in _MARKS)
    return len(head) >= 2 and not (len(head) < 4 and (may_be_mark or 0 in head))


def _encoding_of(head: bytes, separator: str) -> tuple[str, bytes]:
    """Encoding and byte order mark of a list; without a mark UTF-16 shows by its zero bytes."""
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding, mark
    zeros = [byte == 0 for byte in head[:4]]
    if separator != _NUL and zeros == [False, True, False, True]:
        return "utf-16-le", b""
    if separator != _NUL and zeros == [True, False, True, False]:
        return "utf-16-be", b""
    return "utf-8", b""


def _decoded(pieces: Iterable[bytes], encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for piece in pieces:
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)


def _split(pieces: Iterable[AnyStr], separator: AnyStr) -> Iterator[AnyStr]:
    """What stands between the separators, as it arrives; linear in the length of an item."""
    rest: list[AnyStr] = []
    nothing = separator[:0]
    for piece in pieces:
        for number, part in enumerate(piece.split(separator)):
            if number:
                yield nothing.join(rest)
                rest = []
            rest.append(part)
    yield nothing.join(rest)
