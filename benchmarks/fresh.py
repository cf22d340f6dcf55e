"""Time and peak memory of work that is done in a process of its own.

A process counts the memory of the one that started it towards its own peak, so a small launcher
stands in between.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_LAUNCHER = """
import json, os, subprocess, sys, time
limits, command = json.loads(sys.argv[1]), sys.argv[2:]
def limit():
    import resource
    for name, size in limits.items():
        resource.setrlimit(getattr(resource, name), (size, size))
started = time.perf_counter()
child = subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=limit if limits else None)
output = child.stdout.read().decode()
_, status, usage = os.wait4(child.pid, 0)
seconds = time.perf_counter() - started
unit = 1 if sys.platform == "darwin" else 1024
busy = usage.ru_utime + usage.ru_stime
peak = usage.ru_maxrss * unit
print(json.dumps([os.waitstatus_to_exitcode(status), seconds, busy, peak, output]))
"""


@dataclass(frozen=True)
class Outcome:
    """What a process did.

    Attributes:
        code: its exit status.
        seconds: from start to end, the start of Python included.
        processor_seconds: of it and of the processes that it waited for.
        peak_megabytes: most resident memory that it had at any time, files mapped into it included.
        output: its standard output.
    """

    code: int
    seconds: float
    processor_seconds: float
    peak_megabytes: float
    output: str


@dataclass(frozen=True)
class Point:
    """One point of a curve: medians of some rounds.

    Attributes:
        phase: what was done.
        size: how many images, or classes, it was done with.
        seconds: the work alone, without the start of Python and the making of its input.
        peak_megabytes: of the whole process, its input included.
    """

    phase: str
    size: int
    seconds: float
    peak_megabytes: float


def run(
    command: Sequence[str],
    limits: dict[str, int] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Outcome:
    """Run a command to its end.

    Args:
        command: program and arguments; standard error passes through.
        limits: bytes, by the names of `resource` such as RLIMIT_DATA.
        environment: all of its environment variables; None for those of this process.
    """
    launcher = [sys.executable, "-c", _LAUNCHER, json.dumps(limits or {}), *command]
    told = subprocess.run(
        launcher, stdout=subprocess.PIPE, text=True, check=True, env=environment
    ).stdout
    code, seconds, busy, peak, output = json.loads(told)
    return Outcome(code, seconds, busy, peak / 1e6, output)


def run_retrain(*arguments: str, limits: dict[str, int] | None = None) -> Outcome:
    """Run the `retrain` command of this Python."""
    return run([sys.executable, "-m", "retrain_cli", *arguments], limits)


def measure_phase(phase: str, size: int, repeats: int, *arguments: str) -> Point:
    """The medians of a phase of `benchmarks.phases`, each time in a fresh process.

    Raises:
        RuntimeError: it failed.
    """
    command = [sys.executable, "-m", "benchmarks.phases", phase, str(size), *arguments]
    outcomes = [run(command) for _ in range(repeats)]
    if any(outcome.code for outcome in outcomes):
        raise RuntimeError(f"the phase {phase} of size {size} failed")
    return Point(
        phase,
        size,
        statistics.median(float(outcome.output) for outcome in outcomes),
        statistics.median(outcome.peak_megabytes for outcome in outcomes),
    )
