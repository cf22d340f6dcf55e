"""Clients that ask a service as fast as it answers, in one thread, at little cost of their own."""

from __future__ import annotations

import heapq
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(eq=False)
class _Client:
    """A connection that is kept.

    Attributes:
        socket: it.
        due: when it asks next.
        began: when it began to ask.
        unsent: what of the request is still to be sent.
        answer: what came of the answer.
    """

    socket: socket.socket
    due: float
    began: float = 0.0
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    answer: bytearray = field(default_factory=bytearray)


def ask_all(
    address: str, requests: Sequence[bytes], count: int, clients: int, every: float = 0.0
) -> list[float]:
    """How long each of `count` questions took, in seconds; each has to be answered with 200.

    Args:
        address: of the service.
        requests: whole requests of HTTP/1.1, sent in turn, over and over.
        count: how many.
        clients: how many of them are on their way at a time, each over a connection of its own.
        every: seconds between two questions of a client; 0 for none. One that is late asks at once.
    """
    start = time.perf_counter()
    parts = urlsplit(address)
    waits: list[float] = []
    with selectors.DefaultSelector() as selector:
        idle: list[tuple[float, int, _Client]] = []
        for number in range(clients):
            connection = socket.create_connection((parts.hostname or "", parts.port or 80))
            connection.setblocking(False)
            heapq.heappush(idle, (start + every * number / clients, number, _Client(connection, 0)))
        asked = 0
        while len(waits) < count:
            now = time.perf_counter()
            while idle and asked < count and idle[0][0] <= now:
                due, _, client = heapq.heappop(idle)
                client.began, client.due = now, max(due + every, now if not every else due)
                client.unsent = memoryview(requests[asked % len(requests)])
                asked += 1
                selector.register(client.socket, selectors.EVENT_WRITE, client)
            pause = max(0.0, idle[0][0] - now) if idle and asked < count else None
            for key, _ in selector.select(pause):
                client = key.data
                if _go_on(selector, client):
                    waits.append(time.perf_counter() - client.began)
                    heapq.heappush(idle, (client.due, id(client), client))
        for _, _, client in idle:
            client.socket.close()
    return waits


def _go_on(selector: selectors.BaseSelector, client: _Client) -> bool:
    """Send what can be sent, or take what came; whether that was the answer's end."""
    if client.unsent:
        client.unsent = client.unsent[client.socket.send(client.unsent) :]
        if not client.unsent:
            selector.modify(client.socket, selectors.EVENT_READ, client)
        return False
    piece = client.socket.recv(1 << 18)
    client.answer += piece
    head, found, body = bytes(client.answer).partition(_END)
    if piece and not (found and len(body) >= _length(head)):
        return False
    assert head.startswith(b"HTTP/1.1 200"), bytes(client.answer[:1000])
    client.answer.clear()
    selector.unregister(client.socket)
    return True


def _length(head: bytes) -> int:
    lines = [line for line in head.lower().split(b"\r\n") if line.startswith(_LENGTH)]
    return int(lines[0][len(_LENGTH) :])


def raw_request(path: str, photo: bytes) -> bytes:
    """A photo as the body itself."""
    return _head(path, "image/jpeg", len(photo)) + photo


def form_request(path: str, photo: bytes) -> bytes:
    """A photo as the only file of a form, called `file`."""
    before = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
    body = before + b"Content-Type: image/jpeg\r\n\r\n" + photo + b"\r\n--x--\r\n"
    return _head(path, "multipart/form-data; boundary=x", len(body)) + body


def _head(path: str, kind: str, length: int) -> bytes:
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: x",
        f"Content-Type: {kind}",
        f"Content-Length: {length}",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()
