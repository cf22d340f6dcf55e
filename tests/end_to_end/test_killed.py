"""A command that is killed at any moment loses no finished batch and damages nothing."""

from __future__ import annotations

import random
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import LIMIT, RETRAIN, TINY, Outcome, heed_signals, make_photos, wait_for
from killing import wait_until_cached
from terminal import Terminal, at_a_terminal

pytestmark = pytest.mark.usefixtures("warm")

READERS = ("threads", "processes")


@pytest.mark.parametrize("seed", range(4))
def test_sigkill_at_a_random_moment(
    retrain: Callable[..., Outcome], tmp_path: Path, environment: dict[str, str], seed: int
) -> None:
    """The moment is a number of rows in the cache: none that a slow machine would not reach."""
    photos = make_photos(tmp_path / "photos", {"ant": 400, "bee": 400}, seed=seed)
    options = [*TINY, "--batch-size", "2", "--readers", READERS[seed % 2]]
    command = [str(RETRAIN), "bottlenecks", str(photos), *options]
    victim = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    wait_until_cached(tmp_path, victim, random.Random(seed).randint(0, 300))
    victim.send_signal(signal.SIGKILL)
    victim.wait()

    assert "all sound" in retrain("cache", "verify").out
    kept = retrain("cache", "info", "--json").json[0]["bottlenecks"]
    summary = retrain("bottlenecks", photos, *TINY, "--json").json
    assert (summary["images"], summary["computed"]) == (800, 800 - kept)
    assert "all sound" in retrain("cache", "verify").out


@pytest.mark.parametrize("readers", READERS)
def test_ctrl_c_keeps_finished_batches_and_exits_with_130(
    retrain: Callable[..., Outcome], tmp_path: Path, environment: dict[str, str], readers: str
) -> None:
    photos = make_photos(tmp_path / "photos", {"ant": 400, "bee": 400})
    options = [*TINY, "--batch-size", "2", "--readers", readers]
    mark = f"{tmp_path}-{readers}"
    process = subprocess.Popen(
        [str(RETRAIN), "bottlenecks", str(photos), *options],
        cwd=tmp_path,
        env=environment | {"RETRAIN_TEST_MARK": mark},
        stderr=subprocess.PIPE,
        preexec_fn=heed_signals,  # noqa: PLW1509 - this process has no other threads
    )
    wait_until_cached(tmp_path, process, 1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130, err
    said = re.fullmatch(
        r"error: interrupted; (\d+) of 800 new photos are done and kept: .*\n", err.decode()
    )
    assert said is not None, err
    assert not processes_with(mark)
    kept = retrain("cache", "info", "--json").json[0]["bottlenecks"]
    assert int(said[1]) == kept
    assert 0 < kept < 800
    assert retrain("bottlenecks", photos, *TINY, "--json").json["computed"] == 800 - kept


def test_reader_processes_end_with_a_killed_command(
    tmp_path: Path, retrain: Callable[..., Outcome], environment: dict[str, str]
) -> None:
    photos = make_photos(tmp_path / "photos", {"ant": 400, "bee": 400})
    options = [*TINY, "--batch-size", "2", "--readers", "processes", "--workers", "3"]
    mark, said = str(tmp_path), tmp_path / "said"
    with said.open("wb") as stderr:
        victim = subprocess.Popen(
            [str(RETRAIN), "bottlenecks", str(photos), *options],
            cwd=tmp_path,
            env=environment | {"RETRAIN_TEST_MARK": mark},
            stderr=stderr,
        )
    wait_until_cached(tmp_path, victim, 1)
    seen = processes_with(mark)
    victim.kill()
    victim.wait()
    assert len(seen) == 4  # the command and its readers
    wait_for(lambda: not processes_with(mark), "the end of the readers")
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


STOPS: dict[str, tuple[Callable[[Terminal], None], int]] = {
    "Ctrl-C": (lambda terminal: terminal.press_ctrl_c(), 130),
    "SIGTERM": (lambda terminal: terminal.process.terminate(), 143),
    "closed window": (lambda terminal: terminal.hang_up(), 129),
}


@pytest.mark.parametrize("stop", STOPS)
def test_who_ends_a_training_keeps_the_best_so_far(
    photos: Path,
    retrain: Callable[..., Outcome],
    tmp_path: Path,
    environment: dict[str, str],
    stop: str,
) -> None:
    retrain("bottlenecks", photos, *TINY)
    end, code = STOPS[stop]
    command = ["train", "--steps", "10000000", "--name", "long"]
    with at_a_terminal(command, tmp_path, environment) as terminal:
        seen = terminal.wait_until_done(500)
        end(terminal)
        assert terminal.wait() == code, terminal.text()
    kept = retrain("runs", "show", "long", "--json").json
    assert kept["stopped_by"] == "interrupt"
    assert retrain("eval", "--run", "long").code == 0
    if stop != "closed window":
        shown = " ".join(terminal.text().split())
        by = "" if stop == "Ctrl-C" else " by SIGTERM"
        said = re.search(
            rf"error: interrupted{by}; training ended at step ([\d,]+) of 10,000,000, and run "
            rf"long keeps the best head of these, that of step {kept['best_step']:,}",
            shown,
        )
        assert said is not None, shown
        assert int(said[1].replace(",", "")) >= seen
        assert "run long: validation top-1" in shown


def test_ctrl_c_before_the_first_step_says_that_there_is_no_run(
    photos: Path, retrain: Callable[..., Outcome], tmp_path: Path, environment: dict[str, str]
) -> None:
    retrain("bottlenecks", photos, *TINY)
    runs = tmp_path / ".retrain" / "runs"
    command = ["train", "--name", "early", "--optimizer", "sgd"]  # TensorFlow takes long to load
    with at_a_terminal(command, tmp_path, environment) as terminal:
        wait_for(lambda: list(runs.glob(".draft-*")), "the draft of a run")
        terminal.press_ctrl_c()
        assert terminal.wait() == 130
    shown = " ".join(terminal.text().split())
    assert "error: interrupted; nothing was trained yet, so there is no new run" in shown
    assert list(runs.iterdir()) == []
