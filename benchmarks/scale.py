"""What a photo costs here: the constants of `tools/simulate_scale.py`, and points to hold it to.

    python -m benchmarks.scale --json scale.json [--photos PHOTOS] [--sizes 500,2000]
        [--points 4000,6000,8000]

Every figure is of whole commands in processes of their own: `retrain bottlenecks` on the first two
sizes gives what a photo costs and what a command costs whatever its size, by the straight line
through both; a second run over the larger one, with all cached, what a known photo costs. What is
held of each file is told by warm runs over many tiny ones, for in a first run SQLite's cache of
pages grows beside it, to 64 MB and no further. Decoding and the forward pass are then measured
alone, so that the model can put others in their place. The points are more sizes, which no constant
is taken from.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import warm
from benchmarks.fresh import Outcome, run_retrain
from benchmarks.machine import describe_machine
from benchmarks.photos import gather_photos
from retrain_cli.backbones.loader import load_backbone
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.images.decode import decode_image
from retrain_cli.parallel import usable_processors
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workspace import Workspace

_BATCH = 32
_ALONE = 256
_KNOWN_FILES = (20_000, 60_000)


@dataclass(frozen=True)
class ScalePoint:
    """A first run of `retrain bottlenecks` on so many photos.

    Attributes:
        photos: how many.
        seconds: by the clock.
        processor_seconds: of all its processes.
        megabytes: of memory, at the peak of one process.
        disk_bytes: of the workspace, without the converted network.
    """

    photos: int
    seconds: float
    processor_seconds: float
    megabytes: float
    disk_bytes: int


@dataclass(frozen=True)
class Constants:
    """What a photo and a command cost.

    Attributes:
        backbone: its name.
        width: numbers of a bottleneck.
        processors: of this machine.
        busy: which share of them the larger run kept at work.
        start: processor seconds of a first run, whatever its size; the network is converted in it.
        photo: processor seconds a photo, all in all.
        decoding: of these for decoding.
        forward: of these for the forward pass.
        known: seconds a photo that is cached already, by the clock.
        photo_bytes: of a file.
        disk_bytes: a photo, cache and index.
        disk_start: bytes of an empty workspace.
        memory_bytes: that are held of each known file.
        memory_start: megabytes at the peak beside that, of the larger run.
    """

    backbone: str
    width: int
    processors: int
    busy: float
    start: float
    photo: float
    decoding: float
    forward: float
    known: float
    photo_bytes: float
    disk_bytes: float
    disk_start: float
    memory_bytes: float
    memory_start: float


def measure(
    spec: BackboneSpec, source: Path | None, sizes: Sequence[int], points: Sequence[int]
) -> tuple[Constants, list[ScalePoint]]:
    """Constants from the smallest and the largest of `sizes`, and the other points.

    Raises:
        RuntimeError: a command failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        few, many = (first_run(spec, source, size, Path(folder)) for size in sizes)
        known = known_seconds(spec, many.photos, Path(folder))
        photos = sorted(Path(folder, f"photos-{many.photos}").rglob("*.*"))
        photo_bytes = float(np.mean([path.stat().st_size for path in photos]))
        workspace = Workspace(Path(folder, f"workspace-{many.photos}"))
        decoding, forward, width = alone(workspace, photos[:_ALONE])
        measured = [first_run(spec, source, size, Path(folder)) for size in points]
    photo, start = line_through(few, many, "processor_seconds")
    disk, disk_start = line_through(few, many, "disk_bytes")
    held = held_bytes()
    processors = usable_processors()
    constants = Constants(
        backbone=spec.name,
        width=width,
        processors=processors,
        busy=many.processor_seconds / many.seconds / processors,
        start=start,
        photo=photo,
        decoding=decoding,
        forward=forward,
        known=known,
        photo_bytes=photo_bytes,
        disk_bytes=disk,
        disk_start=disk_start,
        memory_bytes=held,
        memory_start=many.megabytes - held * many.photos / 1e6,
    )
    return constants, measured


def first_run(spec: BackboneSpec, source: Path | None, photos: int, folder: Path) -> ScalePoint:
    """`retrain bottlenecks` on so many photos, in a workspace of its own."""
    place, workspace = folder / f"photos-{photos}", folder / f"workspace-{photos}"
    count = gather_photos(source, place, photos)
    outcome = bottlenecks(spec, place, workspace)
    kept = [path for path in workspace.rglob("*") if path.is_file()]
    disk = sum(path.stat().st_size for path in kept if "models" not in path.parts)
    return ScalePoint(
        count, outcome.seconds, outcome.processor_seconds, outcome.peak_megabytes, disk
    )


def bottlenecks(spec: BackboneSpec, photos: Path, workspace: Path) -> Outcome:
    """The command, run to its end."""
    words = ["--quiet", "--workspace", str(workspace), "bottlenecks", str(photos)]
    outcome = run_retrain(*words, "--backbone", spec.name, "--source-classes", "none")
    if outcome.code:
        raise RuntimeError(f"retrain {' '.join(words)} ended with {outcome.code}")
    return outcome


def known_seconds(spec: BackboneSpec, photos: int, folder: Path) -> float:
    """Seconds a photo of a run where all is cached, less those of one without photos."""
    place, workspace = folder / f"photos-{photos}", folder / f"workspace-{photos}"
    again = bottlenecks(spec, place, workspace).seconds
    version = run_retrain("--version").seconds
    return max(0.0, again - version) / photos


def held_bytes() -> float:
    """Bytes of memory a known file, between warm runs over few and over many."""
    few, many = (warm.measure(files, repeats=3) for files in _KNOWN_FILES)
    return 1e6 * (many.peak_megabytes - few.peak_megabytes) / (many.files - few.files)


def alone(workspace: Workspace, photos: Sequence[Path]) -> tuple[float, float, int]:
    """Processor seconds a photo of decoding and of the forward pass, and a bottleneck's width."""
    spec = LastUsed.load(workspace).backbone
    backbone = load_backbone(spec, "cpu", workspace.models_dir)
    size, started = backbone.input_size, time.process_time()
    images = np.stack([decode_image(path.read_bytes(), size, spec.resize_rule) for path in photos])
    decoding = (time.process_time() - started) / len(photos)
    width = backbone(images[:_BATCH]).shape[1]
    started = time.process_time()
    for at in range(0, len(images), _BATCH):
        backbone(images[at : at + _BATCH])
    return decoding, (time.process_time() - started) / len(photos), width


def line_through(few: ScalePoint, many: ScalePoint, what: str) -> tuple[float, float]:
    """Slope and intercept of the straight line through a figure of both."""
    first, second = getattr(few, what), getattr(many, what)
    slope = (second - first) / (many.photos - few.photos)
    return slope, first - slope * few.photos


def numbers(text: str) -> tuple[int, ...]:
    """Of `500,2000`."""
    return tuple(map(int, text.split(",")))


def main() -> None:
    """Measure, and write a JSON document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--photos", type=Path, help="folder of photos (default: made up)")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--sizes", type=numbers, default=(500, 2000))
    parser.add_argument("--points", type=numbers, default=(4000, 6000, 8000))
    asked = parser.parse_args()
    spec = BackboneSpec(asked.backbone)
    constants, points = measure(spec, asked.photos, asked.sizes, asked.points)
    document: dict[str, Any] = {
        "machine": asdict(describe_machine()),
        "constants": asdict(constants),
        "points": [asdict(point) for point in points],
    }
    asked.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(asked.json.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
