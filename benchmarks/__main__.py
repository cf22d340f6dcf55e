"""Run the benchmarks, print tables, write JSON.

    python -m benchmarks [PART ...] [--quick] [--repeats N] [--json FILE]

Parts: extraction, decoding, training, warm, reading; and backbones, memory, growth, cache-size,
from-disk, gpu and engines, which take long and run only when they are named. `--quick` takes small
sizes, to try it out. Every speed is a ratio against references that are measured in turn with it in
the same process; medians are told.
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
from benchmarks import (
    backbones,
    cache_size,
    decoding,
    engines,
    extraction,
    from_disk,
    gpu,
    growth,
    memory,
    reading,
    training,
    warm,
)
from benchmarks.machine import describe_machine
from benchmarks.timing import Comparison
from retrain_cli.backbones.table import SUCCESSOR
from retrain_cli.cache.vector_rows import CACHE_DTYPES


def main() -> None:
    """Measure what was asked for."""
    arguments = parse()
    results: dict[str, Any] = {"machine": asdict(describe_machine())}
    for part in arguments.parts or DEFAULT_PARTS:
        print(f"measuring {part} ...", file=sys.stderr)
        results[part] = PARTS[part](arguments)
        if arguments.json:  # after each part: the next one may be interrupted
            arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def asked_backbone(arguments: argparse.Namespace) -> rt.BackboneSpec:
    """The backbone that the options name."""
    return rt.BackboneSpec(
        name=arguments.backbone,
        weights=arguments.weights,
        layer=arguments.layer,
        alpha=arguments.alpha,
        input_size=arguments.input_size,
        precision=arguments.precision,
        runtime=arguments.runtime,
    )


def run_extraction(arguments: argparse.Namespace) -> Any:
    """Extraction from JPEG files to the cache."""
    few, many = (32, 64) if arguments.quick else (arguments.slow_images, arguments.images)
    bench = extraction.ExtractionBench(
        asked_backbone(arguments),
        arguments.photos,
        many,
        few,
        arguments.batch_size,
        tuple(arguments.references),
        readers=arguments.readers,
    )
    return show(extraction.measure(bench, arguments.repeats))


def run_backbones(arguments: argparse.Namespace) -> Any:
    """Extraction with EfficientNet-Lite against the backbone that is named."""
    images = 32 if arguments.quick else arguments.images
    spec = asked_backbone(arguments)
    return show(backbones.measure(spec, arguments.photos, images, arguments.repeats))


def run_decoding(arguments: argparse.Namespace) -> Any:
    """Reading and decoding alone, by processes and by threads."""
    images = 64 if arguments.quick else max(arguments.images, 2000)
    return show(decoding.measure(arguments.photos, images, (96, 299), arguments.repeats))


def run_training(arguments: argparse.Namespace) -> Any:
    """Training of a head: steps a second, and time to a loss."""
    speed = show(training.measure(arguments.steps, arguments.repeats))
    to_loss = training.measure_to_loss(arguments.repeats)
    for line in to_loss:
        print(f"{line.what}: {line.seconds:.2f} s; ratio {line.ratio:.2f}")
    return {"speed": speed, "to_loss": [asdict(line) for line in to_loss]}


def run_warm(arguments: argparse.Namespace) -> Any:
    """A run where everything is cached."""
    run = warm.measure(arguments.files, arguments.repeats)
    print(f"warm run, {run.files:,} files: {run.seconds:.2f} s, {run.peak_megabytes:.0f} MB")
    return asdict(run)


def run_reading(arguments: argparse.Namespace) -> Any:
    """Vectors from the cache into training."""
    return show(reading.measure(arguments.files, arguments.repeats))


def run_memory(arguments: argparse.Namespace) -> Any:
    """Peak memory of extraction and fine-tuning; training on more vectors than may be held."""
    extracted = memory.measure_extraction((100, 200) if arguments.quick else (1000, 20_000))
    for run in extracted:
        print(f"extraction of {run.images:,} images: {run.peak_megabytes:.0f} MB at the peak")
    tuned = memory.measure_tuning((100, 300) if arguments.quick else (1000, 3000))
    for one in tuned:
        print(f"fine-tuning on {one.images:,} images: {one.peak_megabytes:.0f} MB at the peak")
    limited = memory.measure_training(20_000 if arguments.quick else 500_000)
    for trained in limited:
        print(
            f"training on {trained.vectors_megabytes:,.0f} MB under {trained.limit} "
            f"{trained.limit_megabytes:,.0f} MB: held in memory exit {trained.held}, mapped exit "
            f"{trained.mapped} after {trained.seconds:.0f} s, {trained.steps_per_second} steps/s"
        )
    found: dict[str, Sequence[Any]] = {
        "extraction": extracted,
        "fine-tuning": tuned,
        "training": limited,
    }
    return {name: list(map(asdict, some)) for name, some in found.items()}


def run_growth(arguments: argparse.Namespace) -> Any:
    """Time and memory of every phase against its size."""
    return growth.measure(arguments.quick, arguments.repeats, arguments.figure)


def run_cache_size(arguments: argparse.Namespace) -> Any:
    """A cache file and an index of files that grow to millions of rows."""
    sizes = (10_000, 20_000) if arguments.quick else tuple(arguments.rows)
    cache, checking, index, divided = cache_size.measure(
        sizes, arguments.cache_dtype, arguments.disk
    )
    for name, grown in (("cache", cache), ("index of files", index)):
        lines: list[dict[str, Any]] = [*map(asdict, grown)]
        lines.append({"rows": cache_size.FORECAST, **cache_size.forecast(grown)})
        print_table(f"{name}; the last line is a forecast", lines)
    print_table("checking", [asdict(checking)])
    print_table("one file, and sixteen", [*map(asdict, divided)])
    return {
        "dtype": arguments.cache_dtype,
        "cache": [*map(asdict, cache)],
        "checking": asdict(checking),
        "index": [*map(asdict, index)],
        "divided": [*map(asdict, divided)],
    }


def run_from_disk(arguments: argparse.Namespace) -> Any:
    """Training on vectors that memory does not hold."""
    images, steps = (20_000, 200) if arguments.quick else (arguments.trained, 4000)
    runs = [asdict(one) for one in from_disk.measure(images, steps)]
    print_table("training", runs)
    return runs


def print_table(title: str, lines: Sequence[dict[str, Any]]) -> None:
    """Figures by their names, a line each."""
    table = Table(title=title)
    for heading in lines[0]:
        table.add_column(heading, justify="right")
    for line in lines:
        table.add_row(*map(_cell, line.values()))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def run_gpu(arguments: argparse.Namespace) -> Any:
    """Extraction and training on a GPU."""
    images, batches = arguments.gpu_images, tuple(arguments.batches)
    bench = gpu.GpuBench(arguments.device, images, batches, tuple(arguments.networks))
    if arguments.quick:
        bench = gpu.GpuBench(arguments.device, 64, (16,), ("resnet50",), input_size=64)
    if not bench.can_run:
        sys.exit("the engine sees no GPU: `retrain doctor` says what is missing")
    return {
        "extraction": show(gpu.measure(bench, arguments.repeats)),
        "training": show(training.measure(arguments.steps, arguments.repeats)),
    }


def run_engines(arguments: argparse.Namespace) -> Any:
    """The same work on every engine of Keras that is installed."""
    runs = engines.measure(arguments.device)
    for one in runs:
        apart = ", ".join(f"{name} {value:.1e}" for name, value in one.difference.items())
        took = ", ".join(f"{step} {seconds:.0f} s" for step, seconds in one.seconds.items())
        print(f"{one.engine} on {one.device}: {apart} from {runs[0].engine}; top-1 {one.top1:.1%}")
        print(f"  fine-tuned {one.tuned_top1:.1%}; {took}")
    return list(map(asdict, runs))


PARTS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "extraction": run_extraction,
    "backbones": run_backbones,
    "decoding": run_decoding,
    "training": run_training,
    "warm": run_warm,
    "reading": run_reading,
    "memory": run_memory,
    "growth": run_growth,
    "cache-size": run_cache_size,
    "from-disk": run_from_disk,
    "gpu": run_gpu,
    "engines": run_engines,
}
DEFAULT_PARTS = ("extraction", "decoding", "training", "warm", "reading")


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
    parser.add_argument("--steps", type=int, help="of training (default: 10000)")
    parser.add_argument("--files", type=int, help="of warm run and reading (default: 100000)")
    parser.add_argument("--figure", type=Path, help="where `growth` draws its figure (.svg, .png)")
    _add_large(parser.add_argument_group("cache-size and from-disk"))
    _add_gpu(parser.add_argument_group("gpu and engines"))
    arguments = parser.parse_args(words)
    arguments.repeats = arguments.repeats or (1 if arguments.quick else 5)
    arguments.steps = arguments.steps or (500 if arguments.quick else 10_000)
    arguments.files = arguments.files or (2000 if arguments.quick else 100_000)
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
    group.add_argument("--readers", default="auto", help="as in `retrain bottlenecks`")
    group.add_argument("--batch-size", type=int, default=extraction.BATCH, help="default: 32")
    group.add_argument(
        "--references",
        nargs="+",
        choices=extraction.REFERENCES,
        default=list(extraction.REFERENCES),
        help="default: all; raw alone needs no TensorFlow",
    )
    group.add_argument("--backbone", default=SUCCESSOR, help=f"default: {SUCCESSOR}")
    for name, default in (("weights", "imagenet"), ("precision", "auto"), ("runtime", "auto")):
        group.add_argument(f"--{name}", default=default, help="as in `retrain bottlenecks`")
    group.add_argument("--layer", help="as in `retrain bottlenecks`")
    group.add_argument("--alpha", type=float, help="as in `retrain bottlenecks`")
    group.add_argument("--input-size", type=int, help="as in `retrain bottlenecks`")


def _add_large(group: Any) -> None:
    sizes = (100_000, 200_000, 500_000, 1_000_000, 1_500_000, 2_000_000)
    group.add_argument("--rows", type=int, nargs="+", default=sizes, help="sizes, ascending")
    group.add_argument("--trained", type=int, default=400_000, help="images of from-disk")
    group.add_argument("--cache-dtype", default="float16", choices=CACHE_DTYPES)
    group.add_argument("--disk", type=Path, help="folder on the disk to measure (default: that of "
                       "temporary files); 2 million rows take 6 GB")  # fmt: skip


def _add_gpu(group: Any) -> None:
    bench = gpu.GpuBench()
    group.add_argument("--device", default=bench.device, help="gpu, gpu:N or cpu")
    group.add_argument(
        "--gpu-images", type=int, default=bench.images, help=f"default: {bench.images}"
    )
    group.add_argument("--batches", type=int, nargs="+", default=bench.batches, help="their sizes")
    group.add_argument("--networks", nargs="+", default=bench.backbones, help="which networks")


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
