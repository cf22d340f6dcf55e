"""The first five minutes: `retrain demo` in an empty folder, from the installed package."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import PROJECT, Outcome


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A folder of the sample photos."""
    return Path(shutil.copytree(PROJECT / "sample_images", tmp_path / "samples"))


def test_the_walk_through(retrain: Callable[..., Outcome], drawn: Path, tmp_path: Path) -> None:
    outcome = retrain("demo", drawn)
    assert outcome.code == 0, outcome.err
    commands = re.findall(r"^\$ retrain (\w+)", outcome.out, re.MULTILINE)
    assert commands == ["bottlenecks", "train", "eval", "label"]
    assert "159 images in 8 classes" in outcome.out
    assert "skipped snowman/snowman_20_broken.jpg: truncated JPEG" in outcome.err
    assert re.search(r"^share of \d+ photos .*%\nmean of 8 classes .*%", outcome.out, re.MULTILINE)
    assert outcome.out.count('"labels"') == 3
    assert "Your turn" in outcome.out
    top1 = re.search(r"test top-1 ([\d.]+)%", outcome.out)
    assert top1 is not None
    assert float(top1[1]) > 85  # chance is 12.5, and it reached 96

    again = retrain("demo", drawn)
    assert "159 cached, 0 computed" in again.out
    assert sorted(path.name for path in tmp_path.iterdir()) == [".retrain", "samples"]


def test_a_folder_of_something_else_is_left_alone(
    retrain: Callable[..., Outcome], photos: Path
) -> None:
    before = sorted(photos.rglob("*"))
    assert str(photos) in retrain("demo", photos).refused()
    assert sorted(photos.rglob("*")) == before


def test_the_wheel_holds_all_that_the_program_reads(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=PROJECT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    data = [
        path.relative_to(PROJECT).as_posix()
        for path in (PROJECT / "retrain_cli").rglob("*")
        if path.is_file() and path.suffix not in (".pyc",)
    ]
    assert "retrain_cli/datasets/data/imagenet_classes.csv" in data
    assert set(data) <= names
    shared = {name.partition(".data/data/share/")[2] for name in names}
    assert {
        "man/man1/retrain.1",
        "bash-completion/completions/retrain",
        "zsh/site-functions/_retrain",
        "fish/vendor_completions.d/retrain.fish",
    } <= shared
    assert not any(name.startswith(("tests", "sample_images")) for name in names)
