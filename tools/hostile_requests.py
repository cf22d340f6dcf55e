"""Send a service requests that it should refuse, and see that it stays well.

    python tools/hostile_requests.py http://127.0.0.1:8080 --count 10000 [--seed N] [--photo FILE]

Each is drawn by the seed: photos cut short or with bytes changed, bodies of other types, wrong
JSON, base64 and forms, lengths that are a lie, broken HTTP, paths that lead elsewhere, senders that
stop in the middle or send a little at a time, bodies and heads without an end. It ends with 1 where
there is a status of 500 or more, or where the service does not answer a good photo at the end.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image

Request = list[bytes]
"""What is sent, with a pause between two pieces."""

_PAUSE = 0.02
_PATHS = (
    "/label", "/v1/models/default:predict", "/v1/models/default:classify", "/correct?label=ant",
    "/correct?label=../../etc", "/v1/models/..%2f..%2fetc:predict", "/static/..%2fserver.py",
    "/static/%2e%2e/page.html", "/training-photos/99999999999999999999", "/training-photos/-1",
    "/v1/models/default/versions/99999999999999999999999:predict", "//", "/%00", "/labels",
    "/v1/models/%ff%fe", "/label?similar=999999999999999999999", "/label?similar=-1", "/metrics",
)  # fmt: skip
_JSON = (
    b"", b"{", b"[]", b"null", b'{"instances": {}}', b'{"instances": [[[[[]]]]]}', b"1e999",
    b'{"instances": [{"b64": 5}]}', b'{"instances": [{"b64": "\\ud800"}]}', b"\xff\xfe{",
    b'{"instances": [NaN], "signature_name": null}', b'{"inputs": {"": {"": {"": ""}}}}',
    b'{"examples": [{"image": {"b64": null}}]}', b'{"instances": ' + b"[" * 5000, b"9" * 6000,
    b'{"instances": [{"b64": "AAAA"}], "instances": 7}', b'{"signature_name": {"a": 1}}',
)  # fmt: skip


class Attacks:
    """Draws requests.

    Args:
        photo: a good photo, of which bad ones are made.
        seed: of the draw.
    """

    def __init__(self, photo: bytes, seed: int) -> None:
        self._photo, self._random = photo, random.Random(seed)
        self._kinds: tuple[Callable[[], Request], ...] = (
            self.bad_photo, self.bad_photo_in_json, self.bad_json, self.bad_form, self.lie,
            self.broken, self.odd_path, self.half, self.slow, self.long_head,
        )  # fmt: skip

    def draw(self) -> Request:
        """One request; of a hundred one has no end."""
        return (
            self.endless() if self._random.random() < 0.01 else self._random.choice(self._kinds)()
        )

    def bad_photo(self) -> Request:
        """Cut short, with bytes changed, or no photo at all."""
        return request("/label", self._bad_bytes(), self._kind())

    def bad_photo_in_json(self) -> Request:
        """The same in base64."""
        text = base64.b64encode(self._bad_bytes()).decode()
        body = json.dumps({"instances": [{"b64": text}] * self._random.choice((1, 3, 300))})
        return request("/v1/models/default:predict", body.encode(), "application/json")

    def bad_json(self) -> Request:
        """JSON that is none, or says something else."""
        path = self._random.choice(("/v1/models/default:predict", "/v1/models/default:classify"))
        return request(path, self._random.choice(_JSON), self._kind())

    def bad_form(self) -> Request:
        """A form that is cut, has no boundary, or too many parts."""
        part = b'--x\r\nContent-Disposition: form-data; name="a"; filename="../a"\r\n\r\n'
        body = part * self._random.choice((1, 5, 400)) + self._bad_bytes()[:2000]
        body += self._random.choice((b"", b"\r\n--x--\r\n", b"\r\n--x"))
        kinds = ("multipart/form-data; boundary=x", "multipart/form-data", "multipart/form-data; a")
        return request("/label", body, self._random.choice(kinds))

    def lie(self) -> Request:
        """A length that is not the body's."""
        said = self._random.choice(
            ("-1", "99999999999999999999", "abc", "1", "30000000000", "5, 6")
        )
        return request("/label", self._photo[:100], "image/jpeg", length=said)

    def broken(self) -> Request:
        """No HTTP at all, or nearly."""
        good = request("/label", self._photo[:500], "image/jpeg")[0]
        at = self._random.randrange(40)
        return [good[:at] + self._random.randbytes(3) + good[at + 3 :]]

    def odd_path(self) -> Request:
        """A path or method that is not there, or leads elsewhere."""
        method = self._random.choice(("GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"))
        return request(self._random.choice(_PATHS), self._bad_bytes()[:300], "a/b", method=method)

    def half(self) -> Request:
        """A sender that stops in the middle."""
        good = request("/label", self._photo, "image/jpeg")[0]
        return [good[: self._random.randrange(1, len(good))]]

    def slow(self) -> Request:
        """A sender of a good or a bad photo, a little at a time, its head, too."""
        whole = request("/label", self._photo if self._random.random() < 0.5 else b"x", "")[0]
        cuts = sorted(self._random.sample(range(1, min(300, len(whole))), 8))
        return [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    def long_head(self) -> Request:
        """An address or headers of many kilobytes."""
        many = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 50) for number in range(5000))
        path = b"/label" if self._random.random() < 0.5 else b"/" + b"a" * 200_000
        return [b"POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (path, many)]

    def endless(self) -> Request:
        """A body in pieces, of which there are more and more."""
        head = b"POST /label HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        return [head, *[b"100000\r\n" + bytes(1 << 20) + b"\r\n"] * 30]

    def _bad_bytes(self) -> bytes:
        data = bytearray(self._photo)
        match self._random.randrange(5):
            case 0:
                return bytes(data[: self._random.randrange(len(data))])
            case 1:
                return self._random.randbytes(self._random.randrange(3000))
            case 2:
                return _huge()
            case _:
                for _ in range(self._random.randrange(1, 30)):
                    data[self._random.randrange(len(data))] = self._random.randrange(256)
                return bytes(data)

    def _kind(self) -> str:
        return self._random.choice(("image/jpeg", "text/plain", "a" * 300, "", "image/*; q=x"))


def _huge() -> bytes:
    """A small file that says it is 30,000 pixels wide and high."""
    packed = io.BytesIO()
    Image.new("1", (8, 8)).save(packed, "PNG")
    data = bytearray(packed.getvalue())
    data[16:24] = (30_000).to_bytes(4, "big") * 2
    return bytes(data)


def request(
    path: str, body: bytes, kind: str, *, method: str = "POST", length: str | None = None
) -> Request:
    """A request in one piece."""
    said = str(len(body)) if length is None else length
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
    return [f"{head}Content-Length: {said}\r\nConnection: close\r\n\r\n".encode() + body]


def send(host: str, port: int, data: Request, limit: float = 1.0) -> int:
    """Send a request; the status of its answer, 0 where none came within `limit` seconds."""
    with socket.create_connection((host, port), timeout=limit) as connection:
        try:
            for number, piece in enumerate(data):
                time.sleep(_PAUSE if number else 0)
                connection.sendall(piece)
            head = connection.makefile("rb").readline(100)
        except (ConnectionError, TimeoutError):
            return 0
    words = head.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def main() -> None:
    """Attack, and tell what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("address")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--photo", type=Path, default=None)
    arguments = parser.parse_args()
    parts = urlsplit(arguments.address)
    host, port = parts.hostname or "127.0.0.1", parts.port or 8080
    photo = arguments.photo.read_bytes() if arguments.photo else good_photo()
    attacks = Attacks(photo, arguments.seed)
    requests = [attacks.draw() for _ in range(arguments.count)]
    with ThreadPoolExecutor(16) as threads:
        found = Counter(threads.map(lambda one: send(host, port, one), requests))
    at_the_end = send(host, port, request("/label", photo, "image/jpeg"), 60.0)
    print(dict(sorted(found.items())), "and a good photo at the end:", at_the_end)
    sys.exit(int(any(status >= 500 for status in found) or at_the_end != 200))


def good_photo() -> bytes:
    """A small photo."""
    packed = io.BytesIO()
    Image.effect_noise((200, 150), 60).convert("RGB").save(packed, "JPEG")
    return packed.getvalue()


if __name__ == "__main__":
    main()
