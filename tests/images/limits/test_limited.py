"""Suspicious photos are decoded in a process of their own, with limits on memory and time."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

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
        process.end()


def test_giving_up_ends_it_at_once_for_all_that_wait() -> None:
    process, work = limited.DecodingProcess(), limited.Work()
    slow = many_scans(20_000, 3000)

    def decode_several(count: int) -> list[str]:
        return [reason_of(process, slow) for _ in range(count)]

    with ThreadPoolExecutor(3, initializer=work.join) as pool:
        reasons = [pool.submit(decode_several, 3) for _ in range(5)]
        wait_for(lambda: process._at is work, "the first photo")
        process.give_up(work)
        started = time.monotonic()
    assert time.monotonic() - started < 15  # one of them would take a minute
    assert {reason for some in reasons for reason in some.result()} == {
        "given up, for the command ends"
    }
    assert process._process is None


def reason_of(process: limited.DecodingProcess, data: bytes) -> str:
    with pytest.raises(ImageError) as bad:
        process.call("decode_image", data, ((20, 20), "squash"), 60)
    return str(bad.value)


def test_what_is_given_up_is_no_other_work() -> None:
    process, over = limited.DecodingProcess(), limited.Work()
    try:
        process.give_up(over)
        found = process.call("decode_image", many_scans(200), ((20, 20), "squash"), 60)
        assert found.shape == (20, 20, 3)
        over.join()
        assert reason_of(process, many_scans(200)) == "given up, for the command ends"
    finally:
        limited.Work().join()
        process.end()


def test_an_answer_that_nobody_waited_for_is_not_the_next_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process, ask = limited.DecodingProcess(), limited._ask

    def interrupted(running: Any, question: object) -> Any:
        pickle.dump(question, running.stdin)
        running.stdin.flush()
        raise KeyboardInterrupt

    try:
        monkeypatch.setattr(limited, "_ask", interrupted)
        with pytest.raises(KeyboardInterrupt):
            process.call("decode_image", many_scans(200), ((20, 20), "squash"), 60)
        monkeypatch.setattr(limited, "_ask", ask)
        found = process.call("decode_image", many_scans(200), ((30, 10), "squash"), 60)
        assert found.shape == (30, 10, 3)
    finally:
        process.end()


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
