"""Suspicious photos are decoded in a process of their own, with limits on memory and time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import wait_for
from images.limits.test_costs import SUSPICIOUS, many_scans, progressive

from retrain_cli.errors import ImageError
from retrain_cli.images import decode
from retrain_cli.images.decode import decode_image, load_rgb
from retrain_cli.images.limits import limited
from retrain_cli.images.limits.budget import OverBudgetError, PixelBudget

_NEEDS_LIMITS = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="only Linux limits a process's memory so"
)


def test_pixels_are_those_of_this_process() -> None:
    data = many_scans(200)
    found = decode_image(data, (20, 30), "crop")
    decode._BUDGET.is_for_suspicious = True
    try:
        np.testing.assert_array_equal(found, decode_image(data, (20, 30), "crop"))
        expected = load_rgb(data)
    finally:
        decode._BUDGET.is_for_suspicious = False
    np.testing.assert_array_equal(load_rgb(data), expected)


def test_a_bad_photo_has_the_decoders_reason() -> None:
    with pytest.raises(ImageError, match=r"^(truncated|damaged) JPEG"):
        decode_image(many_scans(200)[:300] + b"\xff\xda" * 200, (20, 20))


LIMIT_S = 0.5
"""Seconds of processor time that the photo is given, and not how long the test waits."""


def test_a_photo_that_takes_too_long_is_bad_and_the_next_is_not() -> None:
    started = time.monotonic()
    with pytest.raises(ImageError, match=r"takes more than 0\.5 s to decode \(--photo-timeout\)"):
        decode_image(many_scans(20_000, 3000), (20, 20), timeout=LIMIT_S)
    assert time.monotonic() - started < 15
    assert decode_image(many_scans(200), (20, 20)).shape == (20, 20, 3)


@_NEEDS_LIMITS
def test_a_photo_that_takes_too_much_memory_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    process = limited.DecodingProcess()
    monkeypatch.setattr(limited, "MEMORY", 200 << 20)
    monkeypatch.setattr(limited, "call", process.call)
    try:
        with pytest.raises(ImageError, match=r"memory|(damaged|truncated) JPEG"):
            decode_image(progressive(13_370), (20, 20))
        assert decode_image(many_scans(200), (20, 20)).shape == (20, 20, 3)
    finally:
        process.give_up()


def test_giving_up_ends_it_at_once_for_all_that_wait() -> None:
    process, reasons = limited.DecodingProcess(), list[str]()
    begun = threading.Barrier(4)

    def work() -> None:
        begun.wait()
        try:
            process.call("decode_image", many_scans(20_000, 3000), ((20, 20), "squash"), 60)
        except ImageError as error:
            reasons.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    begun.wait()
    wait_for(lambda: process._process is not None, "the process")

    def all_ended() -> bool:
        process.give_up()  # one may have come a moment later
        return not any(thread.is_alive() for thread in threads)

    wait_for(all_ended, "the end of all")
    assert reasons == ["given up, for the command ends"] * 3


def test_a_reading_process_leaves_it_to_the_main_one(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = PixelBudget(1000)
    budget.refuse_above(10**9)
    monkeypatch.setattr(decode, "_BUDGET", budget)
    with pytest.raises(OverBudgetError):
        decode_image(many_scans(200), (20, 20))


@_NEEDS_LIMITS
@pytest.mark.parametrize("name", SUSPICIOUS)
def test_this_process_takes_little_memory_for_any(name: str, tmp_path: Path) -> None:
    path = tmp_path / "photo"
    path.write_bytes(SUSPICIOUS[name]())
    code = f"""
import resource
from pathlib import Path
from retrain_cli.errors import ImageError
from retrain_cli.images.decode import decode_image
before = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (before + (160 << 20), resource.RLIM_INFINITY))
try:
    print(decode_image(Path({str(path)!r}).read_bytes(), (32, 32)).shape)
except ImageError as error:
    print("bad:", error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(("(32, 32, 3)", "bad:"))
