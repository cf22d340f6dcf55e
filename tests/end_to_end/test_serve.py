"""`retrain serve` as a process: it begins, is asked, and ends well."""

from __future__ import annotations

import math
import select
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers import LIMIT, QUICK_HEAD, TINY, Outcome, load_tool, make_photos, wait_for
from served_process import Running, serving


@pytest.fixture(scope="module")
def template(make_template: Callable[..., Path]) -> Path:
    return make_template(
        lambda root: make_photos(root, {"ant": 12, "bee": 12, "teapot": 12}),
        ("bottlenecks", "photos", *TINY),
        ("train", *QUICK_HEAD, "--name", "album"),
    )


@pytest.fixture(scope="module")
def hasty(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that waits for nobody."""
    here = tmp_path_factory.mktemp("hasty")
    shutil.copytree(template, here, dirs_exist_ok=True)
    with serving(here, "--receive-timeout", "0.3") as running:
        yield running


@pytest.fixture
def here(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_heatmap_takes_no_tensorflow(here: Path) -> None:
    photo = (here / "photos/ant/0000.png").read_bytes()
    with serving(here) as running:
        (told,) = running.ask("/label?heatmap=1", photo, "image/png")["photos"]
        found = told["heatmap"]
        fields = [value for row in found["grid"] for value in row]
        mean = sum(fields) / len(fields)
        assert mean + found["bias"] == pytest.approx(found["logit"], abs=1e-4)
        assert running.has_loaded("libopenvino")
        assert not running.has_loaded("libtensorflow_cc")


@pytest.mark.parametrize(
    "begun",
    [b"", b"POST /label HTT", b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: b", b"GET /healthz HTTP/1.1"
     b"\r\nHost: x\r\nContent-Length: 9\r\n\r\nx", b"POST /label HTTP/1.1\r\nHost: x\r\n"
     b"Content-Length: 9\r\n\r\nx"],
    ids=["nothing", "half a line", "half a head", "a body that nobody wants", "half a photo"],
)  # fmt: skip
def test_slow_senders_are_left(hasty: Running, begun: bytes) -> None:
    """Also one that sends a byte now and then; a good client beside them is answered."""
    host, port = hasty.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=LIMIT) as slow:
        slow.sendall(begun)
        wait_for(lambda: is_left(slow), "the end of the connection")
    assert hasty.ask("/healthz")["status"] == "ok"


def is_left(slow: socket.socket) -> bool:
    """Send another byte; whether nobody is at the other end any more."""
    try:
        slow.sendall(b"x")
        return bool(select.select([slow], [], [], 0.1)[0]) and not slow.recv(1000)
    except ConnectionError:
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_finishes_what_it_took(here: Path, number: signal.Signals) -> None:
    """A request that is half sent when the end is asked for is answered; the exit code is 0."""
    photo = (here / "photos/ant/0000.png").read_bytes()
    with serving(here) as running:
        host, port = running.address.removeprefix("http://").split(":")
        assert running.label(photo)["photos"][0]["labels"][0]["label"] == "ant"
        with socket.create_connection((host, int(port)), timeout=LIMIT) as half:
            head = f"POST /label HTTP/1.1\r\nHost: x\r\nContent-Length: {len(photo)}\r\n\r\n"
            half.sendall(head.encode() + photo[:100])
            running.ask("/healthz")  # so that the one before has been seen
            running.process.send_signal(number)
            wait_for(lambda: not listens(host, int(port)), "a closed port")
            half.sendall(photo[100:])
            answer = half.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b'"label":"ant"' in answer
        assert running.process.wait(LIMIT) == 0
        assert "what it took was answered" in running.said.read_text()
        assert "Traceback" not in running.said.read_text()


def listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def test_a_newer_run_takes_over_and_no_request_is_lost(
    here: Path, retrain: Callable[..., Outcome]
) -> None:
    photo = (here / "photos/ant/0000.png").read_bytes()
    with serving(here, "album", "--reload") as running:
        names: list[str] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                told = running.label(photo)
                assert told["photos"][0]["labels"][0]["label"] == "ant"
                names.append(told["model"]["name"])

        with ThreadPoolExecutor(2) as threads:
            asking = [threads.submit(ask) for _ in range(2)]
            try:
                assert retrain("train", *QUICK_HEAD, "--name", "album-2").code == 0
                wait_for(lambda: "album-2" in names, "an answer by the newer run")
            finally:
                stop.set()
            for one in asking:
                one.result()  # a request that was lost is an error here
        log = [line for line in running.said.read_text().splitlines() if "POST /label" in line]
        assert {line.split()[4] for line in log} == {"200"}
        assert len(log) == len(names)
        assert running.ask("/v1/models/album")["model_version_status"][0]["state"] == "AVAILABLE"


def test_a_bundle_is_served_where_nothing_else_is(
    here: Path, retrain_here: Callable[..., Outcome]
) -> None:
    photo = (here / "photos/bee/0000.png").read_bytes()
    assert retrain_here("bundle", "album", "--with-backbone").code == 0
    own = retrain_here("label", "photos/bee/0000.png", "--json").json
    shutil.rmtree(here / ".retrain")
    with serving(here, "--bundle", "album.retrain", "--name", "bees") as running:
        told = running.label(photo)
        assert told["model"]["name"] == "album"
        assert running.ask("/v1/models/bees")["model_version_status"][0]["state"] == "AVAILABLE"
        scores = [one["score"] for one in told["photos"][0]["labels"]]
        assert scores == pytest.approx([one["score"] for one in own["labels"]], abs=1e-5)
        assert not running.has_loaded("libtensorflow_cc")


def test_what_cannot_be_served_is_one_line(
    here: Path, retrain_here: Callable[..., Outcome]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "something else listens" in retrain_here("serve", "--port", port).refused(2)
    assert "--host" in retrain_here("serve", "--host", "203.0.113.7").refused(2)
    assert "nosuch" in retrain_here("serve", "nosuch", "--port", 0).refused()
    assert "must be there" in retrain_here("serve", "--model", "no.onnx", "--port", 0).refused()


def test_a_missing_package_names_the_extra(
    here: Path, retrain_here: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    assert "pip install 'retrain-cli[serve]'" in retrain_here("serve").refused()


def test_it_warns_where_everybody_may_ask(
    here: Path, retrain_here: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = "retrain_cli.serving.server.run_service"
    monkeypatch.setattr(served, lambda app, service, *_: service.close())
    open_to_all = retrain_here("serve", "--host", "0.0.0.0", "--port", 0)
    assert "there is no key: set RETRAIN_API_KEY" in open_to_all.err
    monkeypatch.setenv("RETRAIN_API_KEY", "secret")
    assert "no key" not in retrain_here("serve", "--host", "0.0.0.0", "--port", 0).err
    monkeypatch.delenv("RETRAIN_API_KEY")
    assert "no key" not in retrain_here("serve", "--port", 0).err


def test_a_soak(here: Path) -> None:
    """A thousand requests, of which a quarter is bad: files and threads stay, all are answered."""
    tool = load_tool("soak_service")
    rng = np.random.default_rng(0)
    with serving(here, "--quiet") as running:
        photo = (here / "photos/ant/0000.png").read_bytes() + rng.bytes(200_000)
        where = (running.address, running.process.pid, [photo])
        tool.soak(*where, 0.0, 250, 1)  # until all threads have begun and had a large photo
        found = tool.soak(*where, 0.0, 750, 0)
        # Freed memory of up to 256 MB is kept (heap.py): whether it grows for ever takes minutes to
        # see, and is what the tool is for.
        assert found.problems(most_growth=math.inf) == []
        assert found.good.total() > 375
        assert running.process.poll() is None
