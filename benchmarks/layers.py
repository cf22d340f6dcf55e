"""One pass for all blocks against a usual extraction, in turn, in the same process.

    python -m benchmarks.layers PHOTOS --backbone mobilenet_v2 --weights FILE --photos 1000

Each repeat extracts the same photos into two new caches: the bottlenecks of the last layer, and the
pooled output of every block, which is what `study layers` does before its heads. The two take turns
at being first. What is told is the median of the ratios; above 1 the pass takes longer.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from retrain_cli.backbones.loader import LazyBackbone, loader_of
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.workflows.bottlenecks import BottleneckRequest, extract, open_dataset
from retrain_cli.workflows.shared.all_layers import with_all_blocks
from retrain_cli.workspace import Workspace


@dataclass(frozen=True)
class LayersPass:
    """What was measured.

    Attributes:
        photos: how many were extracted.
        layers: how many layers the pass gives.
        plain_seconds: median of the usual extraction.
        all_seconds: median of the pass for all blocks.
        ratio: median of the ratios, each of two that ran one after the other.
    """

    photos: int
    layers: int
    plain_seconds: float
    all_seconds: float
    ratio: float


def measure(spec: BackboneSpec, photos: Path, repeats: int) -> LayersPass:
    """Extract `photos` both ways, `repeats` times; the networks are converted before."""
    wide = with_all_blocks(spec)
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        for one in (spec, wide):
            _seconds(one, photos, Path(folder) / "first", models)
        pairs, count = [], 0
        for repeat in range(repeats):
            order = (spec, wide) if repeat % 2 else (wide, spec)
            taken = {}
            for one in order:
                place = Path(folder) / f"{repeat}-{one is wide}"
                taken[one is wide], count = _seconds(one, photos, place, models)
            pairs.append((taken[False], taken[True]))
    return LayersPass(
        count,
        len(wide.layers),
        statistics.median(plain for plain, _ in pairs),
        statistics.median(every for _, every in pairs),
        statistics.median(every / plain for plain, every in pairs),
    )


def _seconds(spec: BackboneSpec, photos: Path, root: Path, models: Path) -> tuple[float, int]:
    """Seconds of the extraction alone, the backbone being loaded, and how many photos it took."""
    workspace = Workspace(root)
    workspace.prepare()
    models.mkdir(exist_ok=True)
    if not workspace.models_dir.exists():
        workspace.models_dir.parent.mkdir(parents=True, exist_ok=True)
        workspace.models_dir.symlink_to(models, target_is_directory=True)
    request = BottleneckRequest(photos, spec)
    with open_dataset(request, workspace) as opened:
        backbone = LazyBackbone(opened.used.backbone, "cpu", loader_of(workspace))
        backbone.load()
        started = time.perf_counter()
        counts = extract(opened, backbone, request.settings, lambda counts: None)
        return time.perf_counter() - started, counts.computed


def some_photos(source: Path, target: Path, count: int) -> Path:
    """Links to so many photos, taken in turn from each class."""
    classes = [sorted(one.iterdir()) for one in sorted(source.iterdir()) if one.is_dir()]
    in_turn = (
        files[place]
        for place in range(max(map(len, classes)))
        for files in classes
        if place < len(files)
    )
    for path in islice(in_turn, count):
        place = target / path.parent.name / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(path.resolve())
    return target


def main() -> None:
    """Measure and print a line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="photos in a folder a class")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    spec = replace(BackboneSpec(options.backbone), weights=options.weights).resolve()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(
            spec, some_photos(options.folder, Path(folder), options.photos), options.repeats
        )
    print(
        f"{found.photos:,} photos: the last layer {found.plain_seconds:.1f} s, {found.layers} "
        f"layers {found.all_seconds:.1f} s, ratio {found.ratio:.2f}"
    )


if __name__ == "__main__":
    main()
