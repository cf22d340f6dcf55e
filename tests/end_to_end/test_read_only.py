"""Whatever only reads works where nothing can be written: a read-only disk, or a full one."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import LIMIT, QUICK_HEAD, RETRAIN, TINY, Outcome, make_photos
from killing import wait_until_cached

READING: dict[str, tuple[str, ...]] = {
    "similar": ("similar", "photos/ant/0001.png"),
    "classes": ("classes",),
    "check": ("check", "--no-labels"),
    "study": ("study", "histogram", "--repeats", "1", "--optimizer", "lbfgs"),
    "verify": ("cache", "verify"),
    "info": ("cache", "info"),
    "export": ("cache", "export", "vectors.csv"),
    "eval": ("eval",),
    "label": ("label", "photos/ant/0001.png", "new/cat/0000.png"),
    "runs": ("runs",),
    "show": ("runs", "show"),
    "report": ("report", "--map", "none"),
}
NOT_REMEMBERED = {"check": "what was seen of the photos", "study": "what this study trains"}


@pytest.fixture(scope="module")
def template(make_template: Callable[..., Path]) -> Path:
    """Photos, and a workspace with a run."""
    return make_template(
        lambda photos: make_photos(photos, {"ant": 20, "bee": 20}),
        ["bottlenecks", "photos", *TINY],
        ["train", *QUICK_HEAD, "--name", "run"],
    )


@pytest.fixture
def trained(template: Path, tmp_path: Path) -> Path:
    """A copy of the workspace, beside copies of the photos and a new one."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    make_photos(tmp_path / "new", {"cat": 1}, seed=9)
    return tmp_path / ".retrain"


@pytest.fixture
def closed(trained: Path) -> Iterator[Path]:
    """A workspace that nobody may write to."""
    close(trained)
    yield trained
    trained.chmod(0o755)


def close(workspace: Path) -> None:
    for path in (*workspace.rglob("*"), workspace):
        path.chmod(0o555 if path.is_dir() else 0o444)


def test_reading_is_always_possible(retrain_as_user: Any, closed: Path) -> None:
    before = sorted(str(path) for path in closed.rglob("*"))
    for name, arguments in READING.items():
        outcome = retrain_as_user(*arguments)
        assert outcome.code == 0, (name, outcome.err)
        told = [line for line in outcome.err.splitlines() if "is not remembered" in line]
        assert len(told) == (name in NOT_REMEMBERED), (name, outcome.err)
        assert NOT_REMEMBERED.get(name, "") in outcome.err
    assert sorted(str(path) for path in closed.rglob("*")) == before


def test_a_full_disk_can_be_read(
    trained: Path, tmp_path: Path, environment: dict[str, str], retrain_as_user: Any
) -> None:
    """No file may grow by a byte: that is how a full disk looks to the program."""
    for name in ("similar", "classes", "verify", "info", "eval", "label", "check"):
        done = subprocess.run(
            [str(RETRAIN), *READING[name]],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=environment,
            preexec_fn=write_nothing,
            timeout=LIMIT,
        )
        assert done.returncode == 0, (name, done.stderr)


def write_nothing() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def test_what_a_killed_command_left_is_read(
    trained: Path,
    tmp_path: Path,
    environment: dict[str, str],
    retrain: Callable[..., Outcome],
    retrain_as_user: Any,
) -> None:
    make_photos(tmp_path / "photos", {"ant": 400, "bee": 400}, seed=5)
    command = [str(RETRAIN), "bottlenecks", "photos", *TINY, "--batch-size", "2"]
    victim = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    wait_until_cached(tmp_path, victim, 100)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    shutil.copytree(trained, tmp_path / "open")
    expected = retrain("--workspace", "open", "cache", "info", "--json").json[0]["bottlenecks"]
    assert expected >= 100

    close(trained)
    assert retrain_as_user("cache", "info", "--json").out.count(f'"bottlenecks": {expected}') == 1
    assert f"{expected:,} bottlenecks, all sound" in retrain_as_user("cache", "verify").out
    for name in ("eval", "label", "runs"):
        outcome = retrain_as_user(*READING[name])
        assert outcome.code == 0, (name, outcome.err)
    trained.chmod(0o755)
