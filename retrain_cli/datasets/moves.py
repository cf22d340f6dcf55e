"""A script of moves: plain text, one move a line, meant to be read and edited before it is done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from json import JSONDecodeError
from pathlib import Path

from retrain_cli.errors import DatasetError, setting
from retrain_cli.files import read_file
from retrain_cli.paths import check_possible
from retrain_cli.workspace import write_atomically

_HEADER = """\
# Suggested moves. Nothing is ever deleted: a photo goes to another class or into quarantine.
# Delete the lines you do not agree with; take the # from those you do. Then:
#   retrain check --apply THIS_FILE     does them all, or none where a photo changed meanwhile
#   retrain check --undo                takes them back
# A move: the path from, the path to, the digest of the content, and after # the reason."""
_WORDS = ("root", "quarantine", "move")


@dataclass(frozen=True)
class Move:
    """A photo and where it should go.

    Attributes:
        source: path relative to the image folder.
        target: path relative to the image folder, or to the quarantine folder.
        quarantine: which of the two.
        digest: BLAKE2b-128 of the content, in hex.
        reason: why, for people.
        sure: whether to do it unless the user objects; else it is written as a comment.
    """

    source: str
    target: str
    quarantine: bool
    digest: str
    reason: str = ""
    sure: bool = True


@dataclass(frozen=True)
class MoveScript:
    """Moves within an image folder, and to a quarantine folder outside of it."""

    root: Path
    quarantine: Path
    moves: tuple[Move, ...]


def write_script(script: MoveScript, path: Path) -> None:
    """Write a script.

    Raises:
        WorkspaceError: the file cannot be written.
    """
    lines = [_HEADER, f"root {_quoted(str(script.root))}"]
    lines += [f"quarantine {_quoted(str(script.quarantine))}", *map(_line, script.moves)]
    write_atomically(path, "\n".join(lines) + "\n")


def read_script(path: Path) -> MoveScript:
    """Read a script.

    Raises:
        DatasetError: it cannot be read, or a line of it is wrong.
    """
    try:
        lines = read_file(path).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{setting('apply')} takes a script of moves; {path} cannot be read ({error}): "
            "`retrain check --script FILE` writes one"
        ) from error
    folders: dict[str, Path] = {}
    moves: list[Move] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            word, values = _parsed(line)
            if word == "move":
                moves.append(_move(values))
            else:
                folders[word] = Path(check_possible(values[0]))
        except (ValueError, IndexError) as error:
            raise DatasetError(
                f"line {number} of {path} is no move ({error}): correct it"
            ) from error
    if len(folders) < 2:
        raise DatasetError(f"{path} must name a root and a quarantine folder: write it anew")
    return MoveScript(folders["root"], folders["quarantine"], tuple(moves))


def _line(move: Move) -> str:
    where = "quarantine:" if move.quarantine else ""
    words = [_quoted(move.source), _quoted(where + move.target), move.digest]
    reason = " ".join(move.reason.split())
    return f"{'' if move.sure else '# '}move {' '.join(words)}  # {_ascii(reason)}"


def _move(values: Sequence[str]) -> Move:
    source, target, digest = values
    quarantine = target.startswith("quarantine:")
    inner = target.removeprefix("quarantine:")
    for relative in (source, inner):
        if check_possible(relative).startswith("/") or ".." in relative.split("/"):
            raise ValueError(f"{relative!r} leaves its folder")
    if len(bytes.fromhex(digest)) != 16:
        raise ValueError("the digest has another length")
    return Move(source, inner, quarantine, digest)


def _parsed(line: str) -> tuple[str, list[str]]:
    """The word and its arguments: JSON strings or bare words; the comment is left out."""
    word, _, rest = line.strip().partition(" ")
    if word not in _WORDS:
        raise ValueError(f"{word!r} is none of {', '.join(_WORDS)}")
    values: list[str] = []
    while (rest := rest.strip()) and not rest.startswith("#"):
        if rest.startswith('"'):
            try:
                value, end = json.JSONDecoder().raw_decode(rest)
            except JSONDecodeError as error:
                raise ValueError(error.msg) from error
            rest = rest[end:]
        else:
            value, _, rest = rest.partition(" ")
        values.append(value)
    return word, values


def _quoted(text: str) -> str:
    """A JSON string; bytes that are no UTF-8 and line ends are escaped."""
    return _ascii(json.dumps(text, ensure_ascii=False))


def _ascii(text: str) -> str:
    """The text, escaped as JSON does it where it could not be written, or would break the line."""
    kept = (c if c.isprintable() else json.dumps(c)[1:-1] if ord(c) < 0x10000 else c for c in text)
    return "".join(kept)
