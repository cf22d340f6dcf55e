"""Google's object storage as an emulator has it, behind the proxy that answers badly where told."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

from object_storage import Storage, behind_proxy

LIST, OBJECTS = "/storage/v1/b/{}/o", "/storage/v1/b/{}/o/{}"


@dataclass
class GoogleStorage(Storage):
    """A running emulator, which is asked otherwise than S3."""

    def make_bucket(self, name: str) -> None:
        """See `Storage`."""
        body = json.dumps({"name": name}).encode()
        self.request("POST", "/storage/v1/b", body, {"Content-Type": "application/json"})

    def put(self, key: str, data: bytes) -> None:
        """See `Storage`."""
        bucket, _, name = key.partition("/")
        place = f"/upload{LIST.format(bucket)}?uploadType=media&name={quote(name, safe='')}"
        self.request("POST", place, data, {"Content-Type": "application/octet-stream"})

    def delete(self, key: str) -> None:
        """See `Storage`."""
        bucket, _, name = key.partition("/")
        self.request("DELETE", OBJECTS.format(bucket, quote(name, safe="")))

    def wipe(self) -> None:
        """See `Storage`."""
        self.request("GET", "/wipe")


@contextmanager
def running_google_storage() -> Iterator[Storage]:
    """An emulator with nothing in it, for as long as the block runs."""
    from gcp_storage_emulator.server import create_server

    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)  # it tells of each request
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()[:2]
    with create_server(*address, in_memory=True), behind_proxy(GoogleStorage(address)) as storage:
        yield storage
