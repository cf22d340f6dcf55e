"""What every request goes through: number, key, clock, log, and an answer whatever happens."""

from __future__ import annotations

import hmac
import json
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrain_cli.serving.refusals import RefusedError
from retrain_cli.serving.service_metrics import ServiceMetrics

_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
STATIC_FILES = {
    "page.js": "text/javascript", "photos.js": "text/javascript", "page.css": "text/css"
}  # fmt: skip
"""What belongs to the page, and its media types."""

_OPEN = {"/", "/healthz", "/readyz", *(f"/static/{name}" for name in STATIC_FILES)}
"""Paths that need no key: nothing of the model or of a photo is told there."""

_SAFE = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]

Log = Callable[[str], None]


class Access:
    """Around the application.

    Args:
        app: the application.
        api_key: what requests have to show; None for nothing.
        metrics: counts requests.
        log: is told of each request in one line.
        on_fault: is told of what nobody foresaw, in one line.
    """

    def __init__(
        self, app: ASGIApp, api_key: str | None, metrics: ServiceMetrics, log: Log, on_fault: Log
    ) -> None:
        self._app, self._metrics, self._log, self._on_fault = app, metrics, log, on_fault
        self._key = None if api_key is None else api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """PhotoAnswer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, headers = time.perf_counter(), dict(scope["headers"])
        number = _number(headers.get(b"x-request-id", b""))
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", []), (b"x-request-id", number), *_SAFE
                ]  # fmt: skip
            await send(message)

        try:
            self._check(scope, headers)
            await self._app(scope, receive, send_on)
        except RefusedError as refused:
            if not status:
                await _send_error(send_on, refused)
        except Exception as error:
            from starlette.requests import ClientDisconnect

            if isinstance(error, ClientDisconnect):
                status = 499  # as others call it: nobody waits for an answer any more
            else:
                self._on_fault(f"request {number.decode()}: {type(error).__name__}: {error}"[:500])
            if not status:
                await _send_error(send_on, RefusedError(500, "a fault of the service: see its log"))
        seconds = time.perf_counter() - start
        route = scope.get("retrain_route", "other")
        self._metrics.count_request(route, status, seconds)
        client = (scope.get("client") or ("-", 0))[0]
        photos = scope.get("retrain_photos")
        told = "" if photos is None else f" photos={photos}"
        self._log(
            f"{number.decode()} {client} {scope['method'][:16]} {_shown(scope['path'])} {status} "
            f"{seconds * 1000:.1f}ms{told}"
        )

    def _check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Hold a request to the key, and a browser's to pages of this service.

        Raises:
            RefusedError: it does not have it, or comes from another page.
        """
        origin, host = headers.get(b"origin"), headers.get(b"host", b"")
        is_foreign = origin is not None and origin.partition(b"://")[2] != host
        if is_foreign and scope["method"] not in ("GET", "HEAD"):
            raise RefusedError(403, "pages of other sites may send nothing here")
        if self._key is None or scope["path"] in _OPEN:
            return
        given = headers.get(b"x-api-key", b"")
        kind, _, token = headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() == b"bearer":
            given = token.strip()
        if not hmac.compare_digest(given, self._key):
            raise RefusedError(
                401, "this service wants its key: send `Authorization: Bearer KEY`, or X-API-Key"
            )


def _number(given: bytes) -> bytes:
    """The request's own number where it is harmless, else a new one."""
    return given if _ID.fullmatch(given) else uuid.uuid4().hex[:16].encode()


def _shown(path: str) -> str:
    """A path in a line of a log: short, and nothing that a terminal would obey."""
    return json.dumps(path[:120])[1:-1].replace(" ", "%20")


async def _send_error(send: Any, refused: RefusedError) -> None:
    body = json.dumps({"error": refused.message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in refused.headers.items()]
    if refused.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refused.status in (408, 413):
        headers.append((b"connection", b"close"))  # what still arrives is not read
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
