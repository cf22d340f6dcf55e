"""Who reads, digests and decodes the files of an extraction: threads, in the simplest case."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol

from retrain_cli.images.examine import Decoder, Examined, examine_file
from retrain_cli.images.limits.limited import give_up
from retrain_cli.parallel import bounded_map

ReaderKind = Literal["auto", "threads", "processes"]


@dataclass(frozen=True, slots=True)
class PendingFile:
    """A file to look into.

    Attributes:
        folder: relative to the dataset's root.
        name: its name in there.
        size: bytes.
        mtime_ns: time of the last change, nanoseconds.
        was_bad: it did not change since it was found to be no good.
    """

    folder: str
    name: str
    size: int
    mtime_ns: int
    was_bad: bool = False

    def path(self, root: Path) -> Path:
        """Where it lies."""
        return root / self.folder / self.name


Results = Generator[tuple[PendingFile, Examined], None, None]


class Readers(Protocol):
    """A crew of readers, at work inside `with`."""

    def __enter__(self) -> Readers:
        """Hire them."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Send them home, whatever they are at."""
        ...

    def results(self, pending: Sequence[PendingFile], ahead: int) -> Results:
        """What each file holds, in order; about `ahead` files are read ahead of the caller."""
        ...


class ThreadReaders:
    """Threads of this process: there at once, but Python lets only one of them in at a time.

    They decode side by side, for Pillow and its like let go of Python while they work. With small
    photos the way in and out of Python takes longer than the decoding.
    """

    def __init__(
        self, root: Path, decode: Decoder, is_cached: Callable[[bytes], bool], count: int
    ) -> None:
        self._root, self._decode, self._is_cached = root, decode, is_cached
        self._count = count
        self._pool = ThreadPoolExecutor(count, "reader")

    def __enter__(self) -> ThreadReaders:
        return self

    def __exit__(self, *_: object) -> None:
        give_up()
        self._pool.shutdown(cancel_futures=True)

    def results(self, pending: Sequence[PendingFile], ahead: int) -> Results:
        """What each file holds, in order."""
        return bounded_map(self._pool, self._examine, pending, ahead + self._count)

    def _examine(self, file: PendingFile) -> Examined:
        return examine_file(file.path(self._root), self._decode, self._is_cached)
