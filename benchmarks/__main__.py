"""Run the benchmarks, print tables, write JSON.

    python -m benchmarks [PART ...] [--quick] [--repeats N] [--json FILE]

Parts: extraction, training, warm; and gpu, which runs only when it is named. Every speed is a ratio
against references that are measured in turn with it in the same process; medians are told.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import retrain_cli as rt
from benchmarks import extraction, gpu, training, warm
from benchmarks.machine import describe_machine
from benchmarks.timing import Comparison


def main() -> None:
    """Measure what was asked for."""
    arguments = parse()
    results: dict[str, Any] = {"machine": asdict(describe_machine())}
    for part in arguments.parts or DEFAULT_PARTS:
        print(f"measuring {part} ...", file=sys.stderr)
        results[part] = PARTS[part](arguments)
        if arguments.json:  # after each part: the next one may be interrupted
            arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def run_extraction(arguments: argparse.Namespace) -> Any:
    """Extraction from JPEG files to the cache."""
    spec = rt.BackboneSpec(
        name=arguments.backbone,
        weights=arguments.weights,
        layer=arguments.layer,
        alpha=arguments.alpha,
        input_size=arguments.input_size,
        precision=arguments.precision,
        runtime=arguments.runtime,
    )
    few, many = (32, 64) if arguments.quick else (arguments.slow_images, arguments.images)
    bench = extraction.ExtractionBench(
        spec, arguments.photos, many, few, arguments.batch_size, tuple(arguments.references)
    )
    return show(extraction.measure(bench, arguments.repeats))


def run_training(arguments: argparse.Namespace) -> Any:
    """Training of a head."""
    steps = 200 if arguments.quick else arguments.steps
    return show(training.measure(steps, arguments.repeats))


def run_warm(arguments: argparse.Namespace) -> Any:
    """A run where everything is cached."""
    run = warm.measure(2000 if arguments.quick else arguments.files)
    print(f"warm run, {run.files:,} files: {run.seconds:.2f} s, {run.peak_megabytes:.0f} MB")
    return asdict(run)


def run_gpu(arguments: argparse.Namespace) -> Any:
    """Extraction and training on a GPU."""
    bench = gpu.GpuBench(device=arguments.device)
    if arguments.quick:
        bench = gpu.GpuBench(arguments.device, 64, (16,), ("resnet50",), input_size=64)
    if not bench.can_run:
        sys.exit("the engine sees no GPU: `retrain doctor` says what is missing")
    return {
        "extraction": show(gpu.measure(bench, arguments.repeats)),
        "training": run_training(arguments),
    }


PARTS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "extraction": run_extraction,
    "training": run_training,
    "warm": run_warm,
    "gpu": run_gpu,
}
DEFAULT_PARTS = ("extraction", "training", "warm")


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--repeats", type=int, help="rounds (default: 5, or 1 with --quick)")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try it out")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    _add_extraction(parser.add_argument_group("extraction"))
    parser.add_argument("--steps", type=int, default=2000, help="of training (default: 2000)")
    parser.add_argument("--files", type=int, default=100_000, help="of the warm run")
    parser.add_argument("--device", default="gpu", help="of the part gpu: gpu, gpu:N or cpu")
    arguments = parser.parse_args(words)
    arguments.repeats = arguments.repeats or (1 if arguments.quick else 5)
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there is {', '.join(PARTS)}")
    return arguments


def _add_extraction(group: Any) -> None:
    group.add_argument("--photos", type=Path, help="folder of photos (default: made up)")
    group.add_argument("--images", type=int, default=480, help="photos at most (default: 480)")
    group.add_argument(
        "--slow-images", type=int, default=96, help="of the slow references (default: 96)"
    )
    group.add_argument("--batch-size", type=int, default=extraction.BATCH, help="default: 32")
    group.add_argument(
        "--references",
        nargs="+",
        choices=extraction.REFERENCES,
        default=list(extraction.REFERENCES),
        help="default: all; raw alone needs no TensorFlow",
    )
    group.add_argument("--backbone", default="mini", help="default: mini")
    for name, default in (("weights", "imagenet"), ("precision", "auto"), ("runtime", "auto")):
        group.add_argument(f"--{name}", default=default, help="as in `retrain bottlenecks`")
    group.add_argument("--layer", help="as in `retrain bottlenecks`")
    group.add_argument("--alpha", type=float, help="as in `retrain bottlenecks`")
    group.add_argument("--input-size", type=int, help="as in `retrain bottlenecks`")


def show(lines: list[Comparison]) -> list[dict[str, Any]]:
    """Print comparisons, and return them for JSON."""
    table = Table()
    for heading in ("what", "rate", "reference", "its rate", "ratio", "lowest-highest", "busy"):
        table.add_column(heading, justify="left" if heading in ("what", "reference") else "right")
    for line in lines:
        table.add_row(
            line.what,
            f"{line.rate:,.1f} {line.unit}/s",
            line.reference,
            f"{line.reference_rate:,.1f}",
            f"{line.ratio:.2f}",
            f"{line.lowest:.2f}-{line.highest:.2f}",
            f"{line.busy:.0%}",
        )
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    return [asdict(line) for line in lines]


if __name__ == "__main__":
    main()
