"""A service: its model, its pool, its inbox; and how a newer model takes over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from retrain_cli.errors import RetrainError
from retrain_cli.extraction.heap import keep_freed_memory, share_heaps
from retrain_cli.parallel import usable_processors
from retrain_cli.serving.bodies import Receiver, SentPhoto
from retrain_cli.serving.inbox import Inbox
from retrain_cli.serving.refusals import bad_request, too_busy
from retrain_cli.serving.serve_request import DEFAULT_NAME, ServeRequest
from retrain_cli.serving.served_model import Origin, ServedModel, open_model, origin_of
from retrain_cli.serving.service_metrics import ServiceMetrics
from retrain_cli.serving.service_pool import NoPlaceError, PhotoAnswer, ServicePool
from retrain_cli.workflows.portable.file_labeller import ModelOpener, open_labeller
from retrain_cli.workspace import Workspace

LOOK_EVERY = 1.0
"""Seconds between two looks for a newer run."""


class Service:
    """Everything that requests share.

    Args:
        request: how to serve.
        workspace: where runs are.
        opener: opens the labeller.

    Attributes:
        request: how to serve.
        model: answers requests from now on; one on its way keeps the one that it began with.
        is_ready: whether new requests are welcome.
        metrics: what is counted.
        receiver: reads bodies.
        inbox: takes corrected photos; None where nobody asked for that.
    """

    def __init__(
        self, request: ServeRequest, workspace: Workspace, opener: ModelOpener = open_labeller
    ) -> None:
        keep_freed_memory()
        share_heaps(max(2, usable_processors()))  # before the model's threads begin
        self.request = request
        self._workspace, self._opener = workspace, opener
        self.model: ServedModel = open_model(request, workspace, opener)
        self.metrics = ServiceMetrics()
        self.receiver = Receiver(request)
        self.inbox: Inbox | None = None
        self.is_ready = True
        self._name = self.model.name
        self._failed: Origin | None = None
        self._pool = ServicePool(request, self.model)
        self._take(self.model)

    def close(self) -> None:
        """End its threads."""
        self.is_ready = False
        self._pool.close()

    def _take(self, model: ServedModel) -> None:
        self.model = model
        self.metrics.note_model(self._name, model.version)
        if self.request.collect is not None:
            self.inbox = Inbox(self.request.collect, model.labels)

    def knows(self, name: str) -> bool:
        """Whether the model is called so; the name at the start stays, whatever run takes over."""
        return name in (self._name, DEFAULT_NAME)

    @property
    def in_service(self) -> int:
        """Photos that wait or are worked on."""
        return self._pool.taken

    async def label(self, photos: list[SentPhoto], model: ServedModel) -> list[PhotoAnswer]:
        """What each photo comes to, in order.

        Raises:
            RefusedError: there are none, too many, or no places for them.
        """
        if not photos:
            raise bad_request("a request needs at least one photo, and there is none in it")
        if len(photos) > self.request.queue:
            raise bad_request(
                f"a request has at most {self.request.queue} photos here, and this one has "
                f"{len(photos)}: send several requests"
            )
        try:
            found = iter(
                await self._pool.label([one.data for one in photos if not one.problem], model)
            )
        except NoPlaceError as error:
            raise too_busy() from error
        answers = [PhotoAnswer(one.problem) if one.problem else next(found) for one in photos]
        self.metrics.count_photos(answers)
        return answers

    async def heatmap(self, photo: SentPhoto, label: str, model: ServedModel) -> dict[str, Any]:
        """What speaks for a class on a photo, see `PhotoHeatmaps.of_photo`.

        Raises:
            RefusedError: there is no place for it.
        """
        if model.heatmaps is None:
            return {"error": f"the network of {model.title} gives no heatmaps here: serve a run "
                    "whose network OpenVINO runs"}  # fmt: skip
        try:
            return await self._pool.heatmap(model.heatmaps, photo.data, label)
        except NoPlaceError as error:
            raise too_busy() from error

    async def watch(self, tell: Callable[[str], None], every: float = LOOK_EVERY) -> None:
        """Look for a newer run of that name, and let it take over once it is loaded; for ever.

        Args:
            tell: is told of each one, and of one that cannot be used, in one line.
            every: seconds between two looks.
        """
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(every)
            with suppress(RetrainError, OSError):  # it may be on its way from one place to another
                origin = await loop.run_in_executor(None, origin_of, self.request, self._workspace)
                if origin not in (self.model.origin, self._failed):
                    await self._reload(origin, tell)

    async def _reload(self, origin: Origin, tell: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        arguments: tuple[Any, ...] = (self.request, self._workspace, self._opener)
        try:
            model = await loop.run_in_executor(None, open_model, *arguments)
        except (RetrainError, OSError) as error:
            self._failed = origin
            tell(f"{origin[0]} is newer and cannot take over, {self.model.title} stays: {error}")
            return
        self._take(model)
        tell(f"{model.title} answers from now on; it was loaded in {model.seconds:.1f} s")
