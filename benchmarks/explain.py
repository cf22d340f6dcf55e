"""`retrain explain` against `retrain label`: the same photos, which no cache holds.

    python -m benchmarks.explain --run FOLDER --photos FOLDER [--images 500] [--rounds 3]

Both are processes of their own, one after the other in each round, so that start-up counts; the run
is copied into a workspace without bottlenecks. `explain` draws all pictures: the photo under two
heatmaps, both heatmaps alone, and the sheet.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = {
    "label": ("label", "-", "--json"),
    "explain": ("explain", "-", "-o"),
    "explain --json": ("explain", "-", "--json"),
}


def main() -> None:
    """Measure, and print the seconds and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of a run in a workspace")
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    names = sorted(arguments.photos.rglob("*.jpg"))[: arguments.images]
    listed = "".join(f"{name}\n" for name in names).encode()
    with tempfile.TemporaryDirectory() as folder:
        cold = _copied(arguments.run.resolve(), Path(folder))
        print(f"{len(names)} photos; seconds, and the speed as a share of label's", flush=True)
        rounds = []
        for _ in range(arguments.rounds):
            rounds.append({name: _seconds(cold, one, listed) for name, one in COMMANDS.items()})
            told = (f"{name} {seconds:.1f}" for name, seconds in rounds[-1].items())
            print(", ".join(told), flush=True)
    for title in COMMANDS:
        ratios = [one["label"] / one[title] for one in rounds]
        print(f"{title:16}{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def _copied(run: Path, folder: Path) -> Path:
    """A workspace with the run and the converted networks alone."""
    cold = folder / "workspace"
    shutil.copytree(run, cold / "runs" / run.name)
    shutil.copytree(run.parent.parent / "cache" / "models", cold / "cache" / "models")
    return cold


def _seconds(workspace: Path, command: tuple[str, ...], listed: bytes) -> float:
    """How long a command takes for all photos."""
    pictures = workspace.with_name("pictures")
    shutil.rmtree(pictures, ignore_errors=True)
    more = [str(pictures)] if command[-1] == "-o" else []
    program = [sys.executable, "-m", "retrain_cli", "--workspace", str(workspace)]
    start = time.perf_counter()
    subprocess.run([*program, *command, *more], input=listed, capture_output=True, check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
