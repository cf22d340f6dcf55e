"""How the images of a folder were drawn: kept beside them, so that later ones are drawn alike."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain_cli.durable import make_folder
from retrain_cli.errors import DatasetError, setting
from retrain_cli.files import parse_json, read_file
from retrain_cli.paths import as_path
from retrain_cli.signals.recordings import Recording
from retrain_cli.workflows.signals.named_recordings import NOTE
from retrain_cli.workflows.signals.request import Drawing, SignalRequest
from retrain_cli.workspace import write_atomically, writing_to


@dataclass(frozen=True)
class KeptDrawing:
    """What all images of a folder have in common.

    Attributes:
        drawing: how they are drawn.
        names: of the channels, in the order of their colours; () before the first recording.
        rate: samples a second; None where nobody says.
    """

    drawing: Drawing
    names: tuple[str, ...] = ()
    rate: float | None = None

    def with_recording(self, recording: Recording) -> KeptDrawing:
        """The same, with what a recording says of its channels.

        Raises:
            DatasetError: its images would mean something else.
        """
        if self.names and not _same_channels(self.names, recording.channels):
            raise DatasetError(
                f"images of one folder show the same channels; {str(recording.path)!r} has "
                f"{_shown_names(recording.channels)}, and others have {_shown_names(self.names)}: "
                f"choose them with {setting('channels')}, or leave it out"
            )
        if self.rate and recording.rate and self.rate != recording.rate:
            raise DatasetError(
                f"images of one folder show equal times; {str(recording.path)!r} has "
                f"{recording.rate:g} samples a second, and others have {self.rate:g}: resample it, "
                "or leave it out"
            )
        return KeptDrawing(
            self.drawing, self.names or recording.channels, self.rate or recording.rate
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self.drawing.to_dict(), "names": list(self.names), "rate": self.rate}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> KeptDrawing:
        """Raises: ValueError or TypeError where it is none."""
        rest = {key: value for key, value in values.items() if key not in ("names", "rate")}
        names, rate = values["names"], values["rate"]
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise TypeError(f"names is {names!r:.60}")
        if rate is not None and not (isinstance(rate, int | float) and rate > 0):
            raise TypeError(f"rate is {rate!r:.60}")
        return cls(Drawing.from_dict(rest), tuple(names), rate)


def drawing_like(request: SignalRequest) -> KeptDrawing:
    """The drawing that is asked for, or that of the folder which it is to be like.

    Raises:
        ConfigError: both are asked for, and differ.
        DatasetError: that folder was not made by `retrain signals`.
    """
    if request.like is None:
        return KeptDrawing(request.drawing)
    other = _read(as_path(request.like) / NOTE)
    if other is None:
        raise DatasetError(
            f"{setting('like')} takes a folder that `retrain signals` made; {str(request.like)!r} "
            f"has no {NOTE}: check the path"
        )
    request.drawing.taking_over(other.drawing)
    return other


def same_as_before(output: Path, asked: KeptDrawing) -> KeptDrawing:
    """What is asked for, with what the folder's images have in common.

    Raises:
        DatasetError: they were drawn differently, or the folder holds other files.
    """
    if output.exists() and not output.is_dir():
        raise DatasetError(f"{str(output)!r} is a file: choose a folder for the images")
    before = _read(output / NOTE)
    if before is None:
        if output.is_dir() and any(path.name[0] != "." for path in output.iterdir()):
            raise DatasetError(
                f"images go into a folder of their own; {str(output)!r} holds other files: "
                "choose another one"
            )
        return asked
    if before.drawing != asked.drawing:
        raise DatasetError(
            f"images of one folder are drawn alike; those of {str(output)!r} were drawn with "
            f"{_shown(before.drawing)}, not {_shown(asked.drawing)}: choose another folder, or "
            "the same settings"
        )
    return before


def keep_drawing(output: Path, kept: KeptDrawing) -> None:
    """Make the folder and note how its images are drawn.

    Raises:
        WorkspaceError: it cannot be written.
    """
    with writing_to(output):
        make_folder(output)
    write_atomically(output / NOTE, json.dumps(kept.to_dict(), indent=2) + "\n")


def _read(path: Path) -> KeptDrawing | None:
    """Raises: DatasetError: it is there and holds something else."""
    try:
        return KeptDrawing.from_dict(parse_json(read_file(path)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise DatasetError(
            f"{str(path)!r} does not say how images were drawn ({error}): draw them anew into "
            "another folder"
        ) from error


def _same_channels(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    """Whether the names are equal; where one side has numbers alone, as many will do."""
    if len(ours) != len(theirs):
        return False
    return ours == theirs or any(all(map(str.isdecimal, names)) for names in (ours, theirs))


def _shown_names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _shown(drawing: Drawing) -> str:
    values = drawing.to_dict()
    values["channels"] = ",".join(drawing.channels) or "all"
    return ", ".join(f"{name} {value}" for name, value in values.items())
