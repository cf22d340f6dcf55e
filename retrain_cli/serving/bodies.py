"""Photos out of a request's body; its size is held to the limits while it arrives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from retrain_cli.serving.refusals import RefusedError, bad_request, too_busy
from retrain_cli.serving.serve_request import ServeRequest

_MOST_ARRIVING = 8
"""So many of the largest requests may be on their way at a time; memory has to hold them."""

_SMALL = 1 << 16
"""Bytes of JSON that are read where they arrive; more are read in a thread."""


@dataclass(frozen=True)
class SentPhoto:
    """A photo as it was sent.

    Attributes:
        name: the file's name, as the sender calls it; it is never used as a path.
        data: the bytes of the file.
        problem: why it is not looked at, or None.
    """

    name: str
    data: bytes
    problem: str | None = None


class Receiver:
    """Reads bodies.

    Args:
        request: the limits.

    Attributes:
        held: bytes of bodies that are in memory.
    """

    def __init__(self, request: ServeRequest) -> None:
        self._limits = request
        self.held = 0

    @contextmanager
    def holding(self) -> Iterator[RequestBody]:
        """Memory for one body, which is given back at the end."""
        body = RequestBody(self, self._limits)
        try:
            yield body
        finally:
            self.held -= body.size

    @property
    def most(self) -> int:
        """Bytes of all bodies together."""
        return _MOST_ARRIVING * self._limits.most_bytes


class RequestBody:
    """The body of one request; `Receiver.holding` makes it.

    Attributes:
        size: bytes that have arrived.
    """

    def __init__(self, receiver: Receiver, limits: ServeRequest) -> None:
        self.size = 0
        self._receiver, self._limits = receiver, limits

    async def raw(self, request: Request, most: int) -> bytes:
        """All bytes.

        Args:
            request: the request.
            most: how many it may have.

        Raises:
            RefusedError: it is larger, too slow, or there is no memory for it now.
        """
        data: bytes = await self._in_time(_joined(self._pieces(request, most)))
        return data

    async def json(self, request: Request) -> Any:
        """What the body says in JSON.

        Raises:
            RefusedError: it is none, or as `raw`.
        """
        text = await self.raw(request, self._limits.most_bytes)
        if len(text) < _SMALL:
            return _parsed(text)
        return await asyncio.get_running_loop().run_in_executor(None, _parsed, text)

    async def photos(self, request: Request) -> list[SentPhoto]:
        """The photos of a form, or the body itself as one.

        Raises:
            RefusedError: the form cannot be read, or as `raw`.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/x-www-form-urlencoded":
            raise bad_request(
                "photos are sent as multipart/form-data, or one as the body itself, not as "
                "application/x-www-form-urlencoded: send `--data-binary @photo.jpg` with "
                "`-H 'Content-Type: image/jpeg'`, or `-F photo=@photo.jpg`"
            )
        if kind == "multipart/form-data":
            return await self._form(request)
        data = await self.raw(request, self._limits.max_bytes)
        return [SentPhoto(request.query_params.get("name", "photo"), data)]

    async def _form(self, request: Request) -> list[SentPhoto]:
        parser = MultiPartParser(
            request.headers,
            self._pieces(request, self._limits.most_bytes),
            max_files=self._limits.queue,
            max_fields=16,
        )
        try:
            form = await self._in_time(parser.parse())
            files = [one for _, one in form.multi_items() if isinstance(one, UploadFile)]
            return [await self._photo(one) for one in files]
        except MultiPartException as error:
            raise bad_request(f"the form cannot be read: {error.message}") from error
        except (ValueError, LookupError) as error:
            raise bad_request("the form cannot be read: it is no multipart/form-data") from error
        finally:  # also those of parts that never ended, which the form does not know
            for file in getattr(parser, "_files_to_close_on_error", ()):
                file.close()

    async def _photo(self, file: UploadFile) -> SentPhoto:
        name = file.filename or "photo"
        if (file.size or 0) > self._limits.max_bytes:
            return SentPhoto(name, b"", too_large(self._limits.max_bytes))
        return SentPhoto(name, await file.read())

    async def _in_time(self, arriving: Any) -> Any:
        limit = self._limits.receive_timeout
        try:
            return await asyncio.wait_for(arriving, limit)
        except (asyncio.TimeoutError, TimeoutError) as error:
            raise RefusedError(
                408, f"a request must have arrived within {limit:g} s, and this one has not"
            ) from error

    async def _pieces(self, request: Request, most: int) -> AsyncGenerator[bytes, None]:
        """The body as it arrives, never more of it than allowed."""
        said = request.headers.get("content-length", "")
        if said.isdecimal() and (len(said) > 18 or int(said) > most):
            raise _refused_size(most)
        async for piece in request.stream():
            self.size += len(piece)
            self._receiver.held += len(piece)
            if self.size > most:
                raise _refused_size(most)
            if self._receiver.held > self._receiver.most:
                raise too_busy()
            yield piece


async def _joined(pieces: AsyncGenerator[bytes, None]) -> bytes:
    return b"".join([piece async for piece in pieces])


def too_large(most: int) -> str:
    """What is said of a photo of more bytes than that."""
    return f"more than {most} bytes, the limit of this service for a photo"


def _refused_size(most: int) -> RefusedError:
    return RefusedError(
        413, f"a request may have {most} bytes here, and this one has more: send smaller photos"
    )


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the body must be JSON, and it is not ({_short(error)})") from error


def _short(error: Exception) -> str:
    return "it is nested too deep" if isinstance(error, RecursionError) else str(error)[:100]
