"""How many photos a second `retrain serve` answers, beside `label` on the same photos.

    python -m benchmarks.serve WORKSPACE PHOTOS [--clients 16] [--repeats 5] [--by-hand MODEL.keras]

The latest run of the workspace serves, as a process of its own; the clients are one thread of this
process, which costs some hundredths of a processor (it is told) and has a connection for each of
them. `--by-hand` measures `benchmarks.handwritten_service` with that file in turn with both. Every
photo is sent with a byte behind its end that no decoder sees, so that none is found in the cache.
Beside the speeds stands the processor time of a photo, which others on the machine change less. The
99th percentile is told for clients that ask half as often as the service can answer.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

import retrain_cli as rt
from benchmarks.http_clients import ask_all, form_request, raw_request
from benchmarks.machine import describe_machine
from benchmarks.timing import REAL_CLOCK, Contestant, compare_rates
from retrain_cli.workflows.label import Labeller
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workspace import Workspace

_BY_HAND_SHARE = 8
"""It answers one photo where the others answer so many, or it takes most of the time."""


def main() -> None:
    """Measure all in turn."""
    asked = parse()
    files = sorted(path for path in asked.photos.rglob("*") if path.is_file())
    photos = [path.read_bytes() + b"\0" for path in files]
    count = asked.count or len(photos)
    with ExitStack() as stack:
        labeller = stack.enter_context(Labeller(rt.LabelRequest(), Workspace(asked.workspace)))
        sources = [Source("photo", photos[at % len(photos)]) for at in range(count)]
        others = [Contestant("label", lambda: list(labeller.label(sources)), count)]
        address, process = stack.enter_context(served(asked.workspace))
        requests = [raw_request("/label", photo) for photo in photos]
        if asked.by_hand is not None:
            by_hand = stack.enter_context(served_by_hand(asked.by_hand))
            forms = [form_request("/label", photo) for photo in photos]
            few = max(asked.clients, count // _BY_HAND_SHARE)
            others.append(
                Contestant(
                    "FastAPI + predict", lambda: ask_all(by_hand, forms, few, asked.clients), few
                )
            )
        ours = Contestant(
            f"serve, {asked.clients} clients",
            lambda: ask_all(address, requests, count, asked.clients), count,
        )  # fmt: skip
        found = compare_rates(ours, others, "images", asked.repeats)
        label_work = _work(others[0], REAL_CLOCK.worked)
        serve_work = _work(ours, lambda: _processor_seconds(process))
        every = 2 * asked.clients / found[0].rate
        start = time.perf_counter()
        waits = ask_all(address, requests, count, asked.clients, every)
        load = count / (time.perf_counter() - start) / found[0].rate
    machine = asdict(describe_machine())
    print(f"{machine['processor']}, {machine['processors']} processors, load {machine['load']}")
    for line in found:
        print(
            f"{line.what}: {line.rate:.1f} images/s, {line.ratio:.2f} ({line.lowest:.2f} to "
            f"{line.highest:.2f}) of {line.reference} ({line.reference_rate:.1f} images/s)"
        )
    print(f"the clients took {found[0].busy:.1%} of the processors")
    print(f"processor time of a photo: label {label_work:.2f} ms, serve {serve_work:.2f} ms")
    middle, p99 = np.percentile(waits, [50, 99]) * 1000
    print(f"at {load:.0%} of that speed: median {middle:.1f} ms, p99 {p99:.1f} ms")


def _work(one: Contestant, worked: Callable[[], float]) -> float:
    """Milliseconds of processor time for each photo."""
    before = worked()
    one.run()
    return (worked() - before) * 1000 / one.count


def _processor_seconds(process: int) -> float:
    """That processors have worked for another process; for Linux."""
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def parse() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--count", type=int, help="photos a round (default: as many as there are)")
    parser.add_argument("--by-hand", type=Path, help="a file of `export --format keras`")
    return parser.parse_args()


@contextmanager
def served(workspace: Path) -> Iterator[tuple[str, int]]:
    """The address of `retrain serve`, with its usual options, and the number of its process."""
    command = [sys.executable, "-m", "retrain_cli", "serve", "--port", "0", "--quiet"]
    command += ["--workspace", str(workspace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.terminate()


@contextmanager
def served_by_hand(model: Path) -> Iterator[str]:
    """The address of the service that was written by hand."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.handwritten_service", str(model), str(port)]
    with subprocess.Popen(command) as process:
        try:
            while process.poll() is None and socket.socket().connect_ex(("127.0.0.1", port)):
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
