"""The one error tree of the package: everything that is the user's data, flags or environment.

Each message states the rule, then what was received, then what to do next. The command line catches
`RetrainError` alone, prints its message as one line and exits with `exit_code`; anything else that
escapes is a fault of ours.

A message that is about a setting marks its name: `f"{setting('batch_size')} must be at least 1"`.
Who calls this package from Python then reads `batch_size`, the field of a request; who uses the
command line reads `--batch-size`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

# NUL stands around a setting in a message: no path and no argument of a command can hold it.
# Between them stand its name with its owner, what Python is told, and the value as it is typed.
_SETTING = re.compile("\0([^\0\1]+)\1([^\0\1]+)\1([^\0\1]*)\0")


def setting(field: str, value: object = None, owner: type | None = None) -> str:
    """A setting's name, to be put into the message of an error.

    Args:
        field: the field of the request, or `Dataclass.field` where the name alone says too little.
        value: what to set it to, where the message advises that; None names the setting alone.
        owner: the dataclass of the field, where its option may be called otherwise.
    """
    full = field if owner is None else f"{owner.__name__}.{field}"
    if value is None:
        return f"\0{full}\1{field}\1\0"
    return f"\0{full}\1{field}={value!r}\1{'' if value is True else value}\0"


class RetrainError(Exception):
    """Base of all errors that the user can act upon.

    Args:
        message: one line; settings in it are marked with `setting`.

    Attributes:
        exit_code: what the command line exits with.
    """

    exit_code = 3

    def __init__(self, message: str) -> None:
        super().__init__(_SETTING.sub(r"\2", message))
        self._message = message

    def worded(self, flag_of: Callable[[str], str]) -> str:
        """The message as the command line says it: `--l2`, where `str` gives `l2`.

        Args:
            flag_of: the option that sets a field, such as `flags.flag_of`.
        """

        def as_typed(found: re.Match[str]) -> str:
            return f"{flag_of(found[1])} {found[3]}".rstrip()

        return _SETTING.sub(as_typed, self._message)


class ConfigError(RetrainError):
    """An option, or a combination of options, that cannot work: wrong usage."""

    exit_code = 2


class WorkspaceError(RetrainError):
    """The workspace cannot be read, written or locked."""


class DatasetError(RetrainError):
    """The image folder does not hold what training needs."""


class StorageError(RetrainError):
    """An object storage does not answer, or not as photos need it."""


class ImageError(RetrainError):
    """One image cannot be used; the message is the short reason, without the path."""


class BackboneError(RetrainError):
    """The backbone, or a layer of it, does not exist or cannot be built."""


class WeightsError(RetrainError):
    """Pre-trained weights cannot be found, downloaded or fitted to the backbone."""


class DeviceError(RetrainError):
    """The device that was asked for is not there."""


class CacheError(RetrainError):
    """A bottleneck cache cannot be read or written."""


class DamagedFileError(CacheError):
    """A file of the workspace is no sound SQLite database.

    Args:
        message: as of every error.
        reason: what SQLite said of it.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class RunError(RetrainError):
    """A run does not exist, is damaged, or does not fit what is asked of it."""


class ReportError(RetrainError):
    """A report cannot be made in the form that was asked for."""


class ExportError(RetrainError):
    """A run cannot be written as a file for other programs, or such a file cannot be used."""


class MissingExtraError(RetrainError):
    """An optional dependency is not installed.

    Args:
        feature: what needs it, as the user knows it, such as "HEIC photos".
        extra: the extra of this package that brings it.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} need an optional package: pip install 'retrain-cli[{extra}]'")


class AssertionNotMetError(RetrainError):
    """A measured figure is below the least that was demanded."""

    exit_code = 4


def reason_of(error: Exception) -> str:
    """The first line of an exception's text, its class where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def last_reason_of(error: Exception) -> str:
    """The last line, where an engine tells the way to a fault first and the fault at the end."""
    return reason_of(ValueError(str(error).strip().rpartition("\n")[2].strip()))
