"""Streams that are closed or full, no folder, few files, little memory: one line and its code."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import LIMIT, QUICK_HEAD, RETRAIN, TINY, Outcome, make_photos

NEVER = "unexpected fault"


@pytest.fixture(scope="module")
def template(make_template: Callable[..., Path]) -> Path:
    """Photos, and a workspace with a run."""
    return make_template(
        lambda photos: make_photos(photos, {"ant": 12, "bee": 12}),
        ["bottlenecks", "photos", *TINY],
        ["train", *QUICK_HEAD, "--name", "run"],
    )


@pytest.fixture
def shell(template: Path, tmp_path: Path, environment: dict[str, str]) -> Callable[[str], Outcome]:
    """Run a line of bash in which `retrain` is the command, beside a trained run."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)

    def run(line: str) -> Outcome:
        done = subprocess.run(
            ["bash", "-c", f"retrain() {{ '{RETRAIN}' \"$@\"; }}; {line}"],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=environment,
            timeout=LIMIT,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert NEVER not in done.stderr, done.stderr
        assert "Exception ignored" not in done.stderr, done.stderr
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


def test_results_that_cannot_be_printed(shell: Callable[[str], Outcome]) -> None:
    for command in ("runs", "eval --json", "label photos/ant"):
        assert "No space left" in shell(f"retrain {command} >/dev/full").refused()
        assert "standard output" in shell(f"retrain {command} >&-").refused()


def test_what_is_told_matters_less_than_the_work(shell: Callable[[str], Outcome]) -> None:
    for where in ("2>&-", "2>/dev/full", "2>&- <&-"):
        outcome = shell(f"retrain eval --json {where}")
        assert outcome.code == 0
        assert outcome.json["run"] == "run"
        assert shell(f"retrain eval --run none {where}").code == 3
        assert shell(f"retrain eval --none {where}").code in (2, 3)
    assert shell("retrain train --optimizer lbfgs --steps 3 2>&- >&-").code == 3
    assert len(shell("retrain runs --json").json) == 2, "it was trained all the same"


def test_a_folder_that_was_removed(shell: Callable[[str], Outcome]) -> None:
    line = shell("mkdir gone; cd gone; rmdir ../gone; retrain runs").refused()
    assert "cd to one that does" in line


@pytest.mark.parametrize("limit", ["-n 16", "-v 600000", "-v 300000", "-n 8"])
@pytest.mark.parametrize("command", ["eval", "train --steps 20", "check --no-labels"])
def test_tight_limits(shell: Callable[[str], Outcome], limit: str, command: str) -> None:
    outcome = shell(f"ulimit {limit}; retrain {command}")
    assert outcome.code in (0, 3), (outcome.code, outcome.err)
    if outcome.code:
        outcome.refused()


def test_no_folder_for_temporary_files(shell: Callable[[str], Outcome]) -> None:
    assert shell("TMPDIR=/none retrain eval --json").code == 0
