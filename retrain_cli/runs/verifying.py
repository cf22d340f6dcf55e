"""`retrain runs verify`: whether runs are as they were written, and can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from retrain_cli.errors import RetrainError
from retrain_cli.runs.run import Run


@dataclass(frozen=True)
class RunCheck:
    """What was found in a run.

    Attributes:
        name: its name.
        files: how many of its files have a digest; 0 in a run of a version that noted none.
        faults: what is wrong, each in a line; empty where nothing is.
    """

    name: str
    files: int
    faults: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"run": self.name, "files": self.files, "faults": list(self.faults)}


def verify_run(run: Run) -> RunCheck:
    """Compare every file of a run with its digest, and read all that a run holds."""
    run = Run(run.folder)  # what was read before may have changed since
    try:
        listed = run.digests
    except RetrainError as error:
        return RunCheck(run.name, 0, (str(error),))
    files = {} if listed is None else listed.files
    faults = [
        f"{name} {fault}"
        for name in files
        if listed is not None and (fault := listed.fault(name)) is not None
    ]
    if not faults:
        faults = list(_unreadable(run))
    return RunCheck(run.name, len(files), tuple(faults))


def _unreadable(run: Run) -> Iterator[str]:
    """What cannot be read although it may be what was written."""
    readers: tuple[Callable[[], object], ...] = (
        lambda: run.info,
        lambda: run.origins,
        lambda: run.trained_head,
        lambda: run.calibration,
        lambda: run.history,
        lambda: run.predictions,
        lambda: run.metrics,
    )
    for read in readers:
        try:
            read()
        except RetrainError as error:
            yield str(error)
