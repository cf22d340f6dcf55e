"""What the files of a run should be: a list of digests that is written last and looked at first.

    digests.json  {"format": 1, "files": {"config.json": ["5f0c..."], "head.npz": ["91ab..."], ...}}

Each file has one digest. Only while a file of a finished run is replaced it has two, that of the
old and that of the new one, so that the run is sound whenever the process dies; null stands for a
file that is not there. Files that the list does not name may be anything. Runs of versions that
wrote no list are read without one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from retrain_cli.durable import DRAFT_PREFIX, sync
from retrain_cli.errors import RunError
from retrain_cli.files import check_ordinary, hex_digest, read_file
from retrain_cli.runs.folder import NOTE_FILE
from retrain_cli.runs.shell import remove_line
from retrain_cli.workspace import replacing, to_json, write_atomically, writing_to

DIGESTS_FILE = "digests.json"
_UNLISTED = (DIGESTS_FILE, NOTE_FILE)  # notes are their owner's, who may edit them
FORMAT_VERSION = 1
_MOST_BYTES = 64 << 20

_Accepted = tuple[str | None, ...]


@dataclass(frozen=True)
class RunDigests:
    """The list of a run.

    Attributes:
        folder: of the run.
        files: of each file, by its path in the folder, the digests that it may have.
    """

    folder: Path
    files: Mapping[str, _Accepted]

    @classmethod
    def load(cls, folder: Path) -> RunDigests | None:
        """The list of the run in a folder; None for a run of a version that wrote none.

        Raises:
            RunError: the list is damaged.
        """
        path = folder / DIGESTS_FILE
        try:
            values = json.loads(read_file(path, _MOST_BYTES))
            if values["format"] != FORMAT_VERSION:
                raise ValueError(f"format {values['format']!r:.20}")
            return cls(folder, {str(n): _accepted(one) for n, one in values["files"].items()})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RunError(
                f"{path} should hold the digests of a run and cannot be read ({error!r:.100}): "
                f"{_remedy(folder)}"
            ) from error

    def fault(self, name: str) -> str | None:
        """What is wrong with a file; None where nothing is, or the list does not name it."""
        accepted = self.files.get(name)
        if accepted is None:
            return None
        path = self.folder / name
        try:
            found = digest_of(path)
        except OSError as error:
            return f"cannot be read ({error.strerror or error})"
        if found in accepted:
            return None
        return "is not there any more" if found is None else "is not what was written"

    def check(self, name: str) -> None:
        """Refuse a file that is not what was written.

        Raises:
            RunError: it is not.
        """
        if fault := self.fault(name):
            raise RunError(
                f"the files of a run stay as they were written, and {self.folder / name} {fault}: "
                f"{_remedy(self.folder)}"
            )


def digest_of(path: Path) -> str | None:
    """BLAKE2b-128 of a file, 32 hex digits; None where it is not there.

    Raises:
        OSError: it cannot be read, or is no ordinary file.
    """
    try:
        check_ordinary(path)
        return hex_digest(path)
    except FileNotFoundError:
        return None


def write_digests(folder: Path) -> None:
    """Write the list of a folder that is about to become a run.

    Raises:
        OSError: the disk is full, or a file cannot be read.
    """
    files = {
        path.relative_to(folder).as_posix(): (digest_of(path),)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in _UNLISTED and DRAFT_PREFIX not in str(path)
    }
    (folder / DIGESTS_FILE).write_text(_as_text(files), encoding="utf-8")


@contextmanager
def replacing_in_run(folder: Path, name: str) -> Iterator[Path]:
    """A draft that becomes a file of a finished run, with its digest in the list.

    Whenever the process dies, the run is as it was or as it becomes.

    Raises:
        WorkspaceError: the run cannot be changed.
        RunError: its list is damaged.
    """
    with _changing(folder):
        with replacing(folder / name) as draft:
            yield draft
            _accept(folder, name, digest_of(folder / name), digest_of(draft))
        _accept(folder, name, digest_of(folder / name))


def remove_from_run(folder: Path, name: str) -> None:
    """Remove a file of a finished run, and its digest.

    Raises:
        WorkspaceError: the run cannot be changed.
        RunError: its list is damaged.
    """
    with _changing(folder):
        _accept(folder, name, digest_of(folder / name), None)
        (folder / name).unlink(missing_ok=True)
        sync(folder)
        _accept(folder, name, None)


@contextmanager
def _changing(folder: Path) -> Iterator[None]:
    """One command at a time changes finished runs."""
    with writing_to(folder), FileLock(folder.parent / ".changing.lock"):
        yield


def _accept(folder: Path, name: str, *digests: str | None) -> None:
    listed = RunDigests.load(folder)
    if listed is None:
        return
    files = dict(listed.files)
    if digests == (None,):
        files.pop(name, None)
    else:
        files[name] = tuple(dict.fromkeys(digests))
    if files != listed.files:
        write_atomically(folder / DIGESTS_FILE, _as_text(files))


def _as_text(files: Mapping[str, _Accepted]) -> str:
    values = {"format": FORMAT_VERSION, "files": {name: list(one) for name, one in files.items()}}
    return to_json(values, indent=2) + "\n"


def _accepted(values: Any) -> _Accepted:
    if not isinstance(values, list) or not values:
        raise TypeError(f"a list of digests was expected, not {values!r:.40}")
    if not all(one is None or (isinstance(one, str) and len(one) == 32) for one in values):
        raise ValueError(f"a digest has 32 digits, not {values!r:.60}")
    return tuple(values)


def _remedy(folder: Path) -> str:
    return (
        f"put the file back, train it again, or remove it with `{remove_line(folder.name)}` "
        f"(without {DIGESTS_FILE} the run is taken as it is)"
    )
