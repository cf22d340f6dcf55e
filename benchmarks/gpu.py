"""Is a fast device kept fed? End to end against its two limits: the raw pass, and decoding alone.

Photos are made up and weights are random, so that no data is needed. To be run where a GPU is, with
KERAS_BACKEND=jax, torch or tensorflow; TensorFlow itself need not be installed.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import retrain_cli as rt
from benchmarks import decoding
from benchmarks.extraction import ExtractionBench, OurExtraction, raw_contestant
from benchmarks.photos import gather_photos
from benchmarks.timing import Comparison, Contestant, compare_each
from retrain_cli.backbones.loader import Backbone
from retrain_cli.backbones.precisions import Precision
from retrain_cli.engine import list_gpus


@dataclass(frozen=True)
class GpuBench:
    """What to measure.

    Attributes:
        device: as in `retrain bottlenecks`; cpu to try the benchmark itself out.
        images: photos.
        batches: sizes of a batch.
        backbones: which networks.
        precision: what they compute in.
        input_size: side in pixels; None for each network's own.
        side: longer side of the photos, in pixels.
    """

    device: str = "gpu"
    images: int = 8192
    batches: tuple[int, ...] = (64, 128, 256, 512)
    backbones: tuple[str, ...] = ("inception_v3", "efficientnet_lite0")
    precision: Precision = "bfloat16"
    input_size: int | None = None
    side: int = 400

    @property
    def can_run(self) -> bool:
        """Whether there is such a device."""
        return self.device == "cpu" or bool(list_gpus())


def measure(bench: GpuBench, repeats: int) -> list[Comparison]:
    """Compare extraction with both limits, for each network and batch size."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        count = gather_photos(None, photos, bench.images, bench.side)
        for name in bench.backbones:
            spec = rt.BackboneSpec(
                name=name,
                weights="random",
                precision=bench.precision,
                runtime="keras",
                input_size=bench.input_size,
            )
            lines += _measure(bench, spec, photos, count, repeats)
    return lines


def _measure(
    bench: GpuBench, spec: rt.BackboneSpec, photos: Path, count: int, repeats: int
) -> list[Comparison]:
    """All batch sizes of a network in turn, so that each has the same limits."""
    backbone = rt.load_backbone(spec, bench.device)
    limits = [
        decoding.contestant(kind, photos, backbone.input_size, count) for kind in decoding.KINDS
    ]
    pairs = []
    for batch in bench.batches:
        ours = _ours(bench, spec, photos, batch, backbone, count)
        raw = raw_contestant("its own raw pass", backbone, batch, count)
        pairs += [(ours, limit) for limit in (raw, *limits)]
    return compare_each(pairs, "images", repeats)


def _ours(
    bench: GpuBench,
    spec: rt.BackboneSpec,
    photos: Path,
    batch: int,
    backbone: Backbone,
    count: int,
) -> Contestant:
    case = ExtractionBench(spec, photos, count, batch=batch, device=bench.device)
    workspace = photos.with_name(f"{spec.name}-{batch}")
    extraction = OurExtraction(case, photos, workspace, backbone)
    name = f"{spec.resolve().label()} on {bench.device}, batch {batch}"
    return Contestant(name, extraction.run, count)
