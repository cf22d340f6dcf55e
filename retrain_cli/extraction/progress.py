"""What an extraction has done so far."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from retrain_cli.errors import ImageError, setting

if TYPE_CHECKING:
    from retrain_cli.extraction.batcher import Batch
    from retrain_cli.images.examine import Examined


@dataclass
class ExtractionCounts:
    """What was done so far; updated in place and handed to the progress callback.

    Attributes:
        total: files to look into.
        done: files that are done for good: what is known of them is written.
        computed: bottlenecks computed and written.
        cached: images whose bottleneck was in the cache already.
        bad: files that were skipped, as (path relative to the root, reason).
        timed: those of `computed` that came after the first forward pass, which also loads and
            compiles the backbone.
        seconds: time that `timed` took, end to end.
        stage: what is done before the first file, such as converting a network; else empty.
    """

    total: int
    done: int = 0
    computed: int = 0
    timed: int = 0
    cached: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    stage: str = ""
    _first_done_at: float | None = field(default=None, repr=False)

    @property
    def images_per_second(self) -> float | None:
        """Rate of the extraction, None before the second batch."""
        return self.timed / self.seconds if self.timed and self.seconds else None

    def take_bad(self, path: str, problem: str, strict: bool) -> None:
        """Count a file that is skipped; with `strict` that is an ImageError."""
        self.bad.append((path, problem))
        if strict:
            raise ImageError(f"{path}: {problem}; without {setting('strict')} it is skipped")

    def take_written(self, files: int, usable: int, computed: int) -> None:
        """Count a batch that is written.

        Args:
            files: its files.
            usable: the images among them, copies counted each.
            computed: those that went through the forward pass. The first pass also loads and
                compiles the backbone, so the clock starts after it.
        """
        self.done += files
        self.cached += usable - computed
        self.computed += computed
        if self._first_done_at is None:
            self._first_done_at = time.monotonic() if computed else None
        elif computed:
            self.timed += computed
            self.seconds = time.monotonic() - self._first_done_at


class Named(Protocol):
    """A photo that can be told."""

    @property
    def relative(self) -> str:
        """Its path relative to the dataset's root."""
        ...


@dataclass(frozen=True)
class Tally:
    """Counts photos on their way through an extractor, and tells of it.

    Attributes:
        counts: what is updated.
        strict: whether the first bad photo is an error.
        on_progress: is told after each photo.
    """

    counts: ExtractionCounts
    strict: bool
    on_progress: Progress

    def on_photo(self, photo: Named, seen: Examined) -> None:
        """What a photo holds is known."""
        if seen.problem is not None:
            self.counts.take_bad(photo.relative, seen.problem, self.strict)
        self.on_progress(self.counts)

    def on_written(self, batch: Batch[Any]) -> None:
        """A batch is kept."""
        self.counts.take_written(len(batch.photos), len(batch.usable), len(batch.digests))


Progress = Callable[[ExtractionCounts], None]
