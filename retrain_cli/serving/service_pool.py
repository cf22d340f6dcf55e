"""Photos of many people at once: a bounded number of them is decoded and computed side by side.

    request -> places -> decoders (threads) -> waiting -> forward (threads) -> answer
               (429)     one a processor       pixels     as many as pay

Heatmaps are drawn by one thread beside them.

A forward pass takes the photos that wait, up to its size. On a processor it never waits for more of
them, for a larger batch gains next to nothing there; on a GPU it waits a moment.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import ImageError
from retrain_cli.extraction.batcher import MOST_AT_ONCE
from retrain_cli.images.decode import Pixels
from retrain_cli.images.limits.limited import Work, give_up
from retrain_cli.parallel import usable_processors
from retrain_cli.serving.photo_heatmaps import PhotoHeatmaps
from retrain_cli.serving.serve_request import ServeRequest
from retrain_cli.serving.served_model import ServedModel

_PHOTOS_A_PROCESSOR = 2
"""Photos of one forward pass there, at most: two passes go on at a time, and each is cut into parts
of a few photos that run side by side; see `openvino_model._MOST_IMAGES`."""


class NoPlaceError(Exception):
    """So many photos wait that no other one is taken."""


@dataclass(frozen=True, eq=False)
class PhotoAnswer:
    """What a photo came to.

    Attributes:
        error: why it could not be labelled, or None.
        scores: `(n_classes,) float32`; None for a bad photo.
        vector: `(width,) float32`, what the network made of it; None likewise.
        rejected: why it is left unnamed, or None.
        novelty: how unlike the training photos it is; None where nobody asked.
    """

    error: str | None = None
    scores: NDArray[np.float32] | None = None
    vector: NDArray[np.float32] | None = None
    rejected: str | None = None
    novelty: float | None = None


@dataclass(eq=False)
class _Job:
    """A photo on its way.

    Attributes:
        data: the bytes of its file, until they are decoded.
        model: answers it, also where another one takes over meanwhile.
        loop: of the request that waits.
        future: what that waits for.
        pixels: once it is decoded.
        is_wanted: whether anybody waits still.
    """

    data: bytes
    model: ServedModel
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[PhotoAnswer]
    pixels: Pixels | None = None
    is_wanted: bool = True
    answer: PhotoAnswer = field(default_factory=PhotoAnswer)


class ServicePool:
    """Decodes and computes; every method but `close` is called by the event loop.

    Args:
        request: how many at a time, and the limits of a photo.
        model: the first model, which says how many forward passes pay at a time.

    Attributes:
        taken: photos that have a place.
    """

    def __init__(self, request: ServeRequest, model: ServedModel) -> None:
        self.taken = 0
        self._request = request
        self._work = Work()
        count = request.workers or usable_processors()
        self._decoders = ThreadPoolExecutor(count, "decoder", self._work.join)
        self._drawing = ThreadPoolExecutor(1, "heatmap")
        self._waiting: deque[_Job] = deque()
        self._arrived = threading.Condition()
        self._is_closed = False
        at_once = min(MOST_AT_ONCE, model.classifier.forward.batches_at_once)
        self._threads = [
            threading.Thread(target=self._compute, name=f"forward-{number}", daemon=True)
            for number in range(max(1, at_once))
        ]
        for thread in self._threads:
            thread.start()

    async def label(self, photos: list[bytes], model: ServedModel) -> list[PhotoAnswer]:
        """What each photo comes to, in order.

        Raises:
            NoPlaceError: too many others wait.
        """
        if self.taken + len(photos) > self._request.queue:
            raise NoPlaceError
        loop = asyncio.get_running_loop()
        jobs = [_Job(data, model, loop, loop.create_future()) for data in photos]
        self.taken += len(jobs)
        for job in jobs:
            self._decoders.submit(self._decode, job)
        try:
            return [await job.future for job in jobs]
        finally:
            for job in jobs:
                job.is_wanted = False

    async def heatmap(self, heatmaps: PhotoHeatmaps, data: bytes, label: str) -> dict[str, Any]:
        """See `PhotoHeatmaps.of_photo`; it has a place as a photo has.

        Raises:
            NoPlaceError: too many others wait.
        """
        if self.taken >= self._request.queue:
            raise NoPlaceError
        loop = asyncio.get_running_loop()
        self.taken += 1
        try:
            return await loop.run_in_executor(self._drawing, heatmaps.of_photo, data, label)
        finally:
            self.taken -= 1

    def close(self) -> None:
        """End the threads; photos that are in them are finished, others are not."""
        give_up(self._work)
        with self._arrived:
            self._is_closed = True
            self._arrived.notify_all()
        for pool in (self._decoders, self._drawing):
            pool.shutdown(cancel_futures=True)
        for thread in self._threads:
            thread.join()

    # -- in threads ------------------------------------------------------------------------------

    def _decode(self, job: _Job) -> None:
        if not job.is_wanted:
            return self._deliver([job])
        try:
            limits = self._request
            decode = job.model.classifier.decode
            job.pixels = decode(job.data, limits.photo_timeout, limits.max_pixels)
        except ImageError as error:
            job.answer = PhotoAnswer(str(error))
        except Exception as error:  # a fault of a decoder's must not leave a request waiting
            job.answer = PhotoAnswer(f"it cannot be decoded ({type(error).__name__})")
        job.data = b""
        if job.pixels is None:
            return self._deliver([job])
        with self._arrived:
            self._waiting.append(job)
            self._arrived.notify()
        return None

    def _compute(self) -> None:
        """What each of the forward threads does all day."""
        while jobs := self._next():
            try:
                _answer(jobs)
            except Exception as error:
                for job in jobs:
                    job.answer = PhotoAnswer(f"it cannot be computed ({type(error).__name__})")
            self._deliver(jobs)

    def _next(self) -> list[_Job]:
        """Photos for one forward pass, of one model; none when it is over."""
        with self._arrived:
            while not self._waiting and not self._is_closed:
                self._arrived.wait()
            if not self._waiting:
                return []
            classifier = self._waiting[0].model.classifier
            most = self._request.batch_size
            if classifier.device.startswith("cpu"):
                most = min(most, _PHOTOS_A_PROCESSOR * usable_processors())
            else:
                self._wait_for(most)
            jobs: list[_Job] = []
            while (
                self._waiting
                and len(jobs) < most
                and self._waiting[0].model.classifier is classifier
            ):
                jobs.append(self._waiting.popleft())
            return jobs

    def _wait_for(self, most: int) -> None:
        """Let a batch fill for a moment; called with the lock."""
        until = time.monotonic() + self._request.batch_wait / 1000
        while len(self._waiting) < most and (left := until - time.monotonic()) > 0:
            if not self._arrived.wait(left):
                return

    def _deliver(self, jobs: list[_Job]) -> None:
        """Hand answers to the requests that wait; one call for all of them."""
        with suppress(RuntimeError):  # the loop has ended, and with it everybody who waited
            jobs[0].loop.call_soon_threadsafe(self._set, jobs)

    def _set(self, jobs: list[_Job]) -> None:
        """In the event loop; only now a place is free, also where nobody waits any more."""
        self.taken -= len(jobs)
        for job in jobs:
            if not job.future.done():
                job.future.set_result(job.answer)


def _answer(jobs: list[_Job]) -> None:
    """One forward pass."""
    classifier = jobs[0].model.classifier
    vectors = classifier.vectors([job.pixels for job in jobs if job.pixels is not None])
    scores = classifier.scores(vectors)
    judged = None
    if classifier.judge is not None:
        judged = classifier.judge(vectors, scores.max(axis=1))
    for row, job in enumerate(jobs):
        novelty, rejected = judged[row] if judged else (None, None)
        job.answer = PhotoAnswer(None, scores[row], vectors[row], rejected, novelty)
        job.pixels = None
