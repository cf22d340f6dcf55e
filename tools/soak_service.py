"""Ask a service for a long time, for good photos and for bad ones, and see that it stays as it is.

    retrain serve --port 8080 --quiet &
    python tools/soak_service.py http://127.0.0.1:8080 $! --minutes 60 [--photos FOLDER]

16 clients send good photos, some of them for similar ones, heatmaps or as TensorFlow Serving's
clients do, and every fourth time what `hostile_requests.py` draws. Meanwhile the memory of the
service's processes, their open files and threads are looked at. A line is fitted to the memory of
the last two thirds of the time, by least squares. It ends with 1 where that line rises by more than
`--most-growth`, where files or threads are more at the end than after a third of the time, or where
a good photo was not answered with 200, or anything with a status of 500 or more. For Linux.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from hostile_requests import Attacks, Request, good_photo, request, send

CLIENTS = 16
_EVERY = 0.25  # seconds between two looks
_PATIENCE = 60.0  # seconds that a good photo may take
_PATHS = ("/label", "/label", "/label?similar=3", "/label?heatmap=1", "predict")
_AT_WORK = 2 * CLIENTS
"""Connections and threads of requests that are on their way, which come and go."""


@dataclass(frozen=True)
class Look:
    """What a service has: MB of memory of its own process; open files and threads of all.

    Processes that decode single photos come and go, and so does their memory.
    """

    at: float
    megabytes: float
    files: int
    threads: int


@dataclass(frozen=True)
class Soaked:
    """What came of it.

    Attributes:
        looks: in order of time.
        good: how many answers to good photos there were of each status.
        bad: the same of bad requests; 0 for no answer.
    """

    looks: Sequence[Look]
    good: Counter[int]
    bad: Counter[int]

    @property
    def settled(self) -> Sequence[Look]:
        """The last two thirds."""
        return self.looks[len(self.looks) // 3 :]

    @property
    def growth(self) -> float:
        """MB by which the fitted line rises over the last two thirds."""
        at = np.array([look.at for look in self.settled])
        slope = np.polyfit(at - at[0], [look.megabytes for look in self.settled], 1)[0]
        return float(slope * (at[-1] - at[0]))

    def problems(self, most_growth: float) -> list[str]:
        """What is wrong, a line each."""
        first, last = self.settled[0], self.settled[-1]
        found = {
            f"memory grew by {self.growth:.1f} MB": self.growth > most_growth,
            f"open files went from {first.files} to {last.files}": last.files
            > first.files + _AT_WORK,
            f"threads went from {first.threads} to {last.threads}": last.threads
            > first.threads + _AT_WORK,
            f"good photos were answered with {dict(self.good)}": set(self.good) != {200},
            f"statuses of bad requests were {dict(self.bad)}": any(one >= 500 for one in self.bad),
        }
        return [words for words, is_so in found.items() if is_so]


def soak(
    address: str, process: int, photos: Sequence[bytes], seconds: float, requests: int, seed: int
) -> Soaked:
    """Ask until both the seconds and the requests are over.

    Args:
        address: of the service.
        process: its number.
        photos: good ones.
        seconds: how long at least.
        requests: how many at least.
        seed: of what is sent.
    """
    parts = urlsplit(address)
    where = (parts.hostname or "127.0.0.1", parts.port or 80)
    start = time.monotonic()
    good: Counter[int] = Counter()
    bad: Counter[int] = Counter()

    def is_over() -> bool:
        late = time.monotonic() - start >= seconds
        return late and good.total() + bad.total() >= requests

    def ask(number: int) -> None:
        draw = random.Random(seed * CLIENTS + number)
        attacks = Attacks(photos[0], seed * CLIENTS + number)
        while not is_over():
            if draw.random() < 0.25:
                bad[send(*where, attacks.draw())] += 1
            else:
                good[send(*where, good_request(draw, photos), _PATIENCE)] += 1

    looks = []
    with ThreadPoolExecutor(CLIENTS) as threads:
        asking = [threads.submit(ask, number) for number in range(CLIENTS)]
        while not all(one.done() for one in asking):
            looks.append(look(process, time.monotonic() - start))
            time.sleep(_EVERY)
        for one in asking:
            one.result()
    return Soaked(looks, good, bad)


def good_request(draw: random.Random, photos: Sequence[bytes]) -> Request:
    """One that has to be answered, of a photo whose digest is new."""
    photo = draw.choice(photos) + draw.randbytes(8)
    path = draw.choice(_PATHS)
    if path != "predict":
        return request(path, photo, "image/jpeg")
    body = json.dumps({"instances": [{"b64": base64.b64encode(photo).decode()}] * 2})
    return request("/v1/models/default:predict", body.encode(), "application/json")


def look(process: int, at: float) -> Look:
    """What a process and those that it started have now."""
    pages = files = threads = 0
    for number in [process, *children_of(process)]:
        folder = Path(f"/proc/{number}")
        try:
            pages += int((folder / "statm").read_text().split()[1]) if number == process else 0
            files += len([*(folder / "fd").iterdir()])
            threads += len([*(folder / "task").iterdir()])
        except OSError:  # one of them has ended
            continue
    return Look(at, pages * os.sysconf("SC_PAGE_SIZE") / 1e6, files, threads)


def children_of(process: int) -> list[int]:
    """The numbers of the processes that a process has started and that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            parent = path.read_text().rpartition(")")[2].split()[1]
            if int(parent) == process:
                found.append(int(path.parent.name))
    return found


def main() -> None:
    """Soak, and tell what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("address")
    parser.add_argument("process", type=int, help="its number")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--photos", type=Path, help="a folder (default: one photo of noise)")
    parser.add_argument("--most-growth", type=float, default=32.0, help="MB")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    photos = [good_photo()]
    if asked.photos is not None:
        photos = [path.read_bytes() for path in sorted(asked.photos.rglob("*.jpg"))]
    found = soak(asked.address, asked.process, photos, 60 * asked.minutes, 0, asked.seed)
    total = found.good.total() + found.bad.total()
    memory = [one.megabytes for one in found.settled]
    last = found.looks[-1]
    print(f"{total} requests in {last.at:.0f} s; good photos {dict(found.good)}")
    print(f"bad requests {dict(sorted(found.bad.items()))}")
    print(
        f"memory {found.looks[0].megabytes:.0f} MB at the start, {min(memory):.0f} to "
        f"{max(memory):.0f} MB later; the fitted line rises by {found.growth:.1f} MB, which is "
        f"{found.growth * 1e6 / (total * 2 / 3):.0f} bytes a request"
    )
    print(
        f"open files {found.settled[0].files} to {last.files}, "
        f"threads {found.settled[0].threads} to {last.threads}"
    )
    problems = found.problems(asked.most_growth)
    for line in problems:
        print(line)
    sys.exit(int(bool(problems)))


if __name__ == "__main__":
    main()
