"""Measure every backbone's size, and its speed relative to Inception v3 on this processor.

    python tools/measure_backbones.py --work FOLDER [NAME ...]

Its lines are those of `retrain_cli/backbones/published.py`. Weights are random, for speed does not
depend on them, so that nothing is downloaded. Each network is converted for OpenVINO as
`retrain bottlenecks` does, and computes on one core, in turn with Inception v3 of the same
precision; the ratio is the median over the rounds of processor time a photo, on ready arrays.
Converted networks are kept in FOLDER, so that the tool goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_machine
from retrain_cli.backbones.precisions import Precision
from retrain_cli.backbones.runtimes.conversion import convert_backbone
from retrain_cli.backbones.runtimes.kept_models import KeptModel, find_kept_model
from retrain_cli.backbones.runtimes.keras_model import build_keras_backbone
from retrain_cli.backbones.runtimes.quantisation import quantise
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.table import DEFAULT_BACKBONE, KERAS_BACKBONES
from retrain_cli.engine import openvino_core

PRECISIONS: tuple[Precision, ...] = ("float32", "int8")
PHOTOS = 4
CALIBRATION = 12
"""Scales are of no interest here, so a dozen of photos of noise will do."""


def main() -> None:
    """Print a line for each backbone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="default: all")
    parser.add_argument("--work", type=Path, required=True, help="for the converted networks")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--least", type=float, default=0.4, help="seconds a round; default: 0.4")
    parser.add_argument("--sizes", action="store_true", help="count parameters instead")
    parser.add_argument("--precision", choices=PRECISIONS, help="default: both")
    arguments = parser.parse_args()
    names = arguments.names or list(KERAS_BACKBONES)
    print(describe_machine(), flush=True)
    if arguments.sizes:
        for name in names:
            print(f"{name} parameters={_parameters(name)}", flush=True)
        return
    for precision in [arguments.precision] if arguments.precision else PRECISIONS:
        reference = Contender(DEFAULT_BACKBONE, precision, arguments.work)
        for name in names:
            one = Contender(name, precision, arguments.work)
            ratios = [
                reference.seconds_each(arguments.least) / one.seconds_each(arguments.least)
                for _ in range(arguments.rounds)
            ]
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            print(
                f"{name} {precision} speed={statistics.median(ratios):.2f} ({spread})", flush=True
            )


class Contender:
    """A network on one core, with photos of noise to compute."""

    def __init__(self, name: str, precision: Precision, work: Path) -> None:
        spec = BackboneSpec(name, weights="random", precision=precision, runtime="openvino")
        kept = _kept(spec.resolve(), work)
        model = openvino_core().read_model(kept.xml)
        hints: dict[str, Any] = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino_core().compile_model(model, "CPU", hints)
        self._request = compiled.create_infer_request()
        size = KERAS_BACKBONES[name].input_size
        self._photos = _noise(PHOTOS, size)
        self._request.infer(self._photos)

    def seconds_each(self, least: float) -> float:
        """Processor time a photo, over at least so many seconds."""
        done, started = 0, time.process_time()
        while (passed := time.process_time() - started) < least or not done:
            self._request.infer(self._photos)
            done += PHOTOS
        return passed / done if passed else 0.0


def _parameters(name: str) -> int:
    """Numbers in its weights, without a classifier."""
    spec = BackboneSpec(name, weights="random").resolve().settled_on_own()
    return int(build_keras_backbone(spec, "cpu:0").model.count_params())


def _kept(spec: BackboneSpec, work: Path) -> KeptModel:
    kept = find_kept_model(work, spec)
    if kept is not None:
        return kept
    if spec.precision != "int8":
        return convert_backbone(spec, work)
    size = spec.input_size or 0
    base = BackboneSpec(spec.name, weights="random", precision="float32", runtime="openvino")
    return quantise(
        _kept(base.resolve(), work), spec, work, lambda: list(_noise(CALIBRATION, size))
    )


def _noise(count: int, size: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


if __name__ == "__main__":
    main()
