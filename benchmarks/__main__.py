"""Run the benchmarks, print a table, write JSON.

    python -m benchmarks [PART ...] [--repeats N] [--json FILE]

Parts: extraction, training, warm, reading, memory, growth; without any, all but the last two, which
take a quarter of an hour each. `--quick` takes small sizes, to try it out. Every speed is a ratio
against a reference that is measured in turn with it in the same process; the medians are told.
"""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import retrain_cli as rt
from benchmarks import extraction, growth, memory, reading, training, warm
from retrain_cli.bottlenecks.extract import usable_processors

USUAL = ("extraction", "training", "warm", "reading")
PARTS = (*USUAL, "memory", "growth")


def main() -> None:
    """Measure what was asked for."""
    arguments = parse()
    results: dict[str, Any] = {
        "machine": f"{platform.processor() or platform.machine()}, {usable_processors()} processors"
    }
    parts = arguments.parts or list(USUAL)
    if "extraction" in parts:
        spec = rt.BackboneSpec(
            name=arguments.backbone, weights=arguments.weights, layer=arguments.layer
        )
        lines = extraction.measure(spec, arguments.photos, arguments.repeats)
        results["extraction"] = show(lines)
    if "training" in parts:
        results["training"] = show(training.measure(arguments.steps, arguments.repeats))
        to_loss = training.measure_to_loss(arguments.repeats)
        results["to_loss"] = [asdict(line) for line in to_loss]
        for line in to_loss:
            print(f"{line.what}: {line.seconds:.2f} s; ratio {line.ratio:.2f}")
    if "warm" in parts:
        run = warm.measure(arguments.files, arguments.repeats)
        print(f"warm run, {run.files:,} files: {run.seconds:.2f} s, {run.peak_megabytes:.0f} MB")
        results["warm"] = asdict(run)
    if "reading" in parts:
        results["reading"] = show(reading.measure(arguments.files, arguments.repeats))
    if "memory" in parts:
        results["memory"] = measure_memory(arguments.quick)
    if "growth" in parts:
        results["growth"] = growth.measure(arguments.quick, arguments.repeats, arguments.figure)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def measure_memory(quick: bool) -> list[dict[str, Any]]:
    """Print and return what the part `memory` measures."""
    results: list[dict[str, Any]] = []
    for run in memory.measure_extraction((100, 200) if quick else (1000, 20_000)):
        print(f"extraction of {run.images:,} images: {run.peak_megabytes:.0f} MB at the peak")
        results.append(asdict(run))
    for trained in memory.measure_training(20_000 if quick else 500_000):
        print(
            f"training on {trained.vectors_megabytes:,.0f} MB under {trained.limit} "
            f"{trained.limit_megabytes:,.0f} MB: held in memory exit {trained.held}, mapped exit "
            f"{trained.mapped} after {trained.seconds:.0f} s, {trained.steps_per_second} steps/s"
        )
        results.append(asdict(trained))
    return results


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--repeats", type=int, default=5, help="timed rounds (default: 5)")
    parser.add_argument("--photos", type=Path, help="image folder (default: sample images)")
    parser.add_argument("--backbone", default="mini", help="for extraction (default: mini)")
    parser.add_argument("--weights", default="imagenet", help="as in `retrain bottlenecks`")
    parser.add_argument("--layer", help="as in `retrain bottlenecks`")
    parser.add_argument("--steps", type=int, help="of training (default: 10000)")
    parser.add_argument("--files", type=int, help="of warm run and reading (default: 100000)")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try it out")
    parser.add_argument("--figure", type=Path, help="where `growth` draws its figure (.svg, .png)")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there is {', '.join(PARTS)}")
    arguments.steps = arguments.steps or (500 if arguments.quick else 10_000)
    arguments.files = arguments.files or (2000 if arguments.quick else 100_000)
    return arguments


def show(lines: list[Any]) -> list[dict[str, Any]]:
    """Print comparisons, and return them for JSON."""
    for line in lines:
        print(
            f"{line.what}: {line.rate:,.1f} {line.unit}/s; {line.reference}: "
            f"{line.reference_rate:,.1f}; ratio {line.ratio:.2f}"
        )
    return [asdict(line) for line in lines]


if __name__ == "__main__":
    main()
