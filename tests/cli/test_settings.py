"""Settings of a file and of the environment become defaults, and are told where they come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main
from commands import EVERY, parameters
from typer.testing import CliRunner

from retrain_cli.cli import console
from retrain_cli.cli.main import app
from retrain_cli.cli.settings import OuterSettings, _beside, keys_of, options_of
from retrain_cli.errors import ConfigError

ROOT: Any = typer.main.get_command(app)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RETRAIN_WORKSPACE", raising=False)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    def write(text: str, name: str = "retrain.toml") -> Path:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The errors that are printed from here on."""
    errors: list[str] = []
    monkeypatch.setattr(console, "error", errors.append)
    return errors


def shown(*names: str, env: dict[str, str] | None = None, before: Any = ()) -> dict[str, Any]:
    """What `config show` says of each option: its value and its source."""
    done = CliRunner().invoke(app, [*before, "config", "show", *names, "--json"], env=env)
    assert done.exit_code == 0, done.output
    options = json.loads(done.stdout)["options"]
    return {
        f"{one['command']} {one['option']}".strip(): (one["value"], one["source"])
        for one in options
    }


def params(*words: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    """What `train` would be called with."""
    seen: dict[str, Any] = {}

    def keep(ctx: Any) -> None:
        seen.update(ctx.params)

    train = ROOT.get_command(None, "train")
    invoke, train.__class__.invoke = train.__class__.invoke, lambda self, ctx: keep(ctx)
    try:
        done = CliRunner().invoke(app, [*words], env=env)
    finally:
        train.__class__.invoke = invoke
    assert done.exit_code == 0, (done.output, done.exception)
    return seen


def test_a_flag_goes_before_the_environment_the_file_and_the_default(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert params("train")["steps"] == 10_000
    write("[train]\nsteps = 30\n")
    assert params("train")["steps"] == 30
    monkeypatch.setenv("RETRAIN_TRAIN_STEPS", "20")
    assert params("train")["steps"] == 20
    assert params("train", "--steps", "10")["steps"] == 10
    assert params("--config", "none", "train")["steps"] == 10_000


def test_a_shared_setting_holds_for_every_command_that_has_the_option(
    write: Callable[..., Path],
) -> None:
    write("backbone = 'vgg16'\ndevice = 'cpu'\n[label]\ndevice = 'gpu'\n[study]\nrepeats = 7\n")
    found = shown()
    assert found["bottlenecks backbone"] == ("vgg16", "retrain.toml, line 1")
    assert found["similar device"] == ("cpu", "retrain.toml, line 2")
    assert found["label device"] == ("gpu", "retrain.toml, line 4")
    assert found["study int-ext repeats"] == (7, "retrain.toml, line 6") or found[
        "study int-ext repeats"
    ] == ("7", "retrain.toml, line 6")
    assert "train backbone" not in found


def test_every_kind_of_value(write: Callable[..., Path], folder: Path) -> None:
    path = write(
        "[train]\nlearning-rate = 1\nrescan = true\nclasses = ['ant', 'dog, brown']\n"
        "memory_limit = '2G'\noptimizer = 'sgd'\ndata = 'photos'\n"
        "[add-class]\ntest = ['a', '~/b']\n",
        "there/settings.toml",
    )
    found = params("--config", str(path), "train")
    assert found["learning_rate"] == 1.0
    assert found["rescan"] is True
    assert found["classes"] == ("ant", "dog, brown")
    assert found["memory_limit"] == 2**31
    assert found["optimizer"] == "sgd"
    assert found["data"] == folder / "there" / "photos"
    show = shown("add-class", before=("--config", str(path)))
    assert show["add-class test"][0] == [str(folder / "there" / "a"), "~/b"]


def test_a_word_or_path_is_a_path_where_something_lies(write: Callable[..., Path]) -> None:
    write("", "there/own.h5")
    path = write("[bottlenecks]\nweights = 'own.h5'\nsource-classes = 'imagenet'\n", "there/s.toml")
    found = shown("bottlenecks", before=("--config", str(path)))
    assert found["bottlenecks weights"][0] == str(path.with_name("own.h5"))
    assert found["bottlenecks source-classes"][0] == "imagenet"


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    env = {
        "RETRAIN_STEPS": "9",
        "RETRAIN_TRAIN_RESCAN": "no",
        "RETRAIN_EVAL_TOP5": "yes",
        "RETRAIN_ADD_CLASS_TEST": "a:b",
        "RETRAIN_STUDY_INT_EXT_REPEATS": "4",
        "RETRAIN_OPTIMIZER": "",
        "RETRAIN_TEST_DATA": "nothing of ours",
        "RETRAIN_VERSION": "1",
        "RETRAIN_HELP": "1",
    }
    found = shown(env=env)
    assert found["train steps"] == ("9", "RETRAIN_STEPS")
    assert found["train rescan"] == (False, "RETRAIN_TRAIN_RESCAN")
    assert found["eval top5"] == (True, "RETRAIN_EVAL_TOP5")
    assert found["add-class test"] == (["a", "b"], "RETRAIN_ADD_CLASS_TEST")
    assert found["study int-ext repeats"] == ("4", "RETRAIN_STUDY_INT_EXT_REPEATS")
    assert "train optimizer" not in found
    assert params("train", env=env)["steps"] == 9


def test_where_the_file_is_looked_for(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("[train]\nsteps = 1\n")
    write("[train]\nsteps = 2\n", "two.toml")
    write("\ufeff[train]\r\nsteps = 3\r\n", "three.toml")
    assert params("train")["steps"] == 1
    monkeypatch.setenv("RETRAIN_CONFIG", "two.toml")
    assert params("train")["steps"] == 2
    assert params("train", "--config", "three.toml")["steps"] == 3
    monkeypatch.setenv("RETRAIN_CONFIG", "none")
    assert params("train")["steps"] == 10_000


def test_what_is_typed_goes_before_another_form_or_run(write: Callable[..., Path]) -> None:
    write("json = true\nrun = 'a'\n")
    command: Any = ROOT.get_command(None, "eval")
    seen: dict[str, Any] = {}
    kind = command.__class__
    invoke, kind.invoke = kind.invoke, lambda self, ctx: seen.update(ctx.params)
    try:
        CliRunner().invoke(app, ["eval", "b", "--csv"])
    finally:
        kind.invoke = invoke
    assert (seen["run"], seen["run_option"]) == ("b", None)
    assert (seen["csv"], seen["json"]) == (True, False)


WRONG = [
    (
        "stesp = 3",
        "line 1: a key is the name of an option of `retrain`, and 'stesp' is none",
        "steps",
    ),
    ("[train]\nstesp = 3", "line 2: a key is the name of an option of `retrain train`", "steps"),
    ("\n[trian]\nx = 3", "line 2: a table is a command of `retrain`, and 'trian'", "train"),
    ("[study.intext]\nx = 3", "a table is a command of `retrain study`", "int-ext"),
    ("[train.steps]\nx = 3", "a table is a command of `retrain train`", "--help"),
    ("train = 3", "line 1: train is a command", "[train]"),
    ("[train]\nsteps = 'many'", "line 2: --steps takes a whole number, not 'many'", ""),
    ("[train]\nsteps = 1.5", "line 2: --steps takes a whole number, not 1.5", ""),
    ("[train]\nsteps = true", "line 2: --steps takes a whole number, not True", ""),
    ("[train]\nsteps = [1]", "line 2: --steps takes a whole number, not [1]", ""),
    ("[train]\nlearning-rate = 'x'", "line 2: --learning-rate takes a number, not 'x'", ""),
    ("[train]\nrescan = 'yes'", "line 2: --rescan takes true or false, not 'yes'", ""),
    ("[train]\nname = 3", "line 2: --name takes a text, not 3", ""),
    ("[train]\nclasses = [true]", "line 2: --classes takes names, not [True]", ""),
    ("[train]\noptimizer = 'adma'", "line 2: --optimizer takes one of adam", "'adma'"),
    ("[train]\nsteps = 0", "--steps must be at least 1, not 0", "retrain.toml, line 2"),
    ("[train]\nmemory-limit = 'x'", "takes an amount of memory", "retrain.toml, line 2"),
    ("x = [", "settings must be a file in TOML", "--config"),
]


@pytest.mark.parametrize(("text", "expected", "hint"), WRONG)
def test_what_cannot_be_is_refused_with_its_place(
    write: Callable[..., Path], said: list[str], text: str, expected: str, hint: str
) -> None:
    write(text)
    done = CliRunner().invoke(app, ["train"])
    assert done.exit_code == 2, done.output
    assert len(said) == 1
    assert expected in said[0]
    assert hint in said[0]


def test_a_wrong_table_of_another_command_is_refused_too(
    write: Callable[..., Path], said: list[str]
) -> None:
    write("[eval]\ntop6 = true\n")
    done = CliRunner().invoke(app, ["runs"])
    assert done.exit_code == 2
    assert "did you mean top5 or top-k?" in said[0]


@pytest.mark.parametrize("name", ["none.toml", "."])
def test_a_file_that_was_chosen_must_be_there(name: str) -> None:
    with pytest.raises(ConfigError, match="settings must be a file in TOML"):
        OuterSettings.find(name)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("RETRAIN_TRAIN_STEPS", "many", "RETRAIN_TRAIN_STEPS: --steps cannot be 'many'"),
        ("RETRAIN_TRAIN_OPTIMIZER", "x", "RETRAIN_TRAIN_OPTIMIZER: --optimizer takes one of"),
        ("RETRAIN_RESCAN", "maybe", "RETRAIN_RESCAN: --rescan takes true or false, not 'maybe'"),
        ("RETRAIN_STEPS", "-1", "--steps is set by RETRAIN_STEPS"),
    ],
)
def test_a_wrong_variable_is_named(
    said: list[str], variable: str, value: str, expected: str
) -> None:
    done = CliRunner().invoke(app, ["train"], env={variable: value})
    assert done.exit_code == 2
    assert expected in said[0]


def every_option(command: Any, path: tuple[str, ...] = ()) -> Any:
    for option in options_of(command):
        yield path, option
    for name in command.list_commands(None) if hasattr(command, "list_commands") else ():
        yield from every_option(command.get_command(None, name), (*path, name))


def test_every_option_can_be_set_by_its_name() -> None:
    for path, option in every_option(ROOT):
        words = "_".join((*path, keys_of(option)[0])).replace("-", "_").upper()
        value = "yes" if option.is_flag else "1"
        command = ROOT
        for name in path:
            command = command.get_command(None, name)
        found = OuterSettings(None, {f"RETRAIN_{words}": value}).of(path, command)
        assert found[option.name].source == f"RETRAIN_{words}"


def test_a_url_in_the_file_is_relative_to_nothing(tmp_path: Path) -> None:
    option = parameters(EVERY["bottlenecks"])["from_csv"]
    assert _beside("s3://bucket/list.csv", option, tmp_path) == "s3://bucket/list.csv"
    assert _beside("list.csv", option, tmp_path) == str(tmp_path / "list.csv")
