"""An S3 server of the tests' own, and a proxy before it that answers badly where it is told to."""

from __future__ import annotations

import http.client
import logging
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

SECRET = "never-print-this-secret"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class Fault:
    """How a request is answered.

    Attributes:
        status: an HTTP status in place of the answer; 0 for the answer itself.
        code: the code of S3 that goes with it.
        cut: only half of the body comes, then the connection ends.
    """

    status: int = 0
    code: str = ""
    cut: bool = False


Faults = Callable[[str, str], Fault | None]
"""From method and path of a request to what goes wrong with it; a slow answer waits in there."""


@dataclass
class Storage:
    """A running server behind its proxy.

    Attributes:
        upstream: host and port of the server itself.
        url: where the proxy answers.
        faults: what goes wrong; may be replaced at any time.
        asked: how often each (method, path) was asked for.
        most_at_once: the most requests that were under way together.
        signed: how many were signed with a key.
    """

    upstream: tuple[str, int]
    url: str = ""
    faults: Faults = lambda method, path: None
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    most_at_once: int = 0
    under_way: int = 0
    signed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> bytes:
        """Ask the server itself, which looks at no signature."""
        connection = http.client.HTTPConnection(*self.upstream)
        connection.request(method, path, body, {"Authorization": _SIGNED, **(headers or {})})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        assert answer.status < 300, (method, path, answer.status, data)
        return data

    def upload(self, folder: Path, prefix: str) -> None:
        """Put the files of a folder below `bucket/prefix`."""
        self.make_bucket(prefix.partition("/")[0])
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def make_bucket(self, name: str) -> None:
        """Make an empty bucket."""
        self.request("PUT", f"/{name}")

    def put(self, key: str, data: bytes) -> None:
        """Put one object, `bucket/key`."""
        self.request("PUT", f"/{quote(key, safe='/%')}", data)

    def delete(self, key: str) -> None:
        """Take one object away."""
        self.request("DELETE", f"/{key}")

    def publish(self, bucket: str) -> None:
        """Let anybody read what is in a bucket."""
        for key in self._keys(bucket):
            self.request("PUT", f"/{key}?acl", headers={"x-amz-acl": "public-read"})

    def forget(self) -> None:
        """Start anew: nothing stored, nothing asked, nothing wrong."""
        self.wipe()
        self.faults = lambda method, path: None
        self.asked.clear()
        self.most_at_once = self.signed = 0

    def wipe(self) -> None:
        """Have the server forget what it has."""
        self.request("POST", "/moto-api/reset")

    def _keys(self, bucket: str) -> list[str]:
        listed = self.request("GET", f"/{bucket}?list-type=2").decode()
        return [f"{bucket}/{quote(key)}" for key in re.findall("<Key>(.*?)</Key>", listed)]


_SIGNED = (
    "AWS4-HMAC-SHA256 Credential=a/20200101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    storage: Storage

    def log_message(self, *_: Any) -> None:
        return

    def _answer(self) -> None:
        storage, path = self.storage, unquote(urlsplit(self.path).path)
        with storage.lock:
            storage.asked[self.command, path] += 1
            storage.under_way += 1
            storage.signed += "Authorization" in self.headers
            storage.most_at_once = max(storage.most_at_once, storage.under_way)
        try:
            self._forward(storage.faults(self.command, path) or Fault())
        except OSError:  # who asked is gone
            self.close_connection = True
        finally:
            with storage.lock:
                storage.under_way -= 1

    do_GET = do_HEAD = _answer  # noqa: N815 - so http.server calls them

    def _forward(self, fault: Fault) -> None:
        if fault.status:
            body = f"<Error><Code>{fault.code}</Code><Message>{fault.code}</Message></Error>"
            self._send(fault.status, [("Content-Type", "application/xml")], body.encode())
            return
        upstream = http.client.HTTPConnection(*self.storage.upstream)
        upstream.request(self.command, self.path, headers=dict(self.headers))
        answer = upstream.getresponse()
        data = answer.read()
        upstream.close()
        headers = [pair for pair in answer.getheaders() if pair[0] not in _OF_CONNECTION]
        self._send(answer.status, headers, data, answer.headers["Content-Length"], cut=fault.cut)

    def _send(
        self,
        status: int,
        headers: list[tuple[str, str]],
        data: bytes,
        length: str | None = None,
        *,
        cut: bool = False,
    ) -> None:
        self.send_response(status)
        for pair in headers:
            self.send_header(*pair)
        self.send_header("Content-Length", length or str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True


_OF_CONNECTION = {"Content-Length", "Transfer-Encoding", "Connection", "Server", "Date"}


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        return


@contextmanager
def running_storage() -> Iterator[Storage]:
    """A server with nothing in it, for as long as the block runs."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else it tells of each request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        with behind_proxy(Storage(server.get_host_and_port())) as storage:
            yield storage
    finally:
        server.stop()


@contextmanager
def behind_proxy(storage: Storage) -> Iterator[Storage]:
    """Put the proxy before a server, for as long as the block runs."""
    proxy = _Proxy(("127.0.0.1", 0), type("Handler", (_Handler,), {"storage": storage}))
    storage.url = f"http://127.0.0.1:{proxy.server_address[1]}"
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield storage
    finally:
        proxy.shutdown()
        proxy.server_close()


def check_one_bad_photo(storage: Storage, fill: Any, url: str, reason: str) -> None:
    """Of 36 photos the server spoils `bee/0005.png`: it alone is bad, until it can be fetched."""
    summary = fill(url)
    assert summary.computed == 35
    ((path, problem),) = summary.bad
    assert path == "bee/0005.png"
    assert f"cannot be read ({reason}" in problem
    storage.faults = lambda how, path: None
    assert (fill(url).computed, fill(url).bad) == (1, [])
