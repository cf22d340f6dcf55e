"""Run the benchmarks, print a table, write JSON.

    python -m benchmarks [PART ...] [--repeats N] [--json FILE]

Parts: extraction, training, warm; all without any. Every speed is a ratio against a reference that
is measured in turn with it in the same process; the medians are told.
"""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import retrain_cli as rt
from benchmarks import extraction, training, warm
from retrain_cli.bottlenecks.extract import usable_processors

PARTS = ("extraction", "training", "warm")


def main() -> None:
    """Measure what was asked for."""
    arguments = parse()
    results: dict[str, Any] = {
        "machine": f"{platform.processor() or platform.machine()}, {usable_processors()} processors"
    }
    parts = arguments.parts or list(PARTS)
    if "extraction" in parts:
        spec = rt.BackboneSpec(
            name=arguments.backbone, weights=arguments.weights, layer=arguments.layer
        )
        lines = extraction.measure(spec, arguments.photos, arguments.repeats)
        results["extraction"] = show(lines)
    if "training" in parts:
        results["training"] = show(training.measure(arguments.steps, arguments.repeats))
    if "warm" in parts:
        run = warm.measure(arguments.files)
        print(f"warm run, {run.files:,} files: {run.seconds:.2f} s, {run.peak_megabytes:.0f} MB")
        results["warm"] = asdict(run)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


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
    parser.add_argument("--steps", type=int, default=2000, help="of training (default: 2000)")
    parser.add_argument("--files", type=int, default=100_000, help="of the warm run")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there is {', '.join(PARTS)}")
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
