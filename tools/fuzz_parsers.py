"""Fuzz the parsers of our own with Hypothesis: files that are hurt, shrunk where one finds a fault.

    python tools/fuzz_parsers.py --examples 20000
    python tools/fuzz_parsers.py --only "retrain.toml"
    python tools/fuzz_parsers.py --guided 120     # seconds for each, guided by coverage: atheris

A parser may take what it is given or refuse it in one line; anything else is printed with the
smallest input that shows it, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from fuzz.guided import fuzz_guided
from fuzz.inputs import hurt, replaced_values
from fuzz.parsers import PARSERS, Parser, try_input
from hypothesis import HealthCheck, given, settings


def fuzz(parser: Parser, examples: int, folder: Path) -> Counter[str]:
    """Try a number of inputs; returns how many were taken and refused.

    Raises:
        Exception: what the parser raised for the smallest input that it does so for.
    """
    counts: Counter[str] = Counter()
    seeds = parser.seeds()

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(hurt(seeds) | replaced_values(seeds))
    def try_one(data: bytes) -> None:
        counts["refused" if try_input(parser, data, folder) else "taken"] += 1

    try_one()
    return counts


def main() -> int:
    """Fuzz what the flags say; returns 1 where something was found."""
    parser = argparse.ArgumentParser(description="Fuzz the parsers of our own.")
    parser.add_argument("--examples", type=int, default=2000, help="inputs for each parser")
    parser.add_argument("--only", default="", help="only parsers whose name begins so")
    parser.add_argument("--guided", type=int, default=0, help="seconds for each with atheris")
    options = parser.parse_args()
    found = 0
    for one in PARSERS:
        if not one.name.startswith(options.only):
            continue
        started = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            try:
                if options.guided:
                    counts = dict(fuzz_guided(one, options.guided, Path(folder)))
                else:
                    counts = dict(fuzz(one, options.examples, Path(folder)))
            except Exception:
                traceback.print_exc(limit=-6)
                counts, found = {"FAULT": 1}, found + 1
        print(f"{one.name}: {counts}, {time.process_time() - started:.1f} s", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
