"""Commands end as documented, whatever is wrong around them; see tools/environment_faults.py."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from environment_faults import Stage, verdict
from faults.surroundings import SURROUNDINGS, Surroundings
from helpers import make_photos

import retrain_cli.cli.commands.runs  # noqa: F401 - so that no trial has to import it
from retrain_cli.workspace import Workspace

IN_PROCESS = [around for around in SURROUNDINGS if not around.from_start]


@pytest.mark.parametrize("command", ["--version", "--help"])
@pytest.mark.parametrize("name", ["stdout is full", "stdout has no reader", "stdout is closed"])
def test_what_prints_and_leaves_ends_as_documented(name: str, command: str, tmp_path: Path) -> None:
    (around,) = (one for one in SURROUNDINGS if one.name == name)
    (tmp_path / "template").mkdir()
    trial = Stage(tmp_path / "template", tmp_path / "scene").run((command,), around)
    assert trial.code == (141 if name == "stdout has no reader" else 3)
    assert verdict(trial, around, Counter()) == ""


@pytest.mark.parametrize("around", IN_PROCESS, ids=lambda around: around.name)
def test_a_command_ends_as_documented(around: Surroundings, tmp_path: Path) -> None:
    template = tmp_path / "template"
    make_photos(template / "photos", {"ant": 1})
    (template / "home").mkdir()
    workspace = Workspace(template / ".retrain")
    workspace.runs_dir.mkdir(parents=True)
    workspace.write_state({})
    stage = Stage(template, tmp_path / "scene")
    trial = stage.run(("runs", "--json"), around)
    assert verdict(trial, around, stage.photos) == ""
