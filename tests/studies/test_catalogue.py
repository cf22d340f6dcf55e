"""A study is one file: its command, options and help follow from it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import retrain_cli as rt
from retrain_cli.cli.commands.study import StudyGroup
from retrain_cli.studies import protocols
from retrain_cli.studies.catalogue import find_studies, help_of, options_of

TOY = '''
from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from retrain_cli.errors import ConfigError
from retrain_cli.studies.study import Study, option


@dataclass(frozen=True)
class ToyStudy(Study):
    """Something that nobody has looked at.

    Attributes:
        wheel_count: how many.
        sizes: which.
    """

    name: ClassVar[str] = "toy"
    family: ClassVar[str] = "toy"
    figure: ClassVar[float] = 7

    wheel_count: int = option(4, "How many wheels.")
    sizes: tuple[int, ...] = option((1, 2), "Which sizes.")

    def trials(self, data, settings):
        raise ConfigError(f"a toy of {self.wheel_count} wheels and sizes {self.sizes}")

    def result(self, data, settings, groups):
        raise NotImplementedError
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more file in the folder of the protocols."""
    (tmp_path / "toy.py").write_text(TOY)
    monkeypatch.setattr(protocols, "__path__", [*protocols.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, f"{protocols.__name__}.toy", raising=False)


def test_the_studies_of_the_paper_come_first_and_in_its_order() -> None:
    names = ["int-ext", "examples", "histogram", "difficulty", "few-shot"]
    assert list(find_studies())[:5] == names


def test_every_study_is_in_the_api_and_explains_itself() -> None:
    for study in find_studies().values():
        assert getattr(rt, study.__name__) is study
        assert help_of(study)
        assert "Attributes" not in help_of(study)
        for one in options_of(study):
            assert one.meaning.endswith("."), (study.name, one.name)


@pytest.mark.usefixtures("toy")
def test_a_file_is_a_command_with_its_options() -> None:
    assert list(find_studies())[:3] == ["int-ext", "toy", "examples"]
    app = typer.Typer(cls=StudyGroup)
    app.callback()(lambda: None)
    shown = CliRunner().invoke(app, ["--help"]).output
    assert "Something that nobody has looked at." in shown
    shown = CliRunner().invoke(app, ["toy", "--help"]).output
    assert "How many wheels." in shown
    assert "--wheel-count" in shown
    assert "--repeats" in shown


@pytest.mark.usefixtures("toy")
def test_options_reach_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from retrain_cli.cli.commands import study as command

    made: list[object] = []

    def conduct(study: object) -> None:
        made.append(study)

    monkeypatch.setattr(command, "conduct", conduct)
    app = typer.Typer(cls=StudyGroup)

    @app.callback()
    def root(ctx: typer.Context) -> None:
        ctx.obj = rt.Workspace.locate(tmp_path)

    for arguments in ([], ["--wheel-count", "3", "--sizes", "5,7"]):
        result = CliRunner().invoke(app, ["toy", *arguments])
        assert result.exit_code == 0, result.output
    kind = find_studies()["toy"]
    assert made == [kind(), kind(3, (5, 7))]  # type: ignore[call-arg]
