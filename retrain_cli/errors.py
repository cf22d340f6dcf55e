"""The one error tree of the package: everything that is the user's data, flags or environment.

Each message states the rule, then what was received, then what to do next. The command line catches
`RetrainError` alone, prints its message as one line and exits with `exit_code`; anything else that
escapes is a fault of ours.
"""

from __future__ import annotations


class RetrainError(Exception):
    """Base of all errors that the user can act upon.

    Attributes:
        exit_code: what the command line exits with.
    """

    exit_code = 3


class ConfigError(RetrainError):
    """An option, or a combination of options, that cannot work: wrong usage."""

    exit_code = 2


class WorkspaceError(RetrainError):
    """The workspace cannot be read, written or locked."""


class DatasetError(RetrainError):
    """The image folder does not hold what training needs."""


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


class MissingExtraError(RetrainError):
    """An optional dependency is not installed.

    Args:
        feature: what needs it, as the user knows it, such as "HEIC photos".
        extra: the extra of this package that brings it.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} need an optional package: pip install 'retrain-cli[{extra}]'")


class AssertionNotMetError(RetrainError):
    """A measured figure is below what `--assert-top1` demands."""

    exit_code = 4


def reason_of(error: Exception) -> str:
    """The first line of an exception's text, its class where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
