"""What `retrain watch` is asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from retrain_cli.checks import check_choices, check_positive
from retrain_cli.errors import ConfigError, setting
from retrain_cli.paths import StrPath, as_path

Tags = Literal["xmp", "sidecar", "csv", "json"]

TABLES = {"csv": "labels.csv", "json": "labels.jsonl"}
"""What the file of `tags` is called that has a row for each photo."""


@dataclass(frozen=True)
class WatchRequest:
    """Which folder is watched, and what becomes of its photos.

    Attributes:
        inbox: the folder in which photos arrive, at any depth.
        sort_into: the album: photos move into the folder of their label there; None to leave them
            where they are.
        tags: where the labels are written: into each photo as XMP keywords, into an XMP file
            beside it, or as rows of a table in the album, or else in the inbox; None for nowhere.
        interval: seconds between two looks at the inbox; a photo is taken when two of them have
            found it the same.
        once: end when what is there now has been labelled.
    """

    inbox: StrPath
    sort_into: StrPath | None = None
    tags: Tags | None = None
    interval: float = 2.0
    once: bool = False

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "interval")
        if self.sort_into is None and self.tags is None:
            raise ConfigError(
                f"a photo that arrives is moved, tagged, or both: say {setting('sort_into')} "
                f"ALBUM, or {setting('tags')}"
            )
        if self.sort_into is not None and _is_same(self.folder, self.home):
            raise ConfigError(
                f"{setting('sort_into')} takes another folder than the inbox, and {self.home} is "
                "the inbox: choose one beside it or in it"
            )

    @property
    def folder(self) -> Path:
        """The inbox."""
        return as_path(self.inbox)

    @property
    def home(self) -> Path:
        """Where photos are in the end: the album, else the inbox."""
        return as_path(self.inbox if self.sort_into is None else self.sort_into)

    @property
    def table(self) -> Path | None:
        """The file with a row for each photo; None where none is asked for."""
        name = TABLES.get(self.tags or "")
        return self.home / name if name else None


def _is_same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
