"""Time and memory of fresh processes, and the phases that are measured in them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import PROJECT

from benchmarks import growth, synthetic
from benchmarks.fresh import Point, measure_phase, run, run_retrain

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it asks POSIX for the memory")


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)


def test_the_peak_is_that_of_the_child_alone() -> None:
    ballast = np.ones(60_000_000)  # 480 MB that the child does not have
    small = run([sys.executable, "-c", "print('hello')"])
    large = run([sys.executable, "-c", "x = bytearray(200_000_000)"])
    assert (small.code, small.output) == (0, "hello\n")
    assert small.peak_megabytes < 60
    assert 190 < large.peak_megabytes - small.peak_megabytes < 230
    assert len(ballast)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit holds on Linux")
def test_limits_hold_for_the_child() -> None:
    code = "x = bytearray(300_000_000)"
    assert run([sys.executable, "-c", code]).code == 0
    assert run([sys.executable, "-c", code], {"RLIMIT_DATA": 200_000_000}).code != 0


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    wrote = measure_phase("write", 1500, 1, str(tmp_path))
    read = measure_phase("read", 1500, 3, str(tmp_path))
    assert (wrote.phase, wrote.size) == ("write", 1500)
    assert 0 < read.seconds < wrote.seconds
    assert (tmp_path / "write-1500.sqlite").stat().st_size > 1500 * synthetic.WIDTH * 4


def test_a_phase_that_fails_is_no_figure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="read of size 7 failed"):
        measure_phase("read", 7, 1, str(tmp_path))


def test_a_made_up_workspace_can_be_trained_on(tmp_path: Path) -> None:
    workspace = synthetic.write_workspace(tmp_path / "ws", images=90, classes=3, width=16)
    trained = run_retrain("--workspace", str(workspace.root), "--quiet", "train", "--steps", "3")
    assert trained.code == 0
    assert trained.output.startswith("run ")


def test_a_warm_run_of_the_stand_in_computes_nothing(tmp_path: Path) -> None:
    photos = synthetic.write_photos(tmp_path / "photos", 200)
    synthetic.fill(photos, tmp_path / "ws")
    command = ["--workspace", str(tmp_path / "ws"), "bottlenecks", str(photos), "--json"]
    warm = run_retrain(*command, *synthetic.OPEN_FLAGS)
    assert warm.code == 0
    assert '"cached": 200' in warm.output


def test_labelling_is_a_phase_of_its_own(tmp_path: Path) -> None:
    synthetic.write_photos(tmp_path / "photos-40", 40)
    synthetic.train_labeller(tmp_path / "known", tmp_path / "labeller")
    point = measure_phase("label", 40, 1, str(tmp_path))
    assert point.seconds > 0
    assert point.peak_megabytes < 300  # no engine is loaded


def test_the_figure_is_the_same_for_the_same_points(tmp_path: Path) -> None:
    phases = (*growth.OF_IMAGES, *growth.OF_CLASSES)
    points = [Point(phase, size, size / 1000, 50.0) for phase in phases for size in (10, 100)]
    first, second = tmp_path / "first.svg", tmp_path / "second.svg"
    growth.draw(points, first)
    growth.draw(points[::-1], second)
    assert first.read_bytes() == second.read_bytes()
    assert "classes (20,000 images)" in first.read_text()
