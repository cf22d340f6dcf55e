"""The installed `retrain` command in a folder of its own, as a user would run it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from commands import forget_standard_error, run_here
from filelock import FileLock
from forked_command import ForkingProcess
from helpers import LIMIT, RETRAIN, TINY, Outcome, make_photos

from retrain_cli.cli import console


def own_environment() -> dict[str, str]:
    unwanted = ("RETRAIN_WORKSPACE", "PYTHONWARNINGS", "COLUMNS", "FORCE_COLOR")
    return {name: value for name, value in os.environ.items() if name not in unwanted}


@pytest.fixture
def environment() -> dict[str, str]:
    return own_environment()


@pytest.fixture(scope="session")
def forking() -> Iterator[ForkingProcess]:
    process = ForkingProcess()
    yield process
    process.close()


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of converted networks of a workspace: TINY is in it, for all test processes."""
    own = tmp_path_factory.getbasetemp()
    root = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "converted"
    with FileLock(f"{root}.lock"):
        if not root.exists():
            draft = tmp_path_factory.mktemp("converted")
            make_photos(draft / "photos", {"ant": 2, "bee": 2})
            command = [str(RETRAIN), "bottlenecks", "photos", *TINY]
            subprocess.run(command, cwd=draft, check=True, capture_output=True)
            draft.rename(root)
    return root / ".retrain" / "cache" / "models"


@pytest.fixture
def warm(converted: Path, tmp_path: Path) -> None:
    """The workspace in the test's own folder need not convert TINY."""
    shutil.copytree(converted, tmp_path / ".retrain" / "cache" / "models", dirs_exist_ok=True)


@pytest.fixture(scope="session")
def make_template(
    converted: Path,
    tmp_path_factory: pytest.TempPathFactory,
    forking: ForkingProcess,
) -> Callable[..., Path]:
    """Make a folder with a workspace that many tests copy, by commands that must succeed."""

    def make(photos: Callable[[Path], object], *commands: Sequence[str]) -> Path:
        root = tmp_path_factory.mktemp("template")
        shutil.copytree(converted, root / ".retrain" / "cache" / "models")
        photos(root / "photos")
        for command in commands:
            done = forking.run([*map(str, command)], root, own_environment())
            assert done.code == 0, done.err
        return root

    return make


@pytest.fixture
def installed_retrain(tmp_path: Path, environment: dict[str, str]) -> Callable[..., Outcome]:
    """Run the installed `retrain` with some arguments in the test's own folder."""

    def run(*arguments: object, stdin: bytes = b"", **options: Any) -> Outcome:
        done = subprocess.run(
            [str(RETRAIN), *map(str, arguments)],
            input=stdin,
            capture_output=True,
            check=False,
            cwd=tmp_path,
            env=environment | options.pop("env", {}),
            timeout=LIMIT,
            **options,
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def retrain(
    tmp_path: Path,
    environment: dict[str, str],
    installed_retrain: Callable[..., Outcome],
    forking: ForkingProcess,
) -> Callable[..., Outcome]:
    """The same by a fork of a process that has loaded it, unless more than arguments is given."""

    def run(*arguments: object, stdin: bytes = b"", **options: Any) -> Outcome:
        if options:
            return installed_retrain(*arguments, stdin=stdin, **options)
        return forking.run([*map(str, arguments)], tmp_path, environment, stdin)

    return run


@pytest.fixture
def retrain_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Outcome]]:
    """The same without a process of its own, for one more of what another test shows with one."""
    monkeypatch.chdir(tmp_path)
    for name in ("RETRAIN_WORKSPACE", "COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object) -> Outcome:
        return run_here([*map(str, arguments)], capfd)

    yield run
    console.configure(quiet=False, verbose=False)
    forget_standard_error()


def without_privileges() -> list[str]:
    """Root may read and write everything, unless it gives up that right."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root cannot give up its rights here: there is no setpriv")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


@pytest.fixture
def retrain_as_user(tmp_path: Path, environment: dict[str, str]) -> Any:
    def run(*arguments: object) -> Outcome:
        command = [*without_privileges(), str(RETRAIN), *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run
