"""Corrected photos on their way to the next training: a folder for each class."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from retrain_cli.durable import draft_folder, make_folder, name_draft, sync
from retrain_cli.images.decode import check_image
from retrain_cli.images.examine import content_digest
from retrain_cli.workflows.sort_photos import UNNAMED, folder_names
from retrain_cli.workspace import writing_to

_SUFFIXES = {"jpeg": "jpg", "tiff": "tif"}


class Inbox:
    """Takes photos under the class that somebody says they are of.

    A photo is called by its digest, so that no name of a sender's is ever a path, and the same one
    is kept once; under another class it moves there.

    Args:
        root: the folder of the folders.
        labels: every class.
    """

    def __init__(self, root: Path, labels: Iterable[str]) -> None:
        self._root = root
        self._folders: dict[str | None, str] = {None: UNNAMED}
        self._folders.update(folder_names(labels).items())

    def knows(self, label: str | None) -> bool:
        """Whether there is such a class; None is none of them."""
        return label in self._folders

    def keep(self, data: bytes, label: str | None) -> Path:
        """Keep a photo; returns where it is, on the disk and whole.

        Args:
            data: the bytes of its file, as they were sent.
            label: its class; None for none of them.

        Raises:
            ImageError: it is no image.
            WorkspaceError: the folder cannot be written.
        """
        kind = check_image(data)
        name = f"{content_digest(data).hex()}.{_SUFFIXES.get(kind, kind)}"
        folder = self._root / self._folders[label]
        target = folder / name
        with writing_to(folder):
            make_folder(folder)
            if not target.exists():
                with draft_folder(folder) as drafts:
                    draft = drafts / "photo"
                    draft.write_bytes(data)
                    sync(draft)
                    name_draft(draft, target)
                sync(folder)
            for other in set(self._folders.values()) - {folder.name}:
                (self._root / other / name).unlink(missing_ok=True)
        return target
