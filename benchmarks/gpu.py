"""Is a fast device kept fed? End to end against its two limits: the raw pass, and decoding alone.

Decoding is done by processes and by threads, to see which of them feed the device.

Photos are made up and weights are random, so that no data is needed. To be run where a GPU is, with
KERAS_BACKEND=jax or tensorflow.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import retrain_cli as rt
from benchmarks import decoding
from benchmarks.extraction import ExtractionBench, OurExtraction, raw_contestant
from benchmarks.photos import gather_photos
from benchmarks.timing import Comparison, Contestant, compare_rates
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
    """

    device: str = "gpu"
    images: int = 8192
    batches: tuple[int, ...] = (64, 128, 256, 512)
    backbones: tuple[str, ...] = ("inception_v3", "resnet50")
    precision: Precision = "bfloat16"
    input_size: int | None = None

    @property
    def can_run(self) -> bool:
        """Whether there is such a device."""
        return self.device == "cpu" or bool(list_gpus())


def measure(bench: GpuBench, repeats: int) -> list[Comparison]:
    """Compare extraction with both limits, for each network and batch size."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        count = gather_photos(None, photos, bench.images)
        for name in bench.backbones:
            for batch in bench.batches:
                spec = rt.BackboneSpec(
                    name=name,
                    weights="random",
                    precision=bench.precision,
                    runtime="keras",
                    input_size=bench.input_size,
                )
                case = ExtractionBench(spec, photos, count, batch=batch, device=bench.device)
                workspace = Path(folder, f"{name}-{batch}")
                lines += _measure(case, workspace, repeats)
    return lines


def _measure(case: ExtractionBench, workspace: Path, repeats: int) -> list[Comparison]:
    assert case.photos is not None
    ours = OurExtraction(case, case.photos, workspace)
    ours.run()
    size = ours.backbone.input_size
    limits = [
        raw_contestant("its own raw pass", ours.backbone, case.batch, case.images),
        *(decoding.contestant(kind, case.photos, size, case.images) for kind in decoding.KINDS),
    ]
    name = f"{ours.label}, batch {case.batch}"
    return compare_rates(Contestant(name, ours.run, case.images), limits, "images", repeats)
