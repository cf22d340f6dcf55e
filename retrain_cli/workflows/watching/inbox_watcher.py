"""`retrain watch`: photos that arrive in a folder are labelled, and then moved, tagged, or both.

What is done with a photo is done in an order in which it can be done again: its keywords are
written where it arrived, its row and its new name follow, and its old name goes last. Whatever
stops that, the photo is found in the inbox the next time, gets the same keywords and the same name,
and nothing twice.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from retrain_cli import interrupts
from retrain_cli.durable import make_folder
from retrain_cli.errors import DatasetError, RetrainError
from retrain_cli.extraction.reading import Ready
from retrain_cli.workflows.label import LabelledImage
from retrain_cli.workflows.portable.file_labeller import AnyLabeller
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workflows.sort_photos import PhotoSorter, SortRequest
from retrain_cli.workflows.watching.arrivals import Arrivals, state_of
from retrain_cli.workflows.watching.label_table import LabelTable
from retrain_cli.workflows.watching.one_watch import alone_in
from retrain_cli.workflows.watching.watch_request import WatchRequest
from retrain_cli.workflows.watching.xmp_tagger import PhotoChangedError, XmpTagger, sidecar_of
from retrain_cli.workspace import replacing, writing_to

RETRY_S = 60.0
"""Seconds after which a photo is tried again that could not be moved or tagged."""

_FAULTS_IN_A_ROW = 3
"""After so many the fault is the album's, and the other photos wait, too."""

_RESTS_PER_LOOK = 9
"""A look that takes long, at very many photos that stay, is followed by a rest of so many times."""


@dataclass(frozen=True)
class WatchedPhoto:
    """What became of a photo.

    Attributes:
        image: the answer; with an `error` the photo is left alone until it changes.
        place: where in the album it is now; None where it stays in the inbox.
    """

    image: LabelledImage
    place: Path | None


class InboxWatcher:
    """Watches an inbox; use it in a `with` block.

    Args:
        request: what to do.
        labeller: what labels.
        top_k: labels a photo, as its request says.
        ignored: folders in the inbox whose photos are none of it, such as the workspace.
        tell: is told what goes wrong with a photo or a folder, and goes on.

    Attributes:
        faults: how many times a photo could not be moved or tagged.
        growing: how many files the last look found new or changed.
    """

    def __init__(
        self,
        request: WatchRequest,
        labeller: AnyLabeller,
        top_k: int,
        ignored: Collection[Path] = (),
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._request, self._labeller, self._tell = request, labeller, tell
        self._sorts = request.sort_into is not None
        album = [request.home] if self._sorts else []
        self._arrivals = Arrivals(request.folder, [*ignored, *album])
        self._table = LabelTable(request, top_k, labeller.title) if request.table else None
        self._tagger: XmpTagger | None = None
        if request.tags in ("xmp", "sidecar"):
            self._tagger = XmpTagger(labeller.title, beside=request.tags == "sidecar")
        self._done: dict[Path, tuple[int, int]] = {}
        self._told: dict[Path, str] = {}
        self._is_gone = False
        self._stack = ExitStack()
        self.faults = 0

    @property
    def growing(self) -> int:
        """How many files the last look found new or changed."""
        return self._arrivals.growing

    def __enter__(self) -> InboxWatcher:
        """Take the folders.

        Raises:
            DatasetError: there is no such inbox.
            ConfigError: the table has other columns.
            WorkspaceError: another watch is at work there, or a folder cannot be written.
        """
        self._check_inbox()
        with ExitStack() as stack:
            stack.enter_context(alone_in(self._request.folder, self._tell))
            with writing_to(self._request.home):
                make_folder(self._request.home)
            if self._tagger is not None:
                stack.enter_context(self._tagger)
            if self._table is not None:
                if self._sorts:
                    stack.enter_context(alone_in(self._request.home, self._tell))
                self._table.mend()
                self._done = {} if self._sorts else self._table.states()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _check_inbox(self) -> None:
        if not self._request.folder.is_dir():
            raise DatasetError(
                f"a watch needs a folder in which photos arrive; {self._request.folder} is none: "
                "make it, or check the path"
            )

    def photos(self) -> Iterator[WatchedPhoto]:
        """What becomes of each photo, as they arrive; without end, unless `once` was asked for.

        A request to end the process waits until the caller has taken the answer for a photo that is
        moved or tagged.

        Raises:
            DatasetError: the inbox is gone, where `once` was asked for; else it is waited for.
        """
        with interrupts.held():
            yield from self._photos()

    def _photos(self) -> Iterator[WatchedPhoto]:
        looks = 0
        while True:
            begun = time.monotonic()
            arrived = self._look()
            rest = max(self._request.interval, _RESTS_PER_LOOK * (time.monotonic() - begun))
            yield from self._handle([path for path in arrived if self._is_new(path)])
            looks += 1
            if self._request.once and (looks == 2 or not self.growing):
                return
            with interrupts.heeded():
                time.sleep(rest)

    def _look(self) -> list[Path]:
        folder = self._request.folder
        if not folder.is_dir():
            if self._request.once:
                self._check_inbox()
            if not self._is_gone:
                self._tell(f"{folder} is not there any more; photos are taken when it is back")
            self._is_gone = True
            return []
        self._is_gone = False
        arrived = self._arrivals.look()
        self._told = {path: why for path, why in self._told.items() if self._arrivals.seen(path)}
        return arrived

    def _is_new(self, path: Path) -> bool:
        """Whether a photo has to be labelled: one that stays may have been, by an earlier watch."""
        if self._sorts:
            return True
        if self._tagger is not None:
            is_done = self._tagger.knows(path)
        else:
            known, seen = self._done.pop(path, None), self._arrivals.seen(path)
            is_done = seen is not None and known == seen[:2]
        if is_done:
            self._arrivals.leave(path)
        return not is_done

    def _handle(self, photos: list[Path]) -> Iterator[WatchedPhoto]:
        """Label photos, and put each where it belongs."""
        if not photos:
            return
        in_a_row, left = 0, iter(photos)
        with self._sorter() as sorter:
            sources = [Source(str(path)) for path in photos]
            answers = iter(self._labeller.label(Ready(sources, len(sources))))
            for _ in left:
                with interrupts.heeded():
                    image = next(answers)
                faults = self.faults
                if (watched := self._finish(image, sorter)) is not None:
                    yield watched
                in_a_row = in_a_row + 1 if self.faults > faults else 0
                if in_a_row == _FAULTS_IN_A_ROW:
                    break
        for path in left:
            self._arrivals.leave(path, RETRY_S)

    def _sorter(self) -> PhotoSorter | nullcontext[None]:
        """One for each time that photos have arrived, for it remembers what it moved."""
        if not self._sorts:
            return nullcontext()
        sorting = SortRequest(self._request.sort_into, move=True)
        return PhotoSorter(sorting, self._labeller.labels, merge=True)

    def _finish(self, image: LabelledImage, sorter: PhotoSorter | None) -> WatchedPhoto | None:
        """Do what is to be done with a photo; None where it is gone, has changed, or cannot be."""
        path = Path(image.path)
        if not self._arrivals.is_as_seen(path):
            return None
        if image.error:
            self._arrivals.leave(path)
            return WatchedPhoto(image, None)
        try:
            place = self._put(path, image, sorter)
        except PhotoChangedError:
            return None
        except (RetrainError, OSError) as error:
            self._give_up(path, error)
            return None
        self._told.pop(path, None)
        return WatchedPhoto(image, place)

    def _give_up(self, path: Path, error: Exception) -> None:
        """Leave a photo for now, and say why, once."""
        if self._table is not None:
            with suppress(OSError):  # else the next watch will
                self._table.take_back()
        if state_of(path) is None:
            return  # somebody took it away meanwhile
        self.faults += 1
        self._arrivals.leave(path, RETRY_S)
        if self._told.get(path) != str(error):
            self._told[path] = str(error)
            self._tell(f"{path} stays where it is for now: {error}")

    def _put(self, path: Path, image: LabelledImage, sorter: PhotoSorter | None) -> Path | None:
        """Tag a photo, and move it; returns where it is, or None where it stays."""
        beside = None
        if self._tagger is not None:
            beside = self._tagger.tag(image, self._arrivals.is_as_seen)
        state = state_of(path)
        if state is None:
            raise PhotoChangedError
        if sorter is None:
            if self._table is not None:
                with writing_to(self._table.path):
                    self._table.write(image, state)
                self._table.keep()
            self._arrivals.leave(path)
            return None

        def claim(target: Path) -> bool:
            if beside is not None and not _copy_beside(beside, sidecar_of(target)):
                return False
            if self._table is not None:
                self._table.write(image, state, target)
            return True

        place = sorter.place(path, image.labels[0].label if image.labels else None, claim)
        if self._table is not None:
            self._table.keep()
        if os.path.lexists(path):  # the inbox is itself that folder of the album
            self._arrivals.leave(path)
        elif beside is not None:
            beside.unlink(missing_ok=True)
        return place


def _copy_beside(beside: Path, target: Path) -> bool:
    """Give the file beside a photo a second name; False where another file has it."""
    if os.path.lexists(target):
        return target.is_file() and filecmp.cmp(beside, target, shallow=False)
    with replacing(target) as draft:
        shutil.copy2(beside, draft)
    return True
