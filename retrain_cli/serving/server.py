"""A service at a port: from the first request to the last one that it took."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from retrain_cli import interrupts
from retrain_cli.errors import ConfigError, MissingExtraError, setting

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from retrain_cli.serving.service import Service

Tell = Callable[[str], None]

_MOST_CONNECTIONS = 1024
_BACKLOG = 2048
_PATIENCE = 60
"""Seconds that requests on their way have, once the end is asked for."""
_LOOK_EVERY = 0.05


def check_installed() -> None:
    """Refuse to begin where the packages of the extra are not there.

    Raises:
        MissingExtraError: one of them is not.
    """
    try:
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("services (`retrain serve`)", "serve") from error


def listen(host: str, port: int) -> socket.socket:
    """A socket at an address; connections wait there until somebody answers.

    Raises:
        ConfigError: there is no such address here, or the port is taken.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"{setting('host')} is an address of this machine such as 127.0.0.1 or 0.0.0.0, not "
            f"{host!r} ({getattr(error, 'strerror', None) or error}): choose one"
        ) from error
    family, _, _, _, address = found[0]
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        made.close()
        raise ConfigError(_why_not(host, port, error)) from error
    return made


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"{setting('port')} must be free, and something else listens at {host}:{port} already: "
            "choose another one, or 0 for any"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"{setting('port')} {port} is for administrators ({error.strerror}): choose one from "
            "1024 on"
        )
    return (
        f"{setting('host')} is an address of this machine such as 127.0.0.1 or 0.0.0.0, and {host} "
        f"is none that can be listened at ({error.strerror}): choose one"
    )


def address_of(listening: socket.socket) -> str:
    """Where people find it, such as http://127.0.0.1:8080."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_local(listening: socket.socket) -> bool:
    """Whether only programs of this machine can reach it."""
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback


def run_service(
    app: ASGIApp,
    service: Service,
    listening: socket.socket,
    on_ready: Callable[[], None],
    tell: Tell,
) -> None:
    """Answer requests until the end is asked for; then finish those that were taken.

    Args:
        app: the application.
        service: what it is about.
        listening: where requests come from; it is closed.
        on_ready: is called once requests are answered.
        tell: is told of models that take over.
    """
    with interrupts.held():
        try:
            asyncio.run(_serve(app, service, listening, on_ready, tell))
        finally:
            service.close()
        interrupts.taken()  # that is how a service ends well


async def _serve(
    app: ASGIApp,
    service: Service,
    listening: socket.socket,
    on_ready: Callable[[], None],
    tell: Tell,
) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        """One that leaves signals to `interrupts`: uvicorn itself raises them again at the end."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    _hush_uvicorn()
    # Its other reader of HTTP, which it prefers where that is installed, takes heads of any size.
    server = Server(
        uvicorn.Config(
            app, http="h11", log_config=None, access_log=False, lifespan="off", ws="none",
            server_header=False, proxy_headers=False, limit_concurrency=_MOST_CONNECTIONS,
            backlog=_BACKLOG, timeout_graceful_shutdown=_PATIENCE, timeout_keep_alive=15,
        )
    )  # fmt: skip
    beside = [asyncio.create_task(_mind(server, service, on_ready))]
    if service.request.reload:
        beside.append(asyncio.create_task(service.watch(tell)))
    try:
        await server.serve(sockets=[listening])
    finally:
        for task in beside:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _mind(server: Any, service: Service, on_ready: Callable[[], None]) -> None:
    """Say when it begins, and see to it that slow senders are left, and that it ends."""
    while not server.started:
        await asyncio.sleep(_LOOK_EVERY)
    on_ready()
    idle = IdleConnections(service.request.receive_timeout)
    while not interrupts.is_asked():
        await asyncio.sleep(_LOOK_EVERY)
        idle.end_old(server.server_state.connections, time.monotonic())
    service.is_ready = False
    server.should_exit = True


class IdleConnections:
    """Connections without a request that is being answered, and since when.

    uvicorn waits for ever for the rest of a request's head, and so few slow senders could take all
    connections there are. A body that is late is refused with 408, see `bodies`.

    Args:
        limit: seconds that a connection may be so; they are for the next request's whole head, for
            what is left of a body that nobody wants, and for whoever does not read an answer.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._since: WeakKeyDictionary[Any, tuple[Any, float]] = WeakKeyDictionary()

    def end_old(self, connections: Iterable[Any], now: float) -> None:
        """End those that are idle for too long.

        Args:
            connections: uvicorn's, each with its last request as `cycle`.
            now: seconds of a clock that goes on.
        """
        for one in list(connections):
            last, since = self._since.get(one, (one, now))
            if one.cycle is not None and not one.cycle.response_complete:
                self._since.pop(one, None)
            elif last is not one.cycle:
                self._since[one] = (one.cycle, now)
            elif now - since > self._limit:
                one.transport.abort()


def _hush_uvicorn() -> None:
    """Its words are for programmers; each request stands in our own log."""
    log = logging.getLogger("uvicorn")
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.NullHandler())
