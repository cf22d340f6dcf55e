"""`retrain study` as a user runs it: tables, CSV, JSON, figures, Ctrl-C, wrong usage."""

from __future__ import annotations

import csv
import io
import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import LIMIT, QUICK_HEAD, RETRAIN, TINY, Outcome, heed_signals, make_photos, wait_for

QUICK = ("--steps", 30, "--repeats", 2)


@pytest.fixture(scope="module")
def template(make_template: Callable[..., Path]) -> Path:
    """A workspace with the bottlenecks of four small classes, two of them INT."""
    root = make_template(
        lambda photos: make_photos(photos, {"ant": 9, "teapot": 9, "blob": 9, "gizmo": 9}),
        ["bottlenecks", "photos", *TINY, "--source-classes", "imagenet"],
    )
    return root / ".retrain"


@pytest.fixture
def filled(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path / ".retrain")
    return tmp_path


def test_one_study_in_every_form(filled: Path, retrain: Callable[..., Outcome]) -> None:
    three = ("study", "int-ext", *QUICK_HEAD, "--repeats", 2, "--mixes", 3)
    text = retrain(*three, "--plot", "figure.svg")
    assert text.code == 0, text.err
    assert text.out.startswith("study int-ext: 2 classes a classifier, 3 mixes, 2 repeats")
    assert (filled / "figure.svg").read_text().startswith("<?xml")
    again = retrain(*three, "--json")
    assert "6 trials were finished before; 0 are left" in again.err
    mixes = again.json["mixes"]
    assert [mix["INT"] for mix in mixes] == [0, 1, 2]
    assert mixes[0]["INT top-1"] is None
    table = retrain(*three, "--csv")
    rows = list(csv.DictReader(io.StringIO(table.out)))
    assert [float(row["average top-1"]) for row in rows] == pytest.approx(
        [mix["average top-1"]["mean"] for mix in mixes], rel=1e-5
    )
    assert rows[0]["INT top-1"] == rows[0]["INT top-1 low"] == ""


@pytest.mark.parametrize(
    ("name", "options"), [("difficulty", (*QUICK_HEAD, "--repeats", 2)), ("cost", QUICK)]
)
def test_the_other_studies(
    filled: Path, retrain: Callable[..., Outcome], name: str, options: Any
) -> None:
    done = retrain("study", name, *options, "--json", "--plot", "figure.png")
    assert done.code == 0, done.err
    assert done.json["study"] == name
    assert (filled / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert retrain("study", name, *options, "-q").err == ""


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("int-ext", "--classes", 1), 2, "--classes must be at least 2"),
        (("int-ext", "--repeats", 0), 2, "--repeats must be at least 1"),
        (("int-ext", "--workers", 0), 2, "--workers must be at least 1"),
        (("int-ext", "--plot", "figure.gif"), 2, "ending in .png, .svg or .pdf"),
        (("int-ext", "--optimizer", "magic"), 2, "--optimizer takes one of"),
        (("examples", "--sizes", "3,x"), 2, "--sizes takes whole numbers"),
        (("examples", "--sizes", "0"), 2, "--sizes must be at least 1"),
        (("examples", "--target", 90), 2, "--target must be between 0 and 1"),
        (("difficulty", "--few", 4), 2, "--few must be one of the sizes"),
        (("tuning-guide", "--validation-percentage", 0), 3, "--validation-percentage"),
        (("cost", "--epochs", 0), 2, "--epochs must be at least 1"),
    ],
)
def test_what_cannot_work(
    filled: Path, retrain_here: Callable[..., Outcome], arguments: Any, code: int, says: str
) -> None:
    assert says in retrain_here("study", *arguments).refused(code)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("int-ext", "--classes", 5), 3, "lower --classes"),
        (("int-ext", "--csv", "--json"), 2, "choose one of --csv and --json"),
    ],
)
def test_what_cannot_work_in_a_process_of_its_own(
    filled: Path, retrain: Callable[..., Outcome], arguments: Any, code: int, says: str
) -> None:
    assert says in retrain("study", *arguments).refused(code)


def test_without_bottlenecks(tmp_path: Path, retrain: Callable[..., Outcome]) -> None:
    assert "run `retrain bottlenecks IMAGE_DIR` first" in retrain("study", "cost").refused(3)


def test_ctrl_c_keeps_finished_trials(
    filled: Path, retrain: Callable[..., Outcome], environment: dict[str, str]
) -> None:
    command = ["study", "examples", "--sizes", "3", "--repeats", "2", "--steps", "1000"]
    process = subprocess.Popen(
        [str(RETRAIN), *command, "--workers", "1"],
        cwd=filled,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_signals,  # noqa: PLW1509 - this process has no other threads
    )
    wait_for(lambda: finished(filled), "a finished trial")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130, err
    kept = finished(filled)
    assert 1 <= kept < 4
    assert f"interrupted; {kept} of 4 trials are finished and kept: " in err.decode()
    done = retrain(*command, "--json")
    assert f"{kept} trials were finished before; {4 - kept} are left" in done.err
    assert finished(filled) == 4


def finished(folder: Path) -> int:
    lines = [
        line
        for path in (folder / ".retrain").glob("studies/*/trials.jsonl")
        for line in path.read_text().splitlines()
    ]
    for line in lines:
        json.loads(line)
    return len(lines)


@pytest.mark.real
def test_more_photos_help_on_real_ones(
    test_data: Path, tmp_path: Path, retrain: Callable[..., Outcome]
) -> None:
    """Five kinds of flowers through the packaged backbone."""
    photos = test_data / "data" / "flowers"
    assert retrain("bottlenecks", photos, "--backbone", "efficientnet_lite0").code == 0
    options = ("--steps", 500, "--repeats", 2, "--testing-percentage", 30)
    done = retrain("study", "examples", *options, "--sizes", "3,10,25", "--json")
    assert done.code == 0, done.err
    top1 = [size["top-1"]["mean"] for size in done.json["sizes"]]
    assert top1[0] + 0.1 < top1[-1]
    check = done.json["check_of_fit"]
    assert abs(check["error"]) < 0.1
