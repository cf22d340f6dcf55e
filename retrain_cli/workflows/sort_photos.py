"""`retrain label --sort-into`: photos into a folder for each label, as copies, links, or moved.

A photo never replaces a file. One that is there already, from an earlier time, is left alone, so
the same command can be given again; another of the same name gets a number. Each photo appears
under its name at once, as a whole: it is linked, renamed, or copied under a hidden name first.
"""

from __future__ import annotations

import errno
import filecmp
import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from retrain_cli.checks import check_choices
from retrain_cli.durable import draft_folder, make_folder, name_draft, rename_alone, sync
from retrain_cli.errors import ConfigError, setting
from retrain_cli.paths import StrPath, as_path
from retrain_cli.storage.urls import UrlPath, as_place
from retrain_cli.workspace import writing_to

UNNAMED: Final = "none-of-these"
"""The folder of photos that got no label."""

Link = Literal["hard", "symbolic"]

_LONGEST = 200
"""Bytes of a folder's name; a file system has room for 255, and a number may follow."""
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EXDEV)


@dataclass(frozen=True)
class SortRequest:
    """Where labelled photos go.

    Attributes:
        sort_into: the folder that gets a folder for each label; None to leave photos alone.
        link: make links of this kind in place of copies.
        move: move the photos themselves.
    """

    sort_into: StrPath | None = None
    link: Link | None = None
    move: bool = False

    def __post_init__(self) -> None:
        check_choices(self)
        if self.sort_into is None and (self.link or self.move):
            given = setting("link") if self.link else setting("move", True)
            raise ConfigError(
                f"{given} goes with {setting('sort_into')}: add that, or leave it out"
            )
        if self.link and self.move:
            raise ConfigError(
                f"a photo is linked or moved, not both: choose one of {setting('link')} and "
                f"{setting('move', True)}"
            )


class PhotoSorter:
    """Puts photos into the folders of their labels; use it in a `with` block.

    Args:
        request: where and how; it names a folder.
        labels: every label there is.
        merge: whether a photo that moves is let go where one of the same bytes has its place;
            else both are kept.
    """

    def __init__(self, request: SortRequest, labels: Iterable[str], *, merge: bool = False) -> None:
        assert request.sort_into is not None
        self._merge = merge
        self._root = as_path(request.sort_into)
        self._request = request
        self._folders = folder_names(labels)
        self._drafts: dict[Path, Path] = {}
        self._moved: dict[Path, Path] = {}
        self._stack = ExitStack()

    def __enter__(self) -> PhotoSorter:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def place(
        self,
        photo: StrPath,
        label: str | None,
        claim: Callable[[Path], bool] = lambda target: True,
    ) -> Path:
        """Put a photo where it belongs; returns where it is.

        Args:
            photo: the file.
            label: its label; None for none of the classes.
            claim: is told of each place right before the photo gets it, or is found to have it
                already, and may say that it is to have the next one.

        Raises:
            ConfigError: a hard link cannot lead to another file system; a photo in a bucket.
            WorkspaceError: the folder, or for `move` that of the photo, cannot be written.
        """
        if isinstance(place := as_place(photo), UrlPath):
            raise ConfigError(
                f"{setting('sort_into')} puts files of this machine into folders, and {place} is "
                "none: leave it out"
            )
        photo = as_path(photo)
        if (known := self._moved.get(photo.absolute())) is not None and not photo.exists():
            return known  # it was named twice
        folder = self._root / (UNNAMED if label is None else self._folders[label])
        with writing_to(folder):
            make_folder(folder)
            for target in _candidates(folder, photo.name):
                if os.path.lexists(target):
                    if self._is_there(photo, target) and claim(target):
                        self._let_go(photo, target)
                        return target
                    continue
                if not claim(target):
                    continue
                with suppress(FileExistsError):  # another process was faster: the next name
                    self._put(photo, target)
                    return target
        raise AssertionError("names with numbers have no end")

    def _is_there(self, photo: Path, target: Path) -> bool:
        """Whether a file is this photo: the same one, or one that holds the same."""
        if self._request.move and _same_name(photo, target):
            return True
        links = (photo.is_symlink(), target.is_symlink())
        if self._request.move and any(links) and not (self._merge and all(links)):
            return False
        with suppress(OSError):
            return photo.samefile(target) or (
                (self._merge or not self._request.move)
                and filecmp.cmp(photo, target, shallow=False)
            )
        return False

    def _let_go(self, photo: Path, target: Path) -> None:
        """Take the old name of a photo that moves and has its new one already."""
        if self._request.move and not _same_name(photo, target):
            sync(target)
            sync(target.parent)
            photo.unlink()

    def _put(self, photo: Path, target: Path) -> None:
        match self._request.link:
            case "hard":
                _link(photo, target)
            case "symbolic":
                target.symlink_to(photo.absolute())
            case _ if self._request.move:
                self._move(photo, target)
                self._moved[photo.absolute()] = target
            case _:
                _give_name(self._copy(photo, target.parent), target)

    def _copy(self, photo: Path, folder: Path) -> Path:
        """A whole copy under the name of a draft."""
        if folder not in self._drafts:
            self._drafts[folder] = self._stack.enter_context(draft_folder(folder))
        draft = self._drafts[folder] / "photo"
        shutil.copy2(photo, draft)
        return draft

    def _move(self, photo: Path, target: Path) -> None:
        """Give a photo its new name, then take the old one; to another disk goes a copy first."""
        if photo.is_symlink():
            target.symlink_to(photo.resolve())  # from here a relative one would lead elsewhere
        elif photo.stat().st_dev != target.parent.stat().st_dev:
            draft = self._copy(photo, target.parent)
            sync(draft)
            _give_name(draft, target)
        else:
            try:
                os.link(photo, target)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                rename_alone(photo, target)
                return
        sync(target.parent)
        photo.unlink()


def _same_name(one: Path, other: Path) -> bool:
    """Whether two paths lead to one name."""
    return one.name == other.name and one.parent.samefile(other.parent)


def _link(photo: Path, target: Path) -> None:
    try:
        os.link(photo.resolve(), target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        raise ConfigError(
            f"a hard link needs one file system that knows them, and {photo} cannot have one in "
            f"{target.parent}: choose {setting('link', 'symbolic')}, or copies"
        ) from error


def _candidates(folder: Path, name: str) -> Iterator[Path]:
    """`a.jpg`, `a-2.jpg`, `a-3.jpg` and so on."""
    path = Path(name)
    yield folder / name
    number = 2
    while True:
        yield folder / f"{path.stem}-{number}{path.suffix}"
        number += 1


def _give_name(draft: Path, target: Path) -> None:
    """Give a draft its name alone, for the next draft is written to the same place."""
    name_draft(draft, target)
    draft.unlink(missing_ok=True)


def folder_names(labels: Iterable[str]) -> Mapping[str, str]:
    """A folder's name for each label: the label itself wherever every file system can have it.

    No two are equal, neither in another case nor in another Unicode form, and none is that of the
    photos without a label.
    """
    taken = {_key(UNNAMED)}
    names: dict[str, str] = {}
    for label in sorted(labels, key=lambda label: (label != _plain(label), label)):
        plain = _plain(label)
        numbers = (plain, *(f"{plain}-{number}" for number in range(2, len(taken) + 3)))
        names[label] = next(name for name in numbers if _key(name) not in taken)
        taken.add(_key(names[label]))
    return names


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _plain(label: str) -> str:
    """A label as the name of a folder that is not hidden, and that Windows can have, too."""
    name = _FORBIDDEN.sub("_", label).strip().rstrip(". ")
    if not name or name.startswith(".") or _DEVICES.fullmatch(name):
        name = f"_{name}"
    return name.encode()[:_LONGEST].decode(errors="ignore").rstrip(". ")
