"""Labels as XMP keywords: in the photo itself, or in a file `photo.jpg.xmp` beside it.

A photo is rewritten under a hidden name and takes its own place at once, with its metadata and its
time; of its image data nothing changes, or else the file beside it is written. That is so as well
for formats which cannot carry XMP, for photos that have such a file, and for links.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from retrain_cli.errors import ImageError, MissingExtraError
from retrain_cli.workflows.label import LabelledImage
from retrain_cli.workspace import replacing

_PROGRAM = (
    "import sys; sys.path[:] = {path!r}; "
    "from retrain_cli.workflows.watching.xmp_writing import main; main()"
)
_PATIENCE = 60.0
"""Seconds for a photo."""


def sidecar_of(photo: Path) -> Path:
    """The XMP file beside a photo, as darktable and digiKam call it."""
    return photo.with_name(f"{photo.name}.xmp")


class PhotoChangedError(Exception):
    """A photo is not what was labelled any more."""


class XmpTagger:
    """Writes labels as XMP; use it in a `with` block.

    Args:
        model: who labels.
        beside: whether to leave all photos alone, and write beside them.

    Raises:
        MissingExtraError: Exiv2 is not installed.
    """

    def __init__(self, model: str, *, beside: bool = False) -> None:
        check_installed()
        self._model, self._beside = model, beside
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> XmpTagger:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def knows(self, photo: Path) -> bool:
        """Whether a photo has its keywords from the same model already."""
        beside = sidecar_of(photo)
        with suppress(ImageError, OSError):
            found = self._ask(beside if beside.exists() else photo, None, None)
            return bool(found == self._model)
        return False

    def tag(self, image: LabelledImage, is_as_labelled: Callable[[Path], bool]) -> Path | None:
        """Write the labels of a photo; returns the file beside it where they are there.

        Args:
            image: the answer for the photo.
            is_as_labelled: whether a photo has not changed since; asked before it is replaced.

        Raises:
            PhotoChangedError: it has; nothing is written then.
            ImageError: the file beside it is no XMP, or damaged.
            WorkspaceError: the folder cannot be written.
        """
        photo = Path(image.path)
        beside = sidecar_of(photo)
        if not self._beside and not beside.exists() and not photo.is_symlink():
            with suppress(ImageError):
                if self._ask(photo, None, image):
                    self._embed(photo, image, is_as_labelled)
                return None
        there = beside if beside.exists() else None
        if there is None or self._ask(there, None, image):
            with replacing(beside) as draft:
                self._ask(there, draft, image)
        return beside

    def _embed(
        self, photo: Path, image: LabelledImage, is_as_labelled: Callable[[Path], bool]
    ) -> None:
        with replacing(photo) as draft:
            self._ask(photo, draft, image)
            shutil.copystat(photo, draft)
            _copy_owner(photo, draft)
            if not is_as_labelled(photo):
                raise PhotoChangedError

    def _ask(self, source: Path | None, target: Path | None, image: LabelledImage | None) -> Any:
        """See `xmp_writing`; what crashes or takes too long is an ImageError, too."""
        question = {
            "source": None if source is None else str(source),
            "target": None if target is None else str(target),
            "scores": image and [(label.label, label.score) for label in image.labels],
            "model": self._model,
        }
        pipes: Any = self._running()
        clock = threading.Timer(_PATIENCE, pipes.kill)
        clock.daemon = True
        clock.start()
        try:
            pipes.stdin.write(json.dumps(question) + "\n")
            pipes.stdin.flush()
            answer = json.loads(pipes.stdout.readline())
        except (OSError, ValueError) as error:
            self._end()
            raise ImageError("its metadata cannot be read: Exiv2 crashed, or took long") from error
        finally:
            clock.cancel()
        if "os_error" in answer:
            raise OSError(*answer["os_error"])
        if "error" in answer:
            raise ImageError(f"its XMP cannot be written: {' '.join(answer['error'].split())}")
        return answer["answer"]

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM.format(path=sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()  # it writes under hidden names alone
            process.communicate()


def check_installed() -> None:
    """Refuse to begin where Exiv2 is not there.

    Raises:
        MissingExtraError: it is not.
    """
    from importlib.util import find_spec

    if find_spec("exiv2") is None:
        raise MissingExtraError("XMP keywords (`retrain watch --tags xmp`)", "xmp")


def _copy_owner(photo: Path, draft: Path) -> None:
    """As far as the system lets us: for a watch that runs as root."""
    status = photo.stat()
    with suppress(OSError, AttributeError):
        os.chown(draft, status.st_uid, status.st_gid)
