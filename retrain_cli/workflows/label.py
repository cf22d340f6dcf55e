"""`retrain label`: name the classes of new images, in input order, as they come."""

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

from retrain_cli.backbones.lazy import BackboneLoader, LazyBackbone, loader_of
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.bottlenecks.batching import padded_rows, run_padded
from retrain_cli.bottlenecks.extract import usable_processors
from retrain_cli.bottlenecks.reader import Examined, examine_bytes, examine_file
from retrain_cli.bottlenecks.store import open_to_read
from retrain_cli.engine import check_device
from retrain_cli.errors import ConfigError, RunError
from retrain_cli.heads.runs import Run, RunStore
from retrain_cli.images.decode import decode_image
from retrain_cli.images.formats import HEAD_BYTES, looks_like_image_name, sniff_format
from retrain_cli.workflows.bottlenecks import cache_path
from retrain_cli.workspace import Workspace

_SECONDS_TO_FILL_A_BATCH = 0.05
"""How long a batch waits for one more image: short, so that a slow pipe is answered at once."""


@dataclass(frozen=True)
class LabelRequest:
    """How to label.

    Attributes:
        run: name of the run; None for the latest.
        top_k: labels an image.
        threshold: labels with a lower score are left out.
        batch_size: images a forward pass at most.
        workers: threads that read and decode; None: one a processor.
        device: auto, cpu, gpu or gpu:N.
    """

    run: str | None = None
    top_k: int = 5
    threshold: float = 0.0
    batch_size: int = 32
    workers: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        for flag, value in (
            ("--top-k", self.top_k),
            ("--batch-size", self.batch_size),
            ("--workers", self.workers),
        ):
            if value is not None and value < 1:
                raise ConfigError(f"{flag} must be at least 1, not {value}")
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"--threshold must be from 0 to 1, not {self.threshold:g}")
        check_device(self.device)


@dataclass(frozen=True)
class Source:
    """An image to label: a path, or its bytes under a name."""

    name: str
    data: bytes | None = None


@dataclass(frozen=True)
class Label:
    """A class and its score, the head's probability."""

    label: str
    score: float


@dataclass(frozen=True)
class LabelledImage:
    """The answer for one image.

    Attributes:
        path: as it was given.
        labels: best first; empty for a bad file, or where no score reaches the threshold.
        error: why the file could not be labelled, or None.
    """

    path: str
    labels: tuple[Label, ...]
    error: str | None = None


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


class Labeller:
    """A run that is ready to label: head, cache and, once needed, the backbone.

    Use it in a `with` block, or `close` it.
    """

    def __init__(
        self, request: LabelRequest, workspace: Workspace, load: BackboneLoader | None = None
    ) -> None:
        """Open the run.

        Raises:
            RetrainError: no such run, or its backbone is not to be had any more.
        """
        self._request = request
        self._run = RunStore(workspace.runs_dir).get(request.run)
        self._head = self._run.head
        spec = _same_backbone(self._run)
        self._backbone = LazyBackbone(spec, request.device, load or loader_of(workspace))
        self._decode = partial(decode_image, size=self._backbone.input_size, resize=spec.resize)
        path = cache_path(workspace, spec)
        self._store = open_to_read(path) if path.is_file() else None

    def close(self) -> None:
        """Close the cache; further calls fail."""
        if self._store is not None:
            self._store.close()

    def __enter__(self) -> Labeller:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def run(self) -> Run:
        """The run that labels."""
        return self._run

    def label(self, sources: Iterable[Source]) -> Iterator[LabelledImage]:
        """Label images as they come, in order; memory does not grow with their number."""
        threads = self._request.workers or usable_processors()
        for batch in _batches(sources, self._examine, threads, self._request.batch_size):
            yield from self._answer(batch)

    def _examine(self, source: Source) -> Examined:
        if source.data is not None:
            return examine_bytes(source.data, self._decode, self._is_cached)
        seen = examine_file(Path(source.name), self._decode, self._is_cached)
        if seen.digest is None and seen.problem is None:
            return Examined(problem="not an image")
        return seen

    def _is_cached(self, digest: bytes) -> bool:
        return self._store is not None and self._store.contains(digest)

    def _answer(self, batch: list[tuple[Source, Examined]]) -> Iterator[LabelledImage]:
        usable = [seen for _, seen in batch if seen.problem is None]
        answers = iter(self._labels(usable))
        for source, seen in batch:
            labels = next(answers) if seen.problem is None else ()
            yield LabelledImage(source.name, labels, seen.problem)

    def _labels(self, images: list[Examined]) -> list[tuple[Label, ...]]:
        if not images:
            return []
        indices, scores = self._head.top_k(self._bottlenecks(images), self._request.top_k)
        return [
            tuple(
                Label(self._head.labels[index], score)
                for index, score in zip(classes, probabilities, strict=True)
                if score >= self._request.threshold
            )
            for classes, probabilities in zip(indices.tolist(), scores.tolist(), strict=True)
        ]

    def _bottlenecks(self, images: list[Examined]) -> NDArray[np.float32]:
        vectors = np.empty((len(images), self._head.width), np.float32)
        new = [row for row, seen in enumerate(images) if seen.pixels is not None]
        old = [row for row, seen in enumerate(images) if seen.pixels is None]
        if new:
            pixels = [seen.pixels for seen in images if seen.pixels is not None]
            vectors[new] = run_padded(self._backbone, pixels, padded_rows(len(pixels)))
        if old and self._store is not None:
            vectors[old] = self._store.read([images[row].digest or b"" for row in old])
        return vectors


def _same_backbone(run: Run) -> BackboneSpec:
    """The backbone that the run was trained on.

    Raises:
        RunError: the weights file changed since.
    """
    spec = BackboneSpec.from_dict(run.info.backbone).resolve()
    if spec.fingerprint() != run.info.cache:
        raise RunError(
            f"run {run.name} was trained on other weights than {spec.weights} holds now: put the "
            "old file back, or run `retrain bottlenecks` and `retrain train` again"
        )
    return spec


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
