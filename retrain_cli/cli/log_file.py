"""`--log FILE`: what was run, with which versions and settings, what was said, and how it ended.

Each entry is appended in one write, so that commands can share a file. A log that cannot be written
is told once; it never ends a command, nor lets it wait.
"""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

_PACKAGES = ("tensorflow", "keras", "openvino", "jax", "torch", "numpy", "pillow", "typer")
_NEVER_WAIT = getattr(os, "O_NONBLOCK", 0)  # of a pipe without a reader
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _NEVER_WAIT

_SECRETS = (
    (re.compile(r"(\w://)[^/@\s]+@"), r"\1***@"),
    (
        re.compile(
            r"((?:token|secret|password|passwd|api[_-]?key|signature|sig|credential)[\w-]*=)[^&\s'\"]+",
            re.IGNORECASE,
        ),
        r"\1***",
    ),
)


@dataclass
class _Log:
    path: Path
    descriptor: int
    tell: Callable[[str], None]
    started: float = field(default_factory=time.monotonic)


_open: list[_Log] = []


def start(path: Path, arguments: Sequence[str], version: str, tell: Callable[[str], None]) -> None:
    """Begin to log.

    Args:
        path: the file; made where it is not there.
        arguments: the command without `retrain`.
        version: of this package.
        tell: is told, once, that nothing can be logged.
    """
    from retrain_cli.runs.shell import shell_line

    stop()
    try:
        _open.append(_Log(path, os.open(path, _FLAGS, 0o644), tell))
    except (OSError, ValueError) as error:
        tell(_not_logged(path, error))
    _write("start", shell_line(["retrain", *arguments]))
    with suppress(OSError):
        _write("folder", str(Path.cwd()))
    _write("versions", f"retrain {version}, {_versions()}")


def _not_logged(path: Path, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return f"{path} cannot be written ({reason}), so this command goes on without a log"


def _versions() -> str:
    """Read from what is installed: nothing is imported for it."""
    from importlib.metadata import PackageNotFoundError, version

    found = [f"Python {platform.python_version()}", platform.platform()]
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found.append(f"{package} {version(package)}")
    return ", ".join(found)


def settings(values: Mapping[str, str]) -> None:
    """Log the settings that are not as usual."""
    if values:
        _write("settings", ", ".join(f"{name} = {value}" for name, value in values.items()))


def entry(kind: str, text: str) -> None:
    """Log what was said; nothing where nothing is logged."""
    _write(kind, text)


def fault(error: BaseException) -> None:
    """Log the traceback of an exception."""
    if _open:
        import traceback

        lines = traceback.format_exception(type(error), error, error.__traceback__)
        _write("traceback", "".join(lines))


def end(code: int) -> None:
    """Log how the command ended, and close the file."""
    if _open:
        _write("end", f"exit code {code} after {time.monotonic() - _open[0].started:.1f} s")
    stop()


def stop() -> None:
    """Close the file."""
    while _open:
        with suppress(OSError):
            os.close(_open.pop().descriptor)


def _write(kind: str, text: str) -> None:
    if not _open:
        return
    log = _open[0]
    stamp = datetime.now().astimezone().isoformat("T", "milliseconds")
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    lines = text.strip("\n").replace("\n", "\n    ")
    line = f"{stamp} [{os.getpid()}] {kind}: {lines}\n".encode(errors="backslashreplace")
    try:
        os.write(log.descriptor, line)
    except OSError as error:  # a full disk, a reader that is gone or slow
        stop()
        log.tell(_not_logged(log.path, error))
