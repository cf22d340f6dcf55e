"""Fuzz the image decoder: mutated images of every format, in processes with a limit on memory.

    python tools/fuzz_decoder.py --seconds 600 --workers 2
    python tools/fuzz_decoder.py --case 1234567     # tries one case again, in this process

A case's number gives its input. A process that dies, a case that takes too long, one that wants
more memory than there is, and any exception but an ImageError is a finding: it is printed with its
number, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from fuzz.cases import kind_of, make_case, try_case

_NO_MEMORY = "not enough memory"
_REPORT_EVERY = 200  # cases
_STUCK = 15.0  # times the limit on processor time: then the case is waiting, not working


@dataclass(frozen=True)
class Options:
    """What the flags say."""

    seconds: float
    workers: int
    first: int
    memory_mb: int
    timeout: float
    formats: tuple[str, ...]


@dataclass
class Tally:
    """What came of the cases; `whole` counts those of sound structure, True where decoded."""

    decoded: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    whole: Counter[bool] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, 0)
    peak_kb: int = 0


def main() -> int:
    """Run the tool; returns its exit status."""
    parser = argparse.ArgumentParser(description="Fuzz the image decoder.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--memory-mb", type=int, default=3000, help="RLIMIT_AS of a process")
    parser.add_argument("--timeout", type=float, default=20, help="processor seconds of a case")
    parser.add_argument("--formats", default="", help="such as tiff,heic (default: all)")
    parser.add_argument("--case", type=int, help="try one case, and write its input to a file")
    flags = parser.parse_args()
    formats = tuple(name for name in flags.formats.split(",") if name)
    if flags.case is not None:
        return try_again(flags.case, formats)
    options = Options(
        flags.seconds, flags.workers, flags.first, flags.memory_mb, flags.timeout, formats
    )
    tally = fuzz(options)
    show(tally)
    return 1 if tally.findings else 0


def try_again(number: int, formats: tuple[str, ...]) -> int:
    """Try one case in this process."""
    case = make_case(number, formats)
    path = Path(f"case-{number}.bin")
    path.write_bytes(case.data)
    print(f"{path}: {len(case.data)} bytes, made of {case.seed}, to {case.size} by {case.resize}")
    print(try_case(case) or "pixels")
    return 0


def fuzz(options: Options) -> Tally:
    """Keep `workers` processes busy until the time is up."""
    tally = Tally()
    until = time.monotonic() + options.seconds
    lanes = [_Lane(options, number) for number in range(options.workers)]
    with contextlib.suppress(KeyboardInterrupt):  # enough is enough: show what came of it
        while time.monotonic() < until:
            for lane in lanes:
                lane.look(tally)
            time.sleep(0.05)
    for lane in lanes:
        lane.stop(tally)
    return tally


class _Lane:
    """A process that tries every `workers`-th case, and is replaced when it dies."""

    def __init__(self, options: Options, number: int) -> None:
        self._options = options
        self._start(options.first + number)

    def _start(self, first: int) -> None:
        self._current = multiprocessing.Value("Q", first)
        ours, theirs = multiprocessing.Pipe(duplex=False)
        self._reports = ours
        arguments = (self._options, first, self._current, theirs)
        self._process = multiprocessing.Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self._seen, self._since = first, time.monotonic()

    def look(self, tally: Tally) -> None:
        """Take what was reported; replace a process that died or hangs."""
        self._receive(tally)
        now, number = time.monotonic(), int(self._current.value)
        if number != self._seen:
            self._seen, self._since = number, now
        if not self._process.is_alive():
            code = self._process.exitcode
            limit = f"took more than {self._options.timeout:g} s of processor time"
            died = f"the process died, exit code {code}"
            self._replace(tally, limit if code == -signal.SIGPROF else died)
        elif now - self._since > _STUCK * self._options.timeout:
            self._process.kill()
            self._replace(tally, "hangs")

    def stop(self, tally: Tally) -> None:
        """End the process; the cases since its last report are not counted."""
        self._process.kill()
        self._process.join()
        self._receive(tally)

    def _replace(self, tally: Tally, reason: str) -> None:
        self._process.join()
        self._receive(tally)
        number = int(self._current.value)
        _found(tally, number, reason, self._options)
        self._start(number + self._options.workers)

    def _receive(self, tally: Tally) -> None:
        try:
            while self._reports.poll():
                _add(tally, self._reports.recv(), self._options)
        except (EOFError, OSError):
            return


@dataclass
class _Report:
    """What a process tells of its last cases."""

    decoded: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    whole: Counter[bool] = field(default_factory=Counter)
    faults: list[tuple[int, str]] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, 0)
    peak_kb: int = 0


def _add(tally: Tally, report: _Report, options: Options) -> None:
    tally.decoded += report.decoded
    tally.refused += report.refused
    tally.whole += report.whole
    tally.slowest = max(tally.slowest, report.slowest)
    tally.peak_kb = max(tally.peak_kb, report.peak_kb)
    for number, reason in report.faults:
        _found(tally, number, reason, options)


def _found(tally: Tally, number: int, reason: str, options: Options) -> None:
    text = f"case {number} ({make_case(number, options.formats).seed}): {reason}"
    print(text, flush=True)
    tally.findings.append(text)


def _work(options: Options, first: int, current: object, reports: Connection) -> None:
    """Try case after case; `current` tells the parent which one is under way."""
    make_case(first)  # the seeds are made before memory is limited
    limit = options.memory_mb << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff writes a line for every fault it meets
    report, number = _Report(), first
    while True:
        current.value = number  # type: ignore[attr-defined]
        # By processor time, for a busy machine makes no case worse; SIGPROF ends the process.
        signal.setitimer(signal.ITIMER_PROF, options.timeout)
        _try(number, options.formats, report)
        number += options.workers
        if (number - first) // options.workers % _REPORT_EVERY == 0:
            report.peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            reports.send(report)
            report = _Report()


def _try(number: int, formats: tuple[str, ...], report: _Report) -> None:
    case = make_case(number, formats)
    kind = kind_of(case.seed)
    started = time.perf_counter()
    try:
        reason = try_case(case)
    except Exception:
        report.faults.append((number, traceback.format_exc(limit=-4)))
        return
    report.slowest = max(report.slowest, (time.perf_counter() - started, number))
    report.whole[reason is None] += case.is_whole
    if reason is None:
        report.decoded[kind] += 1
    else:
        report.refused[kind] += 1
        if _NO_MEMORY in reason:
            report.faults.append((number, f"wanted more than {reason}"))


def show(tally: Tally) -> None:
    """Print the counts."""
    for kind in sorted(tally.decoded | tally.refused):
        print(f"{kind:5} {tally.decoded[kind]:>10,} decoded {tally.refused[kind]:>10,} refused")
    total = tally.decoded.total() + tally.refused.total()
    print(f"{total:,} cases, {len(tally.findings)} findings")
    whole = tally.whole.total()
    share = tally.whole[True] / max(1, whole)
    print(f"{whole:,} of them changed within their structure, {share:.1%} of these decoded")
    seconds, number = tally.slowest
    print(f"slowest {seconds:.2f} s (case {number}), most memory {tally.peak_kb / 1e6:.2f} GB")


if __name__ == "__main__":
    sys.exit(main())
