"""How the images of a folder were drawn: kept beside them, so that later ones are drawn alike."""

from __future__ import annotations

import json
from pathlib import Path

from retrain_cli.durable import make_folder
from retrain_cli.errors import DatasetError, setting
from retrain_cli.files import parse_json, read_file
from retrain_cli.workflows.signals.request import Drawing, SignalRequest
from retrain_cli.workspace import write_atomically, writing_to

FILE = "signals.json"


def drawing_like(request: SignalRequest) -> Drawing:
    """The drawing that is asked for, or that of the folder which it is to be like.

    Raises:
        ConfigError: both are asked for, and differ.
        DatasetError: that folder was not made by `retrain signals`.
    """
    if request.like is None:
        return request.drawing
    other = _read(request.like / FILE)
    if other is None:
        raise DatasetError(
            f"{setting('like')} takes a folder that `retrain signals` made; {str(request.like)!r} "
            f"has no {FILE}: check the path"
        )
    return request.drawing.taking_over(other)


def check_same_drawing(output: Path, drawing: Drawing) -> None:
    """Refuse to mix images that were drawn differently, or to draw into somebody's folder.

    Raises:
        DatasetError: the folder holds other images or files.
    """
    if output.exists() and not output.is_dir():
        raise DatasetError(f"{str(output)!r} is a file: choose a folder for the images")
    before = _read(output / FILE)
    if before is None:
        if output.is_dir() and any(path.name[0] != "." for path in output.iterdir()):
            raise DatasetError(
                f"images go into a folder of their own; {str(output)!r} holds other files: "
                "choose another one"
            )
    elif before != drawing:
        raise DatasetError(
            f"images of one folder are drawn alike; those of {str(output)!r} were drawn with "
            f"{_shown(before)}, not {_shown(drawing)}: choose another folder, or the same settings"
        )


def keep_drawing(output: Path, drawing: Drawing) -> None:
    """Make the folder and note how its images are drawn.

    Raises:
        WorkspaceError: it cannot be written.
    """
    with writing_to(output):
        make_folder(output)
    write_atomically(output / FILE, json.dumps(drawing.to_dict(), indent=2) + "\n")


def _read(path: Path) -> Drawing | None:
    """Raises: DatasetError: it is there and holds something else."""
    try:
        return Drawing.from_dict(parse_json(read_file(path)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{str(path)!r} does not say how images were drawn ({error}): draw them anew into "
            "another folder"
        ) from error


def _shown(drawing: Drawing) -> str:
    values = drawing.to_dict()
    values["channels"] = ",".join(drawing.channels) or "all"
    return ", ".join(f"{name} {value}" for name, value in values.items())
