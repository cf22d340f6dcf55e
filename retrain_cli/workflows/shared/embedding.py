"""From images in any order and of any origin to bottlenecks: cached ones, else computed."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.loader import BackboneLoader, LazyBackbone, loader_of
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.cache_files import cache_path
from retrain_cli.cache.store import open_to_read
from retrain_cli.extraction.forward import padded_rows, run_padded
from retrain_cli.images.decode import decode_image
from retrain_cli.images.examine import Examined, examine_bytes, examine_file
from retrain_cli.images.formats import HEAD_BYTES, looks_like_image_name, sniff_format
from retrain_cli.images.limits.limited import give_up
from retrain_cli.images.unread import why_unread
from retrain_cli.parallel import usable_processors
from retrain_cli.workspace import Workspace

_SECONDS_TO_FILL_A_BATCH = 0.05
"""How long a batch waits for one more image: short, so that a slow pipe is answered at once."""


@dataclass(frozen=True)
class Source:
    """An image to label: a path, or its bytes under a name."""

    name: str
    data: bytes | None = None


@dataclass(frozen=True, eq=False)
class EmbeddedBatch:
    """Some images, in order.

    Attributes:
        sources: the images.
        problems: why each could not be used, or None.
        vectors: `(n_usable, width) float32`, bottlenecks of those without a problem, in order.
        digests: content digests of the same.
    """

    sources: tuple[Source, ...]
    problems: tuple[str | None, ...]
    vectors: NDArray[np.float32]
    digests: tuple[bytes, ...]


def images_below(folder: Path) -> Iterator[Path]:
    """Files of a folder and its sub-folders that are images, or named like one; sorted.

    Hidden ones are left out.
    """
    for current, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(current, name)
            if not name.startswith(".") and (looks_like_image_name(name) or _is_image(path)):
                yield path


def _is_image(path: Path) -> bool:
    try:
        if not path.is_file():  # a pipe that nobody writes to would be waited for
            return False
        with path.open("rb") as file:
            return sniff_format(file.read(HEAD_BYTES)) is not None
    except OSError:
        return False


class Embedder:
    """A backbone and its cache, ready for images; the backbone is loaded by the first new one."""

    def __init__(
        self,
        spec: BackboneSpec,
        workspace: Workspace,
        device: str,
        workers: int | None,
        load: BackboneLoader | None = None,
    ) -> None:
        self._backbone = LazyBackbone(spec, device, load or loader_of(workspace))
        self._decode = partial(decode_image, size=self._backbone.input_size, rule=spec.resize)
        self._threads = workers or usable_processors()
        path = cache_path(workspace, spec)
        self._store = open_to_read(path) if path.is_file() else None

    def close(self) -> None:
        """Close the cache; further calls fail."""
        if self._store is not None:
            self._store.close()

    def embed(self, sources: Iterable[Source], batch_size: int) -> Iterator[EmbeddedBatch]:
        """Bottlenecks of images as they come; memory does not grow with their number."""
        for batch in _batches(sources, self._examine, self._threads, batch_size):
            usable = [seen for _, seen in batch if seen.problem is None]
            yield EmbeddedBatch(
                tuple(source for source, _ in batch),
                tuple(seen.problem for _, seen in batch),
                self._bottlenecks(usable),
                tuple(seen.digest or b"" for seen in usable),
            )

    def _examine(self, source: Source) -> Examined:
        if source.data is not None:
            return examine_bytes(source.data, self._decode, self._is_cached)
        seen = examine_file(Path(source.name), self._decode, self._is_cached)
        if seen.digest is None and seen.problem is None:
            return Examined(problem=why_unread(source.name))
        return seen

    def _is_cached(self, digest: bytes) -> bool:
        return self._store is not None and self._store.contains(digest)

    def _bottlenecks(self, images: list[Examined]) -> NDArray[np.float32]:
        """`(len(images), width) float32`; `(0, 0)` for none, which says nothing of the width."""
        parts: dict[bool, NDArray[np.float32]] = {}
        is_new = np.array([seen.pixels is not None for seen in images], bool)
        if is_new.any():
            pixels = [seen.pixels for seen in images if seen.pixels is not None]
            parts[True] = run_padded(self._backbone, pixels, padded_rows(len(pixels)))
        if not is_new.all() and self._store is not None:
            parts[False] = self._store.read([s.digest or b"" for s in images if s.pixels is None])
        width = next(iter(parts.values())).shape[1] if parts else 0
        vectors = np.empty((len(images), width), np.float32)
        for new, part in parts.items():
            vectors[is_new == new] = part
        return vectors


_Task = tuple[Source, "Future[Examined]"]


def _batches(
    sources: Iterable[Source], examine: Callable[[Source], Examined], threads: int, size: int
) -> Iterator[list[tuple[Source, Examined]]]:
    """Examined sources in order, in batches that are full or all that has come so far."""
    waiting: queue.Queue[_Task | BaseException | None] = queue.Queue(2 * size)
    stopped = threading.Event()

    def feed() -> None:
        end: BaseException | None = None
        try:
            for source in sources:
                if stopped.is_set():
                    return
                waiting.put((source, pool.submit(examine, source)))
        except BaseException as error:
            end = error
        waiting.put(end)

    with ThreadPoolExecutor(threads, "reader") as pool:
        # A daemon, for it may hang in a read of standard input when the user has had enough.
        threading.Thread(target=feed, name="feeder", daemon=True).start()
        try:
            while batch := _next_batch(waiting, size):
                yield [(source, future.result()) for source, future in batch]
        finally:
            stopped.set()
            give_up()
            _drain(waiting)


def _next_batch(waiting: queue.Queue[_Task | BaseException | None], size: int) -> list[_Task]:
    """What is there, up to `size`; waits for the first only. Empty at the end."""
    batch: list[_Task] = []
    while len(batch) < size:
        try:
            item = waiting.get(timeout=_SECONDS_TO_FILL_A_BATCH if batch else None)
        except queue.Empty:
            break
        if isinstance(item, tuple):
            batch.append(item)
        elif batch or item is None:
            waiting.put(item)  # the end, for the call after this one
            break
        else:
            raise item
    return batch


def _drain(waiting: queue.Queue[_Task | BaseException | None]) -> None:
    """Let a feeder that waits for room see that it is over."""
    while True:
        try:
            item = waiting.get_nowait()
        except queue.Empty:
            return
        if isinstance(item, tuple):
            item[1].cancel()
