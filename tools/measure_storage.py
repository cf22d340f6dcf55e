"""How fast photos come out of a bucket, and how much memory that takes: docs/sources.md.

    python tools/measure_storage.py PHOTOS [--latency 20]

PHOTOS is a folder with a sub-folder a class. An S3 server (moto) on this machine holds them; each
answer of it is held back by so many milliseconds, as a real one takes. They are read and decoded,
without a network behind it.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_ROOT), str(_ROOT / "tests")]

# isort: split
from object_storage import ENVIRONMENT, Fault, running_storage  # noqa: E402

from retrain_cli.datasets.sources.photo_source import source_of  # noqa: E402
from retrain_cli.extraction.readers import ThreadReaders  # noqa: E402
from retrain_cli.extraction.reading import read_ready  # noqa: E402
from retrain_cli.images.decode import decode_image  # noqa: E402
from retrain_cli.storage import buckets  # noqa: E402
from retrain_cli.storage.urls import absolute_place  # noqa: E402

_SIDE = 224


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--latency", type=float, default=20.0, help="milliseconds an answer")
    parser.add_argument("--serve", action="store_true", help="be the server, to the end of input")
    arguments = parser.parse_args()
    if arguments.serve:
        _serve(arguments.photos, arguments.latency / 1000)
        return
    _tell("local disk", str(arguments.photos.resolve()))
    with subprocess.Popen(
        [sys.executable, *sys.argv, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().decode().strip()
        os.environ.update(ENVIRONMENT | {"AWS_ENDPOINT_URL": url})
        for requests in (1, 8, 32):
            buckets.REQUESTS = requests  # type: ignore[misc]
            _tell(f"bucket, {requests} in flight", "s3://bucket/photos")
        server.communicate()  # its input ends


def _serve(photos: Path, seconds: float) -> None:
    """A process of its own, so that both ends do not wait for one lock of Python's."""
    with running_storage() as storage:
        storage.upload(photos, "bucket/photos")
        storage.faults = partial(_slow, seconds)
        print(storage.url, flush=True)
        sys.stdin.read()


def _slow(seconds: float, method: str, path: str) -> Fault | None:
    threading.Event().wait(seconds)
    return None


def _tell(title: str, root: str) -> None:
    started = time.perf_counter()
    source = source_of(absolute_place(root))
    folders = list(source.folders(source.layout("classes")))
    listed, used = time.perf_counter(), time.process_time()
    places = [
        str(source.locate(f"{one.path}/{file.name}")) for one in folders for file in one.files
    ]
    decode = partial(decode_image, size=(_SIDE, _SIDE))
    with ThreadReaders(decode, None, 2) as readers:
        good = sum(seen.problem is None for _, seen in read_ready(readers, places, str, 64))
    seconds, used = time.perf_counter() - listed, time.process_time() - used
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(
        f"{title}: listed in {listed - started:.2f} s, {good / seconds:,.0f} photos/s, "
        f"{1000 * used / good:.1f} ms of processor a photo, "
        f"peak {memory} MiB",
        flush=True,
    )


if __name__ == "__main__":
    main()
