"""The tool's own addresses: limits, places, keys, corrections, a newer run."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import FakeBackbone, wait_beside, wait_for
from PIL import Image

from retrain_cli.errors import ConfigError, RunError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.serving.serve_request import ServeRequest
from retrain_cli.serving.server import listen
from retrain_cli.workflows.train import TrainRequest, train_run


@pytest.fixture
def ant(photos: Path) -> bytes:
    return (photos / "ant" / "0000.png").read_bytes()


class Gate(FakeBackbone):
    """A network that computes nothing before it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.open.set()

    def __call__(self, images: Any) -> Any:
        self.open.wait()
        return super().__call__(images)


def test_a_photo_as_the_body_or_several_in_a_form(serve: Any, ant: bytes) -> None:
    served = serve(top_k=2)
    one = served.client.post("/label?name=x.png", content=ant).json()
    assert one["model"]["name"] == "first"
    assert one["photos"][0]["path"] == "x.png"
    assert one["photos"][0]["labels"][0]["label"] == "ant"
    assert len(one["photos"][0]["labels"]) == 2
    form = {"a": ("../../etc/passwd", ant), "b": ("note.txt", b"hello")}
    first, second = served.client.post("/label", files=form).json()["photos"]
    assert first["labels"] == one["photos"][0]["labels"]
    assert first["path"] == "../../etc/passwd"
    assert second == {"path": "note.txt", "labels": [], "error": "not an image (looks like text)"}
    bad = served.client.post("/label", content=b"hello")
    assert bad.status_code == 400
    assert "not an image" in bad.json()["photos"][0]["error"]


def test_similar_training_photos(serve: Any, ant: bytes, photos: Path) -> None:
    served = serve()
    changed = ant + b"\0"
    told = served.client.post("/label?similar=3", content=changed).json()["photos"][0]
    assert [one["label"] for one in told["similar"]] == ["ant"] * 3
    picture = served.client.get(f"/training-photos/{told['similar'][0]['row']}")
    assert picture.headers["content-type"] == "image/jpeg"
    assert served.client.get("/training-photos/999999").status_code == 404


def test_unknown_photos_stay_unnamed(serve: Any, workspace: Any, tmp_path: Path) -> None:
    train_run(TrainRequest(TrainingConfig(steps=60, validation_percentage=40)), workspace)
    served = serve(reject=True, max_error=0.3)
    noise = np.random.default_rng(1).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    data = (tmp_path / "noise.png").read_bytes()
    told = served.client.post("/label", content=data).json()["photos"][0]
    assert told["labels"] == []
    assert told["rejected"] in ("novel", "unsure")


def test_size_is_enforced_while_it_arrives(serve: Any) -> None:
    served = serve(max_bytes=1000)
    sent = 0

    def endless() -> Any:
        nonlocal sent
        while sent < 10_000_000:
            sent += 500
            yield b"x" * 500

    answer = served.client.post("/label", content=endless())
    assert answer.status_code == 413
    assert served.service.receiver.held == 0
    told = served.client.post("/label", content=b"", headers={"content-length": "9" * 30})
    assert told.status_code == 413
    large = served.client.post("/label", files={"a": b"x" * 1500, "b": b"y"}).json()
    assert large["photos"][0]["error"].startswith("more than 1000 bytes")


def test_pixels_are_limited(serve: Any, ant: bytes) -> None:
    told = serve(max_pixels=500).client.post("/label", content=ant)
    assert "40 x 30 px is more than the limit of 500 px" in told.json()["photos"][0]["error"]


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"a=b", "application/x-www-form-urlencoded", "multipart/form-data"),
        (b"a", "multipart/form-data", "boundary"),
        (b"a", "multipart/form-data; boundary=x", "form cannot be read"),
        (b"--x\r\n\r\n\r\n--x--\r\n", "multipart/form-data; boundary=x", "form cannot be read"),
        (
            b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x--\r\n",
            "multipart/form-data; boundary=x; charset=none",
            "at least one photo",
        ),
    ],
)
def test_bad_forms(serve: Any, content: bytes, kind: str, words: str) -> None:
    answer = serve().client.post("/label", content=content, headers={"content-type": kind})
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_a_full_queue_says_when_to_come_again(serve: Any, ant: bytes) -> None:
    gate = Gate()
    served = serve(network=gate, queue=2)
    gate.open.clear()
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(served.client.post, "/label", content=ant) for _ in range(2)]
        try:
            wait_for(lambda: served.service.in_service == 2, "two photos in service")
            refused = served.client.post("/label", content=ant)
        finally:
            gate.open.set()
        assert [one.result().status_code for one in waiting] == [200, 200]
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    assert served.service.in_service == 0
    assert served.client.post("/label", content=ant).status_code == 200
    many = served.client.post("/label", files=[("a", ant)] * 3)
    assert many.status_code == 400


def test_a_gpu_gets_several_photos_at_a_time(serve: Any, ant: bytes) -> None:
    class Gpu(FakeBackbone):
        device = "gpu:0"

        def __call__(self, images: Any) -> Any:
            sizes.append(len(images))
            return super().__call__(images)

    sizes: list[int] = []
    served = serve(network=Gpu(), batch_wait=2000.0, batch_size=8)
    files = [("photo", ant + bytes(number)) for number in range(8)]
    assert len(served.client.post("/label", files=files).json()["photos"]) == 8
    assert sizes[-1] == 8


def test_a_slow_sender_is_left(serve: Any) -> None:
    served = serve(receive_timeout=0.05)
    app: Any = served.client.app
    sent: list[dict[str, Any]] = []

    async def ask() -> None:
        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": "/label", "query_string": b"",
            "headers": [(b"host", b"x")], "raw_path": b"/label", "root_path": "",
            "http_version": "1.1", "scheme": "http",
        }  # fmt: skip
        await app(scope, receive, send)

    asyncio.run(ask())
    assert sent[0]["status"] == 408
    assert served.log[-1].split()[4] == "408"


def test_a_key(serve: Any, ant: bytes) -> None:
    served = serve(api_key="secret")
    ask = served.client
    assert ask.post("/label", content=ant).status_code == 401
    assert ask.get("/metrics").status_code == 401
    for wrong in ("secre", "secret2", "s\xe9cret"):
        headers = {b"x-api-key": wrong.encode()}
        assert ask.get("/labels", headers=headers).status_code == 401
    assert ask.get("/labels", headers={"x-api-key": "secret"}).status_code == 200
    bearer = {"authorization": "Bearer secret"}
    assert ask.post("/label", content=ant, headers=bearer).status_code == 200
    for path in ("/", "/healthz", "/readyz", "/static/page.js"):
        assert ask.get(path).status_code == 200


def test_pages_of_others_may_send_nothing(serve: Any, ant: bytes) -> None:
    served = serve()
    foreign = {"origin": "http://evil.example"}
    assert served.client.post("/label", content=ant, headers=foreign).status_code == 403
    own = {"origin": "http://testserver"}
    answer = served.client.post("/label", content=ant, headers=own)
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_corrected_photo_goes_to_the_inbox(serve: Any, ant: bytes, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    served = serve(collect=inbox)
    kept = served.client.post("/correct?label=bee", content=ant)
    assert kept.status_code == 201
    path = inbox / kept.json()["kept"]
    assert path.parent.name == "bee"
    assert path.read_bytes() == ant
    again = served.client.post("/correct?label=teapot", content=ant).json()["kept"]
    assert again.startswith("teapot/")
    none = served.client.post("/correct", content=ant).json()["kept"]
    assert none.startswith("none-of-these/")
    assert [str(one.relative_to(inbox)) for one in inbox.rglob("*") if one.is_file()] == [none]
    for label in ("../ant", "cat", "/etc", "ant\0"):
        assert served.client.post("/correct", params={"label": label}, content=ant).is_error
    assert served.client.post("/correct?label=bee", content=b"no photo").status_code == 400
    assert len([one for one in tmp_path.rglob("*.png") if inbox in one.parents]) == 1


def test_without_an_inbox_nothing_is_kept(serve: Any, ant: bytes) -> None:
    assert serve().client.post("/correct?label=bee", content=ant).status_code == 404


def test_numbers_log_and_figures(serve: Any, ant: bytes) -> None:
    served = serve()
    answer = served.client.post("/label", content=ant, headers={"x-request-id": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"
    assert served.log[-1].startswith("abc-1 testclient POST /label 200 ")
    assert served.log[-1].endswith("photos=1")
    odd = served.client.get("/a%0a%1b[31m", headers={"x-request-id": "a b"})
    assert odd.status_code == 404
    assert odd.headers["x-request-id"] != "a b"
    assert "\n" not in served.log[-1]
    assert "\x1b" not in served.log[-1]
    figures = served.client.get("/metrics").text
    assert 'retrain_photos_total{outcome="good"} 1.0' in figures
    assert 'retrain_requests_total{route="label",status="200"} 1.0' in figures


def test_the_document_names_what_is_there(serve: Any) -> None:
    served = serve()
    document = served.client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    for path, methods in document["paths"].items():
        for method in methods:
            assert served.client.request(method, path).status_code not in (404, 405, 500), path
    text = json.dumps(document)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"]


def test_a_newer_run_takes_over(serve: Any, ant: bytes, train: Callable[[str], None]) -> None:
    """While photos come all the time; each is answered, by the older or by the newer."""
    served = serve(reload=True, run="first")
    said: list[str] = []
    stop = threading.Event()

    def watch() -> None:
        async def both() -> None:
            task = asyncio.create_task(served.service.watch(said.append, 0.01))
            await wait_beside(stop.is_set, "the end of the test")
            task.cancel()

        asyncio.run(both())

    codes: list[int] = []
    names: list[str] = []

    def ask() -> None:
        while not stop.is_set():
            answer = served.client.post("/label", content=ant)
            codes.append(answer.status_code)
            names.append(answer.json()["model"]["name"])

    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(watch), threads.submit(ask)]
        try:
            wait_for(lambda: names, "a first answer")
            train("other")  # it is of another name
            train("first-2")
            wait_for(lambda: "first-2" in names, "an answer by the newer run")
        finally:
            stop.set()
        for one in both:
            one.result()  # a request that was lost is an error here
    assert set(codes) == {200}
    assert list(dict.fromkeys(names)) == ["first", "first-2"]
    assert len(said) == 1
    assert served.client.get("/v1/models/first").status_code == 200  # its clients find it still


def test_a_newer_run_that_is_damaged_does_not_take_over(
    serve: Any, ant: bytes, train: Callable[[str], None], workspace: Any
) -> None:
    served = serve(reload=True)
    train("second")
    (workspace.runs_dir / "second" / "head.npz").write_bytes(b"no head")
    said: list[str] = []

    async def look() -> None:
        task = asyncio.create_task(served.service.watch(said.append, 0.01))
        await wait_beside(lambda: said, "what is said")
        task.cancel()

    asyncio.run(look())
    assert "cannot take over" in said[0]
    assert served.client.post("/label", content=ant).json()["model"]["name"] == "first"


def test_a_missing_run(serve: Any) -> None:
    with pytest.raises(RunError, match="nosuch"):
        serve(run="nosuch")


@pytest.mark.parametrize(
    "fields",
    [
        {"port": -1}, {"port": 70_000}, {"queue": 0}, {"max_pixels": 10**9}, {"max_bytes": 1 << 31},
        {"api_key": ""}, {"api_key": "a b"}, {"name": "a/b"}, {"receive_timeout": 0.0},
        {"run": "a", "model": Path("b.onnx")}, {"top_k": 0}, {"threshold": 2.0},
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        ServeRequest(**fields)


def test_addresses() -> None:
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(ConfigError, match="something else listens"):
            listen("127.0.0.1", taken.getsockname()[1])
    for host in ("no.such.host.invalid", "203.0.113.7", "\0"):
        with pytest.raises(ConfigError, match="host"):
            listen(host, 0)
