"""Runs that the version before made: they are listed, shown, evaluated, reported and compared.

Their photos and bottlenecks are gone. What that version did not note is read from their files.
"""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import ROOT
from helpers import PROJECT

from retrain_cli.evaluation.figures import headline_figures
from retrain_cli.runs.making import Grown, Trained
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.compare import compare_runs
from retrain_cli.workflows.evaluate import EvalRequest, evaluate
from retrain_cli.workflows.report import ReportRequest, make_report, write_report
from retrain_cli.workspace import Workspace

MADE = PROJECT / "tests" / "data" / "version_before" / "runs"
NAMES = ("calibrated", "continued", "folds", "grouped", "grown", "plain")
PHOTOS = Path("/tmp/version_before")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    shutil.copytree(MADE, tmp_path / "workspace" / "runs")
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def runs(workspace: Workspace) -> RunStore:
    return RunStore(workspace.runs_dir)


def type_in(workspace: Workspace, *words: str) -> None:
    ROOT(args=["--workspace", str(workspace.root), *words], standalone_mode=False)


def words_of(workspace: Workspace, name: str) -> list[list[str]]:
    report = make_report(ReportRequest(name), workspace)
    return [shlex.split(command.text)[5:] for command in report.commands]


def test_they_are_listed_and_shown(workspace: Workspace, capsys: Any) -> None:
    type_in(workspace, "runs", "--json")
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} == set(NAMES)
    for name in NAMES:
        type_in(workspace, "runs", "show", name)
        shown = capsys.readouterr().out
        assert str(PHOTOS / "photos") in shown
        assert "near_duplicates" not in shown


@pytest.mark.parametrize("name", NAMES)
def test_what_was_noted_is_written_as_it_was(runs: RunStore, name: str) -> None:
    """Whoever reads the file finds every value where it was."""
    before = json.loads((MADE / name / "config.json").read_text("utf-8"))
    now = runs.get(name).info.to_dict()
    noted = before.pop("dataset")
    if "added" in noted:
        del noted["init_from"]  # was that of the run that it grew from
    assert {key: now["dataset"][key] for key in noted} == noted
    backbone = before.pop("backbone")  # later versions know more of it
    assert {key: now["backbone"][key] for key in backbone} == backbone
    assert {key: now[key] for key in before} == before


@pytest.mark.parametrize("name", NAMES)
def test_their_figures_are_those_of_then(workspace: Workspace, runs: RunStore, name: str) -> None:
    result = evaluate(EvalRequest(name, "test", (1, 5)), workspace).result
    now, then = headline_figures(result), runs.get(name).metrics["test"]
    assert {figure: now[figure] for figure in then} == then
    if name == "folds":
        evaluate(EvalRequest(name, "cv"), workspace)


@pytest.mark.parametrize("name", NAMES)
def test_they_are_reported(workspace: Workspace, name: str, tmp_path: Path) -> None:
    report = write_report(ReportRequest(name, html=tmp_path / "a.html"), workspace).report
    assert set(report.missing) == {"nearest", "map", "bad files", "near duplicates"}
    assert "did not note --group and --int-ext" in report.commands[0].purpose


def test_they_are_compared(workspace: Workspace) -> None:
    (comparison,) = compare_runs(["plain", "continued"], workspace)
    changed = {change.name for change in comparison.settings}
    assert changed >= {"training.optimizer", "dataset.init_from"}
    assert comparison.n_images > 0


def test_folds_are_known(workspace: Workspace, runs: RunStore) -> None:
    assert runs.get("folds").provenance.made == Trained(cv=3, calibrate=False)
    words = words_of(workspace, "folds")[1]  # the scores of an older version were never fitted
    assert words[-5:] == ["--cv", "3", "--no-calibrate", "--name", "folds-again"]


def test_the_run_that_another_came_from_is_known(workspace: Workspace, runs: RunStore) -> None:
    words = words_of(workspace, "continued")
    assert [line[0] for line in words] == ["bottlenecks", "train", "train", "eval", "report"]
    assert words[1][-2:] == ["--name", "plain-again"]
    assert words[2][-5:-2] == ["--init-from", "plain-again", "--no-calibrate"]
    runs.remove("plain")
    assert [line[0] for line in words_of(workspace, "continued")][:2] == ["bottlenecks", "train"]


def test_photos_of_a_class_are_known_and_that_it_was_calibrated(
    workspace: Workspace, runs: RunStore
) -> None:
    made = runs.get("grown").provenance.made
    assert isinstance(made, Grown)
    wasps = PHOTOS / "more" / "-wasp"
    assert made.photos == tuple(wasps / f"{number}.png" for number in range(3))
    assert made.test == (wasps / "4.png", wasps / "5.png")
    words = words_of(workspace, "grown")
    lines = [line[0] for line in words]
    assert lines == ["bottlenecks", "train", "eval", "add-class", "eval", "report"]
    assert words[2] == ["eval", "--run", "calibrated-again", "--calibrate"]
    assert words[3][-5:] == ["--", "-wasp", *map(str, made.photos)]


def test_a_younger_run_of_the_name_is_another_one(runs: RunStore, workspace: Workspace) -> None:
    path = workspace.runs_dir / "plain" / "config.json"
    values = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**values, "created": "2999-01-01T00:00:00+00:00"}))
    assert runs.get("continued").provenance.parents == ()


def test_a_new_run_keeps_what_is_known_of_an_old_one(runs: RunStore) -> None:
    parents = runs.get("grown").provenance.line("grown", calibrated=False)
    assert [(one.name, one.calibrated) for one in parents] == [
        ("calibrated", True),
        ("grown", False),
    ]
    assert np.isfinite(runs.get("grown").head.weights).all()
