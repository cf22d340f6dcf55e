"""The one way from a photo to a vector: read and decode side by side, forward pass, keep or answer.

    photos -> readers        -> batch -> backbone -> writer         (one thread, in the order
              (threads or                (threads,    (where they    of the photos,
               processes:                 in turn)     are cached)   a transaction a batch)
               read, digest,                        -> answer       (in the order of the photos)
               decode)

Memory is bounded by the look-ahead, whatever the number of photos. Every batch that was written
stays, whatever happens after it.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from functools import partial
from typing import Protocol, TypeVar

from retrain_cli.backbones.loader import LazyBackbone
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.checks import check_choices, check_least, check_positive
from retrain_cli.engine import check_device
from retrain_cli.extraction.batcher import Batch, Batcher
from retrain_cli.extraction.forward import Forward
from retrain_cli.extraction.heap import keep_freed_memory
from retrain_cli.extraction.process_readers import ProcessReaders
from retrain_cli.extraction.readers import ReaderKind, Readers, ThreadReaders
from retrain_cli.extraction.reading import (
    MANY_PHOTOS,
    Locate,
    Ready,
    read_arriving,
    read_ready,
)
from retrain_cli.extraction.writing import Sink, Writer
from retrain_cli.images.decode import decode_image
from retrain_cli.images.examine import Examined
from retrain_cli.images.limits.limited import PHOTO_TIMEOUT
from retrain_cli.parallel import usable_processors

_SMALL_SIDE, _FEW_THREADS = 160, 4
"""Pixels up to which threads wait for Python's lock more than they decode; and how many of them can
share it with larger photos, whose way through a pipe costs processes a sixth of their time."""

PhotoT = TypeVar("PhotoT")


@dataclass(frozen=True)
class ExtractionSettings:
    """How to extract; nothing here changes a vector.

    Attributes:
        batch_size: images a forward pass.
        workers: number of readers, who read and decode; None: one a processor.
        device: auto, cpu, gpu or gpu:N.
        strict: the first bad image is an error.
        readers: threads, processes or auto: processes where the work is worth their start.
        photo_timeout: seconds of processor time for a photo that may take very long by its header;
            0 for no limit.
    """

    batch_size: int = 32
    workers: int | None = None
    device: str = "auto"
    strict: bool = False
    readers: ReaderKind = "auto"
    photo_timeout: float = PHOTO_TIMEOUT

    @classmethod
    def of(cls, request: object) -> ExtractionSettings:
        """The settings that a request has, as fields of the same names."""
        names = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in vars(request).items() if name in names})

    def __post_init__(self) -> None:
        check_least(self, 1, "batch_size", "workers")
        check_positive(self, "photo_timeout", with_0=True)
        check_choices(self)
        check_device(self.device)

    @property
    def reader_count(self) -> int:
        """Number of readers."""
        return self.workers or usable_processors()

    def takes_processes(self, photos: int, side: int) -> bool:
        """Whether so many photos, decoded to so many pixels a side, are read by processes."""
        if self.readers == "auto":
            count = self.reader_count
            contended = side <= _SMALL_SIDE or count > _FEW_THREADS
            return bool(sys.executable) and count > 1 and photos >= MANY_PHOTOS and contended
        return self.readers == "processes"


class Answering(Protocol):
    """What computes vectors and keeps none."""

    def answer(
        self, photos: Iterable[PhotoT], locate: Locate[PhotoT]
    ) -> Generator[Batch[PhotoT], None, None]:
        """As `Extractor.answer`."""
        ...


class Extractor:
    """Photos in, vectors out: whatever turns a photo into a vector goes through here.

    Args:
        forward: the forward pass.
        hire: makes readers for at least so many photos.
        batch_size: images a forward pass.
    """

    def __init__(
        self, forward: Forward, hire: Callable[[int], Readers], batch_size: int = 32
    ) -> None:
        self._forward, self._hire, self._batch_size = forward, hire, batch_size

    def fill(
        self,
        photos: Sequence[PhotoT],
        locate: Locate[PhotoT],
        sink: Sink[PhotoT],
        on_photo: Callable[[PhotoT, Examined], None],
        on_written: Callable[[Batch[PhotoT]], None] = lambda batch: None,
    ) -> None:
        """Compute and keep what is not cached.

        Args:
            photos: the photos.
            locate: where one of them is.
            sink: takes the vectors, and knows which ones it has.
            on_photo: is told what each photo holds, in order; an error of its ends the extraction.
            on_written: is told of each batch that the sink has taken, in a thread of its own.

        Raises:
            CacheError: the cache cannot be written; finished batches stay.
            ReaderError: a reader process does not start.
        """
        keep_freed_memory()
        with (
            self._hire(len(photos)) as readers,
            Writer(sink, on_written) as writer,
            Batcher(self._forward, self._batch_size, writer.write, writer.present) as batches,
            closing(read_ready(readers, photos, locate, self._ahead)) as results,
        ):
            for photo, seen in results:
                on_photo(photo, seen)
                batches.add(photo, seen)
            batches.finish()

    def answer(
        self, photos: Iterable[PhotoT], locate: Locate[PhotoT]
    ) -> Generator[Batch[PhotoT], None, None]:
        """Compute what is not cached, and keep nothing; every photo in its order.

        A list and `Ready` photos are there at once. Those of any other source may come slowly, and
        those that came are answered when no other one comes for a moment.

        Raises:
            ReaderError: a reader process does not start.
        """
        keep_freed_memory()
        ready = Ready.of(photos) if isinstance(photos, (Ready, Sequence)) else None
        read = read_ready if ready else read_arriving
        finished: deque[Batch[PhotoT]] = deque()
        with (
            self._hire(ready.at_least if ready else 0) as readers,
            Batcher(self._forward, self._batch_size, finished.append) as batches,
            closing(read(readers, photos, locate, self._ahead)) as results,
        ):
            for result in results:
                if result is None:  # nobody should wait for a photo that may never come
                    batches.finish()
                else:
                    batches.add(*result)
                while finished:
                    yield finished.popleft()
            batches.finish()
            yield from finished

    @property
    def _ahead(self) -> int:
        """Photos that are read ahead of the forward pass."""
        return 2 * self._batch_size


def extractor_for(
    spec: BackboneSpec,
    backbone: LazyBackbone,
    store: BottleneckStore | None,
    settings: ExtractionSettings,
) -> Extractor:
    """The extractor of a backbone.

    Args:
        spec: the backbone, resolved.
        backbone: what computes; it is loaded by the first batch that needs it.
        store: the cache whose images are not decoded; None for none.
        settings: how to extract.
    """
    return extractor_at(backbone, backbone.input_size, spec.resize_rule, store, settings)


def extractor_at(
    forward: Forward,
    size: tuple[int, int],
    rule: str,
    store: BottleneckStore | None,
    settings: ExtractionSettings,
) -> Extractor:
    """The extractor of anything that turns pixels into vectors.

    Args:
        forward: what computes.
        size: (height, width) of the pixels that it takes.
        rule: how a photo becomes that; see `images.resizing.ResizeRule`.
        store: the cache whose images are not decoded; None for none.
        settings: how to extract.
    """
    decode = partial(decode_image, size=size, rule=rule, timeout=settings.photo_timeout)
    count = settings.reader_count

    def hire(photos: int) -> Readers:
        if settings.takes_processes(photos, max(size)):
            return ProcessReaders(decode, store, 3 * size[0] * size[1], count)
        return ThreadReaders(decode, store, count)

    return Extractor(forward, hire, settings.batch_size)
