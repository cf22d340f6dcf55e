"""What so many photos take: time, disk and memory, from constants that were measured here.

    python -m benchmarks.scale --json scale.json
    python tools/simulate_scale.py scale.json            # 10^5 to 10^9 photos, three places
    python tools/simulate_scale.py scale.json --check    # the model against the measured points
    python tools/simulate_scale.py scale.json --page docs/scale.md      # both, into the page

The model is a sum and a minimum. A photo is listed, fetched, decoded, put through the network, and
its vector written. On processors these share the cores; with a GPU the forward pass is the GPU's
and the slower side decides; from object storage the requests in flight and the line may be the
slowest of all. Workers divide the work, and their caches are then merged by one machine. It knows
of no failures, no other users, and no disk that fills up.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pages import write_between

from benchmarks.scale import Constants, ScalePoint

SIZES = tuple(10**power for power in range(5, 10))
TOLERANCE = 0.2
MERGE = 0.9 / 20_000
"""Processor seconds a row of `cache merge`, which checks each one; see docs/cluster.md."""
BEGIN, END = "<!-- scale -->", "<!-- end scale -->"


@dataclass(frozen=True)
class Place:
    """Where the work is done.

    Attributes:
        name: for people.
        cores: of one worker.
        workers: how many there are.
        gpu: photos a second of its forward pass; None without one.
        latency: seconds until a request is answered; 0 for a disk of its own.
        in_flight: requests at a time.
        line: bytes a second that one worker can fetch; None for a disk of its own.
    """

    name: str
    cores: int
    workers: int = 1
    gpu: float | None = None
    latency: float = 0.0
    in_flight: int = 64
    line: float | None = None


PLACES = (
    Place("laptop, 8 cores", 8),
    Place("one GPU, 16 cores", 16, gpu=10_000),
    Place("32 workers, 8 cores each, object storage", 8, 32, latency=0.05, line=1.25e8),
)


@dataclass(frozen=True)
class Forecast:
    """What a first run takes, and what limits it.

    Attributes:
        photos: how many.
        seconds: by the clock, merging included.
        machine_hours: of all workers together.
        disk_bytes: of the cache and the index.
        memory_bytes: at the peak of the one process that holds what is known of each file.
        limit: what the time of most photos goes to.
    """

    photos: int
    seconds: float
    machine_hours: float
    disk_bytes: float
    memory_bytes: float
    limit: str


def forecast(constants: Constants, place: Place, photos: int) -> Forecast:
    """Of a first run of `retrain bottlenecks`."""
    busy = place.cores * constants.busy
    rest = constants.photo - constants.forward
    sides = {"processors": constants.photo / busy}
    if place.gpu is not None:
        sides = {"processors": rest / busy, "GPU": 1 / place.gpu}
    if place.line is not None:
        sides["requests"] = place.latency / place.in_flight
        sides["network"] = constants.photo_bytes / place.line
    limit = max(sides, key=lambda name: sides[name])
    share = photos / place.workers
    seconds = constants.start / busy + share * sides[limit]
    merging = MERGE * photos if place.workers > 1 else 0.0
    return Forecast(
        photos,
        seconds + merging,
        place.workers * seconds / 3600 + merging / 3600,
        constants.disk_start + photos * constants.disk_bytes,
        constants.memory_start * 1e6 + photos * constants.memory_bytes,
        limit,
    )


def here(constants: Constants) -> Place:
    """The machine that the constants are of."""
    return Place("this machine", constants.processors)


def table(constants: Constants) -> str:
    """The forecasts, as Markdown."""
    lines = [
        "| photos | where | time | limited by | machine hours | disk | memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for photos in SIZES:
        for place in PLACES:
            found = forecast(constants, place, photos)
            lines.append(
                f"| {photos:,} | {place.name} | {duration(found.seconds)} | {found.limit} | "
                f"{found.machine_hours:,.1f} | {size(found.disk_bytes)} | "
                f"{size(found.memory_bytes)} |"
            )
    return "\n".join(lines)


def check(constants: Constants, points: Sequence[ScalePoint]) -> tuple[str, bool]:
    """The model against measured points, as Markdown, and whether all are within the tolerance."""
    lines = ["| photos | what | measured | forecast | ratio |", "|---|---|---|---|---|"]
    good = True
    for point in points:
        found = forecast(constants, here(constants), point.photos)
        for what, measured, expected, form in (
            ("time", point.seconds, found.seconds, duration),
            ("disk", point.disk_bytes, found.disk_bytes, size),
            ("memory", point.megabytes * 1e6, found.memory_bytes, size),
        ):
            ratio = expected / measured
            good = good and abs(ratio - 1) <= TOLERANCE
            lines.append(
                f"| {point.photos:,} | {what} | {form(measured)} | {form(expected)} | {ratio:.2f} |"
            )
    return "\n".join(lines), good


def costs(constants: Constants) -> str:
    """The constants, as Markdown."""
    rows = {
        f"a photo, {constants.backbone}, all in all": f"{1000 * constants.photo:.1f} ms",
        "of that decoding": f"{1000 * constants.decoding:.1f} ms",
        "of that the forward pass": f"{1000 * constants.forward:.1f} ms",
        "a first run, whatever its size": f"{constants.start:.1f} s",
        f"processors at work, of {constants.processors}": f"{constants.busy:.0%}",
        "a photo that is cached already, by the clock": f"{1000 * constants.known:.2f} ms",
        "disk, a photo": size(constants.disk_bytes),
        "memory, a photo": size(constants.memory_bytes),
        "memory, whatever the size": size(1e6 * constants.memory_start),
        "a file": size(constants.photo_bytes),
    }
    lines = [f"| {what} | {cost} |" for what, cost in rows.items()]
    return "\n".join(
        ["| what, in processor time where nothing else is said | costs |", "|---|---|", *lines]
    )


def duration(seconds: float) -> str:
    """In the unit that fits."""
    for unit, length in (("years", 31_557_600), ("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.1f} s"


def size(count: float) -> str:
    """Bytes in the unit that fits."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:,.1f} {unit}"
    return f"{count / 1e3:,.1f} kB"


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("constants", type=Path, help="what `python -m benchmarks.scale` wrote")
    parser.add_argument("--check", action="store_true", help="against the measured points")
    parser.add_argument("--page", type=Path, help="write all tables into this page")
    asked = parser.parse_args()
    document = json.loads(asked.constants.read_text(encoding="utf-8"))
    constants = Constants(**document["constants"])
    checked, good = check(constants, [ScalePoint(**point) for point in document["points"]])
    if asked.page is not None:
        tables = (costs(constants), checked, table(constants))
        write_between(asked.page, BEGIN, END, "\n\n".join(tables))
        return 0
    print(checked if asked.check else table(constants))
    return 0 if good or not asked.check else 1


if __name__ == "__main__":
    sys.exit(main())
