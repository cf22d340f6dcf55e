"""A command that is killed at any moment loses no finished batch and damages nothing."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import RETRAIN, TINY, Outcome, heed_ctrl_c, make_photos

READERS = ("threads", "processes")


@pytest.mark.parametrize("seed", range(4))
def test_sigkill_at_a_random_moment(
    retrain: Callable[..., Outcome], tmp_path: Path, environment: dict[str, str], seed: int
) -> None:
    photos = make_photos(tmp_path / "photos", {"ant": 300, "bee": 300}, seed=seed)
    options = [*TINY, "--batch-size", "4", "--readers", READERS[seed % 2]]
    command = [str(RETRAIN), "bottlenecks", str(photos), *options]
    victim = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    cache = tmp_path / ".retrain" / "cache"
    deadline = time.monotonic() + 60
    while not list(cache.glob("*.sqlite-wal")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(random.Random(seed).uniform(0, 6))
    victim.send_signal(signal.SIGKILL)
    victim.wait()

    assert "all sound" in retrain("cache", "verify").out
    kept = retrain("cache", "info", "--json").json[0]["bottlenecks"]
    summary = retrain("bottlenecks", photos, *TINY, "--json").json
    assert (summary["images"], summary["computed"]) == (600, 600 - kept)
    assert "all sound" in retrain("cache", "verify").out


@pytest.mark.parametrize("readers", READERS)
def test_ctrl_c_keeps_finished_batches_and_exits_with_130(
    retrain: Callable[..., Outcome], tmp_path: Path, environment: dict[str, str], readers: str
) -> None:
    photos = make_photos(tmp_path / "photos", {"ant": 600, "bee": 600})
    options = [*TINY, "--batch-size", "2", "--readers", readers]
    mark = f"{tmp_path}-{readers}"
    process = subprocess.Popen(
        [str(RETRAIN), "bottlenecks", str(photos), *options],
        cwd=tmp_path,
        env=environment | {"RETRAIN_TEST_MARK": mark},
        stderr=subprocess.PIPE,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - this process has no other threads
    )
    wait_until_something_is_cached(retrain, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.decode().strip() == "error: interrupted; everything that was finished is kept"
    assert not processes_with(mark)
    kept = retrain("cache", "info", "--json").json[0]["bottlenecks"]
    assert 0 < kept < 1200
    assert retrain("bottlenecks", photos, *TINY, "--json").json["computed"] == 1200 - kept


def test_reader_processes_end_with_a_killed_command(
    tmp_path: Path, retrain: Callable[..., Outcome], environment: dict[str, str]
) -> None:
    photos = make_photos(tmp_path / "photos", {"ant": 600, "bee": 600})
    options = [*TINY, "--batch-size", "2", "--readers", "processes", "--workers", "3"]
    mark, said = str(tmp_path), tmp_path / "said"
    with said.open("wb") as stderr:
        victim = subprocess.Popen(
            [str(RETRAIN), "bottlenecks", str(photos), *options],
            cwd=tmp_path,
            env=environment | {"RETRAIN_TEST_MARK": mark},
            stderr=stderr,
        )
    wait_until_something_is_cached(retrain, victim)
    seen = processes_with(mark)
    victim.kill()
    victim.wait()
    assert len(seen) == 4  # the command and its readers
    deadline = time.monotonic() + 20
    while processes_with(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not processes_with(mark)
    lines = said.read_text().splitlines()
    assert all(line.startswith("bottlenecks: ") for line in lines), lines


def processes_with(mark: str) -> list[str]:
    """Processes that were started with this mark in their environment."""
    if not Path("/proc/self/environ").exists():
        pytest.skip("this system does not show the environment of processes")
    return [
        folder.name
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and mark.encode() in environment_of(folder)
    ]


def environment_of(folder: Path) -> list[bytes]:
    try:
        entries = (folder / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is somebody else's
        return []
    return [value for _, _, value in (entry.partition(b"=") for entry in entries)]


def test_ctrl_c_in_training_keeps_the_best_so_far(
    photos: Path, retrain: Callable[..., Outcome], tmp_path: Path, environment: dict[str, str]
) -> None:
    retrain("bottlenecks", photos, *TINY)
    process = subprocess.Popen(
        [str(RETRAIN), "train", "--steps", "10000000", "--name", "long"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - this process has no other threads
    )
    time.sleep(12)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert b"run long: validation top-1" in out
    assert b"interrupted: the best so far is kept" in err
    assert retrain("eval").code == 0


def wait_until_something_is_cached(
    retrain: Callable[..., Outcome], process: subprocess.Popen[bytes]
) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        caches = retrain("cache", "info", "--json")
        if caches.code == 0 and caches.json and caches.json[0]["bottlenecks"]:
            return
        time.sleep(0.05)
