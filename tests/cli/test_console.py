"""What is printed, where, and how it looks in a pipe."""

from __future__ import annotations

import io
import json
import os
import sys

import pytest
from commands import forget_standard_error
from rich.console import Console

from retrain_cli.cli import console
from retrain_cli.cli.main import hoist_global_options
from retrain_cli.engine import quiet_engine
from retrain_cli.reports.text import printable


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (59.6, "1m 00s"), (200, "3m 20s"), (7500, "2h 05m")]
)
def test_durations(seconds: float, text: str) -> None:
    assert console.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2.5e12, "2.5 TB"), (9e15, "9.0 PB")],
)
def test_sizes(count: float, text: str) -> None:
    assert console.size(int(count)) == text


def test_a_table_in_a_pipe_is_aligned_whatever_the_script(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [["猫", "1"], ["dog", "200"], ["new\nline", "3"]]
    console.table(console.Table(("class", "images"), rows, right=(1,)))
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "class      images",
        "猫              1",
        "dog           200",
        "new\\nline       3",
    ]


def test_json_of_any_file_name() -> None:
    for name in ("plain", "猫", "bytes \udcff"):
        text = console.to_json({"path": name})
        text.encode()
        assert json.loads(text) == {"path": name}


@pytest.mark.parametrize(
    ("given", "hoisted"),
    [
        (["train", "--quiet", "--steps", "5"], ["--quiet", "train", "--steps", "5"]),
        (["eval", "--workspace", "w"], ["--workspace", "w", "eval"]),
        (["eval", "--workspace=w"], ["--workspace=w", "eval"]),
        (["label", "--", "--quiet"], ["label", "--", "--quiet"]),
        (["eval", "--workspace"], ["--workspace"]),
        (["runs", "--log", "l", "--config=c", "-q"], ["--log", "l", "--config=c", "-q", "runs"]),
    ],
)
def test_global_options_go_to_the_front(given: list[str], hoisted: list[str]) -> None:
    assert hoist_global_options(given) == hoisted


def test_colour_and_control_characters_of_a_name_do_no_harm() -> None:
    assert printable("a\x1b[31mred") == "a\\x1b[31mred"
    assert printable("bytes \udcff") == "bytes \\udcff"


def test_a_narrow_terminal_keeps_every_column_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    screen = Console(width=60, file=shown, force_terminal=True, color_system=None)
    monkeypatch.setattr(console, "_stdout", lambda: screen)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    row = ["top-1", *["58.0-85.0%"] * 4]
    console.table(console.Table(["", *["95% CI"] * 4], [row], right=range(1, 5)))
    assert "top-1" in shown.getvalue()


def test_what_is_said_while_an_engine_is_silenced_is_heard(
    capfd: pytest.CaptureFixture[str],
) -> None:
    forget_standard_error()
    try:
        console.configure(quiet=True, verbose=False)
        with quiet_engine():
            os.write(2, b"chatter of an engine")
            console.warn("runs/ is left out")
        assert capfd.readouterr().err == "warning: runs/ is left out\n"
    finally:
        console.configure(quiet=False, verbose=False)
        forget_standard_error()
