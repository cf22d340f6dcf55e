"""How many photos a second `retrain serve` answers, beside `label` on the same photos.

    python -m benchmarks.serve WORKSPACE PHOTOS [--clients 16] [--seconds 10]

The service is a process of its own; the clients are threads of this one, each with a connection
that it keeps, and share the processors with it. Every photo is sent with a byte behind its end that
no decoder sees, so that neither of the two finds it in the cache. The 99th percentile is told for
clients that ask half as often as the service can answer.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

import retrain_cli as rt
from retrain_cli.workflows.label import Labeller
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workspace import Workspace


def main() -> None:
    """Measure both in turn."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0)
    asked = parser.parse_args()
    files = sorted(path for path in asked.photos.rglob("*") if path.is_file())
    photos = [path.read_bytes() + b"\0" for path in files]
    label = label_speed(asked.workspace, photos, asked.seconds)
    command = [sys.executable, "-m", "retrain_cli", "serve", "--port", "0", "--quiet"]
    command += ["--workspace", str(asked.workspace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        ask_all(address, photos, asked.clients, 2.0)
        speed, _ = ask_all(address, photos, asked.clients, asked.seconds)
        pause = 2 * asked.clients / speed
        half, waits = ask_all(address, photos, asked.clients, asked.seconds, pause)
        process.terminate()
    p99 = np.percentile(waits, 99) * 1000
    print(f"label {label:.1f} images/s; serve {speed:.1f} images/s ({speed / label:.2f} of it)")
    print(f"at {half / speed:.0%} load: median {np.median(waits) * 1000:.1f} ms, p99 {p99:.1f} ms")


def label_speed(workspace: Path, photos: list[bytes], seconds: float) -> float:
    """Images a second of `label`, in its usual batches."""
    count = 0
    with Labeller(rt.LabelRequest(), Workspace(workspace)) as labeller:
        list(labeller.label([Source("warm", photos[0])]))
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            count += len(list(labeller.label([Source("photo", data) for data in photos])))
        return count / (time.perf_counter() - start)


def ask_all(
    address: str, photos: list[bytes], clients: int, seconds: float, every: float = 0.0
) -> tuple[float, list[float]]:
    """Images a second, and how long each took in seconds.

    Args:
        address: of the service.
        photos: what is sent, in turn.
        clients: how many ask at a time.
        seconds: for how long.
        every: seconds between two questions of a client; 0 for none.
    """
    waits: list[float] = []
    end = time.perf_counter() + seconds

    def ask(first: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(address).netloc)
        due = time.perf_counter() + every * first / clients
        for number in itertools.count(first):
            time.sleep(max(0.0, due - time.perf_counter()))
            start = time.perf_counter()
            if start >= end:
                break
            body = photos[number % len(photos)]
            connection.request("POST", "/label", body, {"Content-Type": "image/jpeg"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            waits.append(time.perf_counter() - start)
            due = max(due + every, start) if every else 0.0
        connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(waits) / seconds, waits


if __name__ == "__main__":
    main()
