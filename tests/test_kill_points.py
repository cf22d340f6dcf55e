"""Commands that are struck at a file operation lose nothing; `tools/kill_points.py` is longer."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from faults.scenes import CASES, make_scene
from kill_points import Strikes, in_child

SHORT = ("eval --calibrate", "check --apply", "cache gc")
POINTS = 3


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A scene, and the place that it has to lie in."""
    folder = tmp_path_factory.mktemp("faults")
    assert in_child(lambda: make_scene(folder / "scene"))[0] == 0
    shutil.copytree(folder / "scene", folder / "template", symlinks=True)
    return folder / "template", folder / "scene"


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.parametrize("fault", ["kill", "ENOSPC"])
def test_nothing_is_lost(name: str, fault: str, template: tuple[Path, Path]) -> None:
    (case,) = (case for case in CASES if case.name == name)
    strikes = Strikes(case, *template)
    assert strikes.points > POINTS
    # The last operations are where something takes its place.
    step = max(1, strikes.points // POINTS)
    for number in range(strikes.points, 0, -step):
        assert strikes.strike(fault, number).wrong == ""
