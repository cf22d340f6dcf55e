"""A warm run: everything is cached, nothing changed; wall time and peak memory of the command."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import synthetic
from benchmarks.fresh import run_retrain


@dataclass(frozen=True)
class WarmRun:
    """What runs over the same files took after the first: the medians."""

    files: int
    seconds: float
    peak_megabytes: float


def measure(files: int, repeats: int = 5) -> WarmRun:
    """Make `files` small photos, compute them once with a stand-in backbone, run again.

    Raises:
        RuntimeError: the command failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        photos, workspace = Path(folder, "photos"), Path(folder, "workspace")
        synthetic.fill(synthetic.write_photos(photos, files), workspace)
        command = ["--workspace", str(workspace), "bottlenecks", str(photos)]
        runs = [run_retrain(*command, *synthetic.OPEN_FLAGS, "--quiet") for _ in range(repeats)]
    if any(run.code for run in runs):
        raise RuntimeError("the warm run failed")
    seconds, peaks = zip(*((run.seconds, run.peak_megabytes) for run in runs), strict=True)
    return WarmRun(files, statistics.median(seconds), statistics.median(peaks))
