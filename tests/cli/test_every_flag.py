"""Every command with every option on bad input: the exit code is the documented one, with a reason.

The cases are made from the commands themselves, so that a new option is looked at as soon as it is
there. Nothing is trained and no network is loaded: what gets as far as that is good input.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands import EVERY, forget_standard_error, parameters, run_here
from helpers import SMALL_SPEC, FakeBackbone, make_photos

from retrain_cli.backbones import loader
from retrain_cli.cli import console
from retrain_cli.errors import DatasetError, WeightsError
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.finetuning.parts import Parts
from retrain_cli.heads import training
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.studies.source_target.paper_network import PaperSchool
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

WORDS = ("", "none such", "../up", "\udcff", "-1", "nan", "1e999", "9" * 30)
"""Values for any option: of a wrong type, out of range, of nothing that is there."""


@dataclass(frozen=True)
class Place:
    """A folder to work in, with a workspace of some kind."""

    folder: Path
    workspace: Path


@dataclass
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    def check(self, arguments: list[str]) -> None:
        """Fail where it did not end as it should."""
        story = (arguments, self.code, self.out[-500:], self.err[-2000:])
        assert self.code in (0, 2, 3, 4), story
        assert "Traceback" not in self.err, story
        assert "unexpected fault" not in self.err, story
        if self.code:
            assert self.err.strip(), story
            assert "\x1b]" not in self.err, story


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A workspace with bottlenecks and a run."""
    folder = tmp_path_factory.mktemp("filled")
    photos = make_photos(folder / "photos", {"ant": 12, "bee": 12, "teapot": 12})
    workspace = Workspace(folder / "workspace")
    request = BottleneckRequest(photos, SMALL_SPEC, settings=ExtractionSettings(8, 2))
    fill_cache(request, workspace, load=lambda spec, device: FakeBackbone())
    train_run(TrainRequest(TrainingConfig(optimizer="lbfgs", steps=5), name="run"), workspace)
    (folder / "text.txt").write_text("no image\n")
    (folder / "odd.csv").write_text("a,b,c\n\0\n")
    return Place(folder, workspace.root)


def empty_workspace(place: Place, tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir(exist_ok=True)
    return tmp_path / "empty"


def no_folder(place: Place, tmp_path: Path) -> Path:
    return place.folder / "text.txt"


def damaged_state(place: Place, tmp_path: Path) -> Path:
    damaged = tmp_path / "damaged"
    if not damaged.exists():
        shutil.copytree(place.workspace, damaged)
        (damaged / "state.json").write_text('{"last_used": [1, 2]}')
        (damaged / "index.sqlite").write_bytes(b"rubbish" * 1000)
        for path in damaged.glob("cache/*.sqlite"):
            path.write_bytes(b"rubbish" * 1000)
        for path in damaged.glob("runs/*/config.json"):
            path.write_text("{}")
    return damaged


WORKSPACES: list[Callable[[Place, Path], Path]] = [empty_workspace, no_folder, damaged_state]


@pytest.fixture
def say(
    filled: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Said]]:
    """Run a command in the filled folder."""

    def trains_nothing(*_: Any) -> Any:
        raise DatasetError("nothing is trained here")

    def loads_nothing(*_: Any, **__: Any) -> Any:
        raise WeightsError("nothing is loaded here")

    monkeypatch.setattr(training, "_prepare", trains_nothing)
    monkeypatch.setattr(PaperSchool, "pupil", trains_nothing)
    monkeypatch.setattr(loader, "load_backbone", loads_nothing)
    monkeypatch.setattr(Parts, "build", loads_nothing)
    monkeypatch.chdir(filled.folder)
    monkeypatch.setattr(sys, "stdin", None)

    def run(arguments: list[str], workspace: Path = filled.workspace) -> Said:
        done = run_here([*arguments, "--workspace", str(workspace)], capfd)
        return Said(done.code, done.out, done.err)

    yield run
    console.configure(quiet=False, verbose=False)
    forget_standard_error()


def needed(command: Any) -> list[str]:
    """What stands for the arguments that a command cannot do without."""
    required = [one for one in command.params if one.required]
    arguments = ["nowhere" for one in required if one.param_type_name == "argument"]
    options = [(one.opts[0], "nowhere") for one in required if one.param_type_name == "option"]
    return [*arguments, *(word for pair in options for word in pair)]


def bad_values(place: Place) -> list[str]:
    paths = (
        "nowhere/none.csv",
        "photos",
        "text.txt",
        "odd.csv",
        "/dev/null/x.csv",
        "text.txt/x.csv",
    )
    return [*WORDS, *paths]


LOOKED_AT = {path: command for path, command in EVERY.items() if path != "demo"}
"""The demo takes what the others take, and does real work with it."""

SHARED_BY_STUDIES = set.intersection(
    *(
        set(parameters(command))
        for path, command in EVERY.items()
        if path.startswith("study ") and "steps" in parameters(command)
    )
)
"""Options that are tried with one study, for all that train heads."""

ONE_STUDY = next(path for path in EVERY if path.startswith("study "))
OPTIONS = [
    pytest.param(path, one, id=f"{path}-{name}")
    for path, command in LOOKED_AT.items()
    for name, one in parameters(command).items()
    if not path.startswith("study ") or path == ONE_STUDY or name not in SHARED_BY_STUDIES
]


@pytest.mark.parametrize(("path", "option"), OPTIONS)
def test_a_bad_value_has_a_reason(
    path: str, option: Any, filled: Place, say: Callable[..., Said]
) -> None:
    words = path.split()
    rest = needed(EVERY[path])
    if option.param_type_name == "argument":
        cases = [[*words, "--", value, *rest[1:]] for value in bad_values(filled)]
    elif option.is_flag:
        cases = [[*words, *rest, flag] for flag in (*option.opts, *option.secondary_opts)]
    else:
        cases = [[*words, *rest, option.opts[0], value] for value in bad_values(filled)]
    for case in cases:
        say(case).check(case)


@pytest.mark.parametrize("kind", WORKSPACES)
@pytest.mark.parametrize("path", LOOKED_AT)
def test_a_bad_workspace_has_a_reason(
    path: str,
    kind: Callable[[Place, Path], Path],
    filled: Place,
    tmp_path: Path,
    say: Callable[..., Said],
) -> None:
    command = EVERY[path]
    flags = [
        [flag]
        for one in parameters(command).values()
        if one.param_type_name == "option" and one.is_flag
        for flag in one.opts
    ]
    for given in ([], *flags):
        case = [*path.split(), *needed(command), *given]
        say(case, kind(filled, tmp_path)).check(case)


@pytest.mark.parametrize("path", ["", *EVERY])
def test_an_option_that_is_none(path: str, say: Callable[..., Said]) -> None:
    for wrong in (["--none-such"], ["--none-such=1"], ["-Z"], ["x"] * 9):
        case = [*path.split(), *wrong]
        said = say(case)
        said.check(case)
        if wrong[0].startswith("-"):
            assert said.code == 2
