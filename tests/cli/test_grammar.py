"""The same thing is said in the same way everywhere, and a wrong word leads to the right one."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from retrain_cli.cli import console
from retrain_cli.cli.commands import COMMANDS
from retrain_cli.cli.grammar import HINTS, SUB_HINTS
from retrain_cli.cli.main import app
from retrain_cli.errors import ConfigError, WorkspaceError

ROOT: Any = typer.main.get_command(app)


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    errors: list[str] = []
    monkeypatch.setattr(console, "error", errors.append)
    return errors


def refused(said: list[str], *words: str) -> str:
    said.clear()
    done = CliRunner().invoke(app, [*words])
    assert done.exit_code == 2, (words, done.output, done.exception)
    assert len(said) == 1
    return said[0]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("predict", "`retrain label`"),
        ("val", "`retrain eval`"),
        ("fit", "`retrain train`"),
        ("convert", "`retrain export`"),
        ("test", "`retrain eval`"),
        ("ls", "`retrain runs`"),
        ("delete", "`retrain runs rm`"),
        ("fine-tune", "`retrain finetune`"),
        ("Predict", "`retrain label`"),
        ("trian", "`retrain train`"),
        ("lable", "`retrain label`"),
        ("predct", "`retrain label`"),
        ("qqq", "`retrain --help`"),
        ("runs ls", "`retrain runs`"),
        ("runs delete", "`retrain runs rm`"),
        ("runs delte", "`retrain runs rm`"),
        ("runs renmae", "`retrain runs rename`"),
        ("cache clear", "`retrain cache gc`"),
        ("cache verfy", "`retrain cache verify`"),
        ("study intext", "`retrain study int-ext`"),
        ("study tuning", "`retrain study tuning-guide`"),
        ("study learning-curve", "`retrain study examples`"),
        ("config get", "`retrain config show`"),
        ("help trian", "`retrain train`"),
        ("help runs ls", "`retrain runs`"),
        ("config show trian", "`retrain train`"),
    ],
)
def test_a_wrong_word_leads_to_the_right_one(said: list[str], typed: str, meant: str) -> None:
    assert meant in refused(said, *typed.split())


def test_every_hint_is_a_command_and_hides_none() -> None:
    assert not set(HINTS) & set(COMMANDS)
    for group, hints in {"": HINTS, **SUB_HINTS}.items():
        owner = ROOT.get_command(None, group) if group else ROOT
        assert not set(hints) & set(owner.list_commands(None))
        for hint in hints.values():
            if "`" not in hint and not hint.startswith("-"):
                command = ROOT
                for word in hint.split():
                    if word.startswith("-") or word.isupper():
                        break
                    assert word in command.list_commands(None), hint
                    command = command.get_command(None, word)


def every_parameter(command: Any, path: str = "retrain") -> Any:
    for parameter in command.get_params(command.context_class(command)):
        yield path, parameter
    for name in command.list_commands(None) if hasattr(command, "list_commands") else ():
        yield from every_parameter(command.get_command(None, name), f"{path} {name}")


EVERY = list(every_parameter(ROOT))


def test_a_k_is_k_or_top_k_everywhere() -> None:
    with_k = {path: set(one.opts) for path, one in EVERY if {"-k", "--top-k"} & set(one.opts)}
    assert set(with_k) == {
        f"retrain {name}" for name in ("eval", "explain", "label", "serve", "similar", "watch")
    }
    assert all(opts == {"--top-k", "-k"} for opts in with_k.values())


def test_a_plan_is_a_dry_run_everywhere() -> None:
    both = {"--plan", "--dry-run"}
    with_plan = {path: set(one.opts) for path, one in EVERY if both & set(one.opts)}
    assert set(with_plan) == {
        f"retrain {name}"
        for name in ("bottlenecks", "check", "finetune", "search", "cache gc", "runs rm")
    }
    assert all(opts == both for opts in with_plan.values())


def test_a_run_that_is_an_argument_is_an_option_too() -> None:
    arguments = {
        path for path, one in EVERY if one.name == "run" and one.param_type_name != "option"
    }
    options = {path for path, one in EVERY if "--run" in one.opts}
    alone = {"retrain runs note", "retrain runs rename"}  # where another argument comes after it
    assert arguments - alone <= options
    assert options >= {f"retrain {name}" for name in ("eval", "label", "report", "check")}


def test_help_shows_flags_without_a_type() -> None:
    for words in (["--help"], ["train", "--help"], ["runs", "show", "--help"], ["help", "eval"]):
        shown = CliRunner().invoke(app, words).output
        assert "--" in shown
        assert "bool" not in shown.lower()


def test_paragraphs_of_the_help_end_where_the_screen_does() -> None:
    for command in ("train", "eval", "watch", "cache verify"):
        words = [*command.split(), "--help"]
        shown = CliRunner(env={"COLUMNS": "70"}).invoke(app, words).output
        lines = shown[: shown.index("╭")].splitlines()
        for line, after in itertools.pairwise(lines):
            word = after.split()[:1]
            if line.strip() and word:  # the next word had no room
                assert len(line.rstrip()) + len(word[0]) + 1 > 68, (command, line)


def test_help_is_a_command() -> None:
    for words in (["train"], ["runs", "rm"], ["study", "cost"], []):
        asked = CliRunner().invoke(app, ["help", *words], prog_name="retrain")
        assert asked.exit_code == 0
        assert asked.output.count("Usage:") == 1
        usual = CliRunner().invoke(app, [*words, "--help"], prog_name="retrain").output
        assert asked.output.split() == usual.split()


def test_the_version_is_v() -> None:
    assert CliRunner().invoke(app, ["-V"]).output == CliRunner().invoke(app, ["--version"]).output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["eval", "--chart", "roc"], "--chart goes with --plot FILE"),
        (["label", "x", "--max-error", "0.1"], "--max-error goes with --reject"),
        (["train", "--rescan"], "--rescan goes with --data"),
        (["label", "x", "-0"], "--null goes with - for a list of paths"),
        (["similar", "x", "--null"], "--null goes with - for a list of paths"),
        (["check", "--dry-run"], "--dry-run goes with --apply SCRIPT or --undo"),
        (["classes", "--write", "x.csv"], "--suggest"),
        (["classes", "--least-share", "0.5"], "--least-share goes with --suggest"),
        (["eval", "a", "--run", "b"], "name one run, not both a and --run b"),
    ],
)
def test_an_option_that_would_do_nothing_is_told(
    said: list[str], words: list[str], expected: str
) -> None:
    assert expected in refused(said, *words)


@pytest.mark.parametrize(
    ("words", "is_refused"),
    [
        (["--balance", "prior", "--sampling", "balanced"], True),
        (["--balance", "none", "--sampling", "balanced"], True),
        (["--balance", "sampling", "--sampling", "shuffled"], True),
        (["--balance", "sampling", "--sampling", "balanced"], False),
        (["--balance", "weights"], False),
        (["--sampling", "balanced"], False),
    ],
)
def test_two_options_do_not_say_two_things_about_batches(
    words: list[str], tmp_path: Path, *, is_refused: bool
) -> None:
    """Before anything is read: here there are no bottlenecks at all."""
    done = CliRunner().invoke(app, ["--workspace", str(tmp_path), "train", *words])
    assert done.exit_code == (ConfigError.exit_code if is_refused else WorkspaceError.exit_code)
