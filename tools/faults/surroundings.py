"""What can be wrong around a command: streams, folders, limits, locks, damaged files."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_RUBBISH = b"\x00\xff{[not what it should be\n" * 400
_OVERRIDES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
_CAPABILITIES_V3 = 0x20080522
_LITTLE_SPACE = 600_000 << 10


@dataclass(frozen=True)
class Surroundings:
    """Something that is wrong around a command.

    Attributes:
        name: in words.
        damage: what is done to the folder that the command runs in, before.
        enter: what is done in the process of the command, which is in that folder.
        variables: of the environment.
        from_start: whether the interpreter itself has to start like this, which takes a second.
        may_end_with: exit codes besides the documented ones for errors.
        is_silent: whether no error can be told.
    """

    name: str
    damage: Callable[[Path], None] = lambda folder: None
    enter: Callable[[Path], None] = lambda folder: None
    variables: dict[str, str] = field(default_factory=dict)
    from_start: bool = False
    may_end_with: tuple[int, ...] = ()
    is_silent: bool = False


def _closed(descriptor: int) -> Callable[[Path], None]:
    return lambda folder: os.close(descriptor)


def _full(descriptor: int) -> Callable[[Path], None]:
    return lambda folder: _lead(os.open("/dev/full", os.O_WRONLY), descriptor)


def _lead(opened: int, descriptor: int) -> None:
    os.dup2(opened, descriptor)
    os.close(opened)


def _without_reader(folder: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    _lead(theirs, 1)


def _in_no_folder(folder: Path) -> None:
    gone = folder / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()


def _limited(what: int, limit: int) -> Callable[[Path], None]:
    return lambda folder: resource.setrlimit(what, (limit, limit))


def _no_growth(folder: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _as_user(folder: Path) -> None:
    """Root may write everywhere, unless it gives up that right."""
    if os.geteuid() != 0:
        return
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0)
    held = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capget(header, held) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    held[0] &= ~_OVERRIDES  # what is in effect, of the first 32
    if libc.capset(header, held) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _without_locks(folder: Path) -> None:
    """As on a network disk whose server knows no locks."""
    import fcntl

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    fcntl.flock = fcntl.lockf = refuse


def _workspace(folder: Path) -> Path:
    return folder / ".retrain"


def _read_only(folder: Path) -> None:
    for path in (*_workspace(folder).rglob("*"), _workspace(folder)):
        path.chmod(0o555 if path.is_dir() else 0o444)


def _unreadable(folder: Path) -> None:
    _workspace(folder).chmod(0)


def _a_file(folder: Path) -> None:
    shutil.rmtree(_workspace(folder))
    _workspace(folder).write_bytes(_RUBBISH)


def _a_dead_link(folder: Path) -> None:
    shutil.rmtree(_workspace(folder))
    _workspace(folder).symlink_to("/none/none")


def _rubbish(*names: str) -> Callable[[Path], None]:
    """Write rubbish over all files of these names, or over one that is made."""

    def damage(folder: Path) -> None:
        for name in names:
            for path in list(folder.glob(name)) or [folder / name]:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(_RUBBISH)

    return damage


def _gone(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        for path in folder.glob(name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return damage


_PLAIN = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

SURROUNDINGS = (
    Surroundings("nothing is wrong"),
    Surroundings("stdout is closed", enter=_closed(1)),
    Surroundings("stdout is full", enter=_full(1)),
    Surroundings("stdout has no reader", enter=_without_reader, may_end_with=(141,)),
    Surroundings("stderr is closed", enter=_closed(2), is_silent=True),
    Surroundings("stderr is full", enter=_full(2), is_silent=True),
    Surroundings("stdin is closed", enter=_closed(0)),
    Surroundings("the working folder is gone", enter=_in_no_folder),
    Surroundings("HOME is gone", variables={"HOME": "/none/home"}),
    Surroundings("TMPDIR is gone", variables={"TMPDIR": "/none/tmp"}),
    Surroundings("the workspace is read-only", damage=_read_only, enter=_as_user),
    Surroundings("the workspace is unreadable", damage=_unreadable, enter=_as_user),
    Surroundings("the workspace is a file", damage=_a_file),
    Surroundings("the workspace is a dead link", damage=_a_dead_link),
    Surroundings("the index is rubbish", damage=_rubbish(".retrain/index.sqlite")),
    Surroundings("photos.sqlite is rubbish", damage=_rubbish(".retrain/photos.sqlite")),
    Surroundings("the cache is rubbish", damage=_rubbish(".retrain/cache/*.sqlite")),
    Surroundings("the cache is gone", damage=_gone(".retrain/cache")),
    Surroundings("a run is rubbish", damage=_rubbish(".retrain/runs/run/*")),
    Surroundings("what was last used is rubbish", damage=_rubbish(".retrain/*.json")),
    Surroundings("retrain.toml is rubbish", damage=_rubbish("retrain.toml")),
    Surroundings("keras.json is rubbish", damage=_rubbish("home/.keras/keras.json")),
    Surroundings("16 descriptors", enter=_limited(resource.RLIMIT_NOFILE, 16), from_start=True),
    Surroundings(
        "600 MB of address space",
        enter=_limited(resource.RLIMIT_AS, _LITTLE_SPACE),
        from_start=True,
    ),
    Surroundings("no file may grow", enter=_no_growth, is_silent=True),  # stderr is a file
    Surroundings("locks are refused", enter=_without_locks),
    Surroundings("a locale without letters", variables=_PLAIN, from_start=True),
    Surroundings("a terminal of one column", variables={"COLUMNS": "1", "LINES": "1"}),
)
