"""`--log FILE`: a record of what was run, that never hinders a command."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from retrain_cli import interrupts
from retrain_cli.cli import console, log_file
from retrain_cli.cli.main import app, exit_codes, main


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    log_file.stop()


def entries(path: Path) -> list[tuple[str, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = []
    for line in lines:
        match = re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d \[\d+\] (\w+): (.*)", line)
        if match:
            found.append((match[1], match[2]))
        else:
            assert line.startswith("    "), line
    return found


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["retrain", *words])
    monkeypatch.setattr(interrupts, "heed", lambda *_: None)  # for good, it would be
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_what_was_run_said_and_how_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "retrain.toml").write_text("[train]\nsteps = 3\n")
    assert run(monkeypatch, "train", "--name", "a b", "--log", "log.txt") == 3
    assert run(monkeypatch, "-q", "--log=log.txt", "runs") == 0
    found = entries(tmp_path / "log.txt")
    assert found[0] == ("start", "retrain train --name 'a b' --log log.txt")
    assert found[1] == ("folder", str(tmp_path))
    assert found[2][1].startswith("retrain ")
    assert "Python 3" in found[2][1]
    assert found[3] == ("settings", "name = 'a b', steps = 3 (retrain.toml, line 2)")
    assert found[4][0] == "error"
    assert "this needs bottlenecks" in found[4][1]
    assert found[5][0] == "traceback"
    assert re.match(r"exit code 3 after \d+\.\d s", found[6][1])
    assert ("note", "no runs yet: `retrain train` makes one") in found, (
        "--quiet is for the terminal"
    )
    assert found[-1][1].startswith("exit code 0")


def test_a_fault_of_ours_leaves_its_traceback(tmp_path: Path) -> None:
    log_file.start(tmp_path / "log", ["x"], "1", console.warn)
    with pytest.raises(SystemExit), exit_codes():
        raise ZeroDivisionError("odd")
    text = (tmp_path / "log").read_text()
    assert "error: unexpected fault: ZeroDivisionError: odd" in text
    assert "] traceback: Traceback (most recent call last):\n    " in text


def test_wrong_usage_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "--log", "log", "train", "--stps", "3") == 2
    kinds = [kind for kind, _ in entries(tmp_path / "log")]
    assert kinds[-2:] == ["error", "end"]


@pytest.mark.parametrize("kind", ["folder", "missing", "full", "pipe"])
def test_a_log_that_cannot_be_written_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    paths = {"folder": ".", "missing": "none/log", "full": "/dev/full", "pipe": "pipe"}
    warned: list[str] = []
    monkeypatch.setattr(console, "warn", warned.append)
    done = CliRunner().invoke(app, ["--log", paths[kind], "runs"])
    assert done.exit_code == 0
    assert len(warned) == 1
    assert "goes on without a log" in warned[0]


def test_the_environment_and_the_file_name_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRAIN_LOG", "one.log")
    assert run(monkeypatch, "runs") == 0
    monkeypatch.delenv("RETRAIN_LOG")
    (tmp_path / "retrain.toml").write_text("log = 'two.log'\n")
    assert run(monkeypatch, "runs") == 0
    assert entries(tmp_path / "one.log")[0] == entries(tmp_path / "two.log")[0]


def test_nothing_secret_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hush-1")
    secret = "hub:https://me:hush-2@example.org/m?token=hush-3&x=1&X-Amz-Signature=hush-4"
    assert run(monkeypatch, "--log", "log", "bottlenecks", "none", "--backbone", secret) != 0
    text = (tmp_path / "log").read_text()
    assert "hush" not in text
    assert "***@example.org/m?token=***&x=1" in text


def test_names_of_any_bytes_are_logged(tmp_path: Path) -> None:
    log_file.start(tmp_path / "log", ["a\udcff", "b\nc"], "1", console.warn)
    log_file.entry("note", "odd \udcff\nname")
    assert len(entries(tmp_path / "log")) == 4
