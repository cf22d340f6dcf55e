"""The four commands after each other, in pipes, with nothing on the screen that is not ours."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import LIMIT, QUICK_HEAD, RETRAIN, TINY, TINY_IN_KERAS, Outcome, make_photos


@pytest.fixture
def retrain(installed_retrain: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Nothing in place of the installed command here."""
    return installed_retrain


@pytest.fixture(scope="module")
def template(make_template: Callable[..., Path]) -> Path:
    """Photos, and a workspace with their bottlenecks and a run, made once."""
    return make_template(
        lambda photos: make_photos(photos, {"ant": 12, "bee": 12, "teapot": 12}),
        ["bottlenecks", "photos", *TINY],
        ["train", *QUICK_HEAD, "--name", "first"],
    )


@pytest.fixture
def trained(template: Path, tmp_path: Path) -> Path:
    """The photos; the test's own folder holds a copy of the workspace."""
    shutil.copytree(template / ".retrain", tmp_path / ".retrain")
    return template / "photos"


def lines_of(story: str) -> list[str]:
    """The lines, as far as they do not depend on how the photos were split, or how long it took."""
    lines = [line for line in story.splitlines() if not re.match(r"\w+: ([0-9,]+/|[0-9]+s)", line)]
    return [re.sub(r" (what is learnt|test photos \().*", "", line) for line in lines]


def test_the_main_job(photos: Path, retrain: Callable[..., Outcome], tmp_path: Path) -> None:
    first = retrain("bottlenecks", photos, *TINY_IN_KERAS)
    assert first.code == 0
    assert "36 images in 3 classes, 0 cached, 36 computed, 0 skipped" in first.out
    assert lines_of(first.err) == [
        "warning: 3 classes have fewer than 20 photos (ant 12, bee 12, teapot 12): add some, for",
        "warning: 3 classes have fewer than 5",
        "next: retrain train",
    ]
    again = retrain("bottlenecks", photos, *TINY_IN_KERAS)
    assert "36 cached, 0 computed" in again.out

    trained = retrain("train", "--steps", 50, "--name", "first", "--json")
    assert trained.code == 0
    assert lines_of(trained.err) == [
        "warning: 3 classes have fewer than 20 photos (ant 12, bee 12, teapot 12): add some, for",
        "warning: 3 classes have fewer than 5",
    ]
    assert trained.json["run"] == "first"

    evaluation = retrain("eval", "--top-k", "2,3", "--json").json
    assert evaluation["run"] == "first"
    top = {entry["k"]: entry["overall"] for entry in evaluation["top"]}
    assert top[2]["value"] >= top[1]["value"] == trained.json["metrics"]["test"]["top1"]
    assert top[3] is None  # among three classes the true one is always among the best three

    names = "\n".join(str(path) for path in sorted(photos.rglob("*.png")))
    labelled = retrain("label", "-", stdin=names.encode())
    lines = [json.loads(line) for line in labelled.out.splitlines()]
    assert [line["path"] for line in lines] == names.splitlines()
    assert all(len(line["labels"]) == 3 for line in lines)


def test_eval_in_its_forms(trained: Path, retrain: Callable[..., Outcome], tmp_path: Path) -> None:
    text = retrain("eval", "--split", "all").out
    assert "run first on all: 36 images of 3 classes" in text
    assert "share of 36 photos" in text
    assert "mean of 3 classes" in text
    assert "classes by top-1 accuracy" not in text
    assert "classes by top-1 accuracy" in retrain("eval", "--split", "all", "--full").out
    table = retrain("eval", "--split", "all", "--csv").out.splitlines()
    assert table[0].startswith("class,INT/EXT,images,top-1")
    assert len(table) == 4
    confusion = retrain("eval", "--split", "all", "--confusion", "--json").json
    assert sum(map(sum, confusion["confusion"])) == 36
    mistakes = retrain("eval", "--split", "all", "--misclassified").out.splitlines()
    right = sum(confusion["confusion"][i][i] for i in range(3))
    assert len(mistakes) == 36 - right
    assert all(len(line.split("\t")) == 4 for line in mistakes)
    for suffix in ("png", "svg", "pdf"):
        assert retrain("eval", "--plot", tmp_path / f"plot.{suffix}").code == 0
        assert (tmp_path / f"plot.{suffix}").stat().st_size > 1000


def test_an_assertion_that_does_not_hold_exits_with_4(
    trained: Path, retrain: Callable[..., Outcome]
) -> None:
    assert retrain("eval", "--assert-top1", "0").code == 0
    outcome = retrain("eval", "--split", "all", "--assert-top1", "1.0")
    if outcome.code:  # the head is random, it may be perfect
        assert "top-1 must be at least 100.00%" in outcome.refused(4)


def test_label_takes_paths_folders_bytes_and_nul_separated_lists(
    trained: Path, retrain: Callable[..., Outcome], tmp_path: Path
) -> None:
    new = make_photos(tmp_path / "new", {"x": 3}, seed=4) / "x"
    paths = sorted(new.iterdir())
    by_folder = retrain("label", new).out
    assert retrain("label", *paths).out == by_folder
    nul = b"\0".join(bytes(path) for path in paths)
    assert retrain("label", "-", "-0", stdin=nul).out == by_folder
    stream = b"".join(path.read_bytes() for path in paths)
    by_bytes = [
        json.loads(line)
        for line in retrain("label", "--stdin-image", stdin=stream).out.splitlines()
    ]
    assert [line["path"] for line in by_bytes] == ["stdin:1", "stdin:2", "stdin:3"]
    by_path = [json.loads(line)["labels"] for line in by_folder.splitlines()]
    assert [line["labels"] for line in by_bytes] == by_path


def test_label_goes_on_after_a_bad_file(
    trained: Path, retrain: Callable[..., Outcome], tmp_path: Path
) -> None:
    good = trained / "ant" / "0000.png"
    outcome = retrain("label", tmp_path / "missing.jpg", good)
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert outcome.code == 0
    assert "No such file" in lines[0]["error"]
    assert lines[1]["labels"]
    assert "1 of 2 file(s) could not be labelled" in outcome.err


def test_a_pipe_that_closes_early(
    trained: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    command = f"'{RETRAIN}' label '{trained}' '{trained}' '{trained}' | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        check=True,
        cwd=tmp_path,
        env=environment,
        timeout=LIMIT,
    )
    assert done.stdout.count(b"\n") == 1
    assert done.stderr == b""


def test_runs(trained: Path, retrain: Callable[..., Outcome]) -> None:
    assert "first" in retrain("runs").out
    shown = retrain("runs", "show", "first", "--json").json
    assert shown["training"]["steps"] == 20
    path = retrain("runs", "path").out.strip()
    assert path.endswith("first")
    assert retrain("runs", "rm", "first").code == 0
    assert retrain("runs", "--json").json == []


@pytest.mark.usefixtures("warm")
def test_data_fills_the_cache_first(photos: Path, retrain: Callable[..., Outcome]) -> None:
    assert retrain("bottlenecks", photos, *TINY).code == 0
    more = make_photos(photos.parent / "more", {"cat": 6, "dog": 6}, seed=6)
    outcome = retrain("train", "--data", more, *QUICK_HEAD)
    assert outcome.code == 0
    assert "12 computed" in outcome.err
    classes = retrain("runs", "show", "--json").json["classes"]
    assert classes == ["cat", "dog"]


def test_cache_commands(trained: Path, retrain: Callable[..., Outcome], tmp_path: Path) -> None:
    (info,) = retrain("cache", "info", "--json").json
    assert (info["bottlenecks"], info["in_use"]) == (36, True)
    assert "all sound" in retrain("cache", "verify").out
    assert "0 removed, 36 in the cache" in retrain("cache", "gc").out
    assert retrain("cache", "export", "out.npz").code == 0
    merged = retrain("cache", "merge", ".retrain", "--workspace", tmp_path / "other")
    assert "36 new, 36 in all" in merged.out


def test_global_options_work_on_both_sides_of_the_command(
    photos: Path, retrain: Callable[..., Outcome], tmp_path: Path
) -> None:
    assert retrain("bottlenecks", photos, *TINY, "--quiet", "--workspace", "here").code == 0
    assert retrain("--workspace", "here", "cache", "info", "--json").json[0]["bottlenecks"] == 36
    by_variable = retrain("cache", "info", "--json", env={"RETRAIN_WORKSPACE": "here"})
    assert by_variable.json[0]["bottlenecks"] == 36
    assert not (tmp_path / ".retrain").exists()


def test_a_plan(photos: Path, retrain: Callable[..., Outcome]) -> None:
    plan = retrain("bottlenecks", photos, *TINY, "--plan", "--json").json
    assert (plan["images"], plan["cached"], plan["to_compute"]) == (36, 0, 36)
    assert "to compute" in retrain("bottlenecks", photos, *TINY, "--plan").out


def test_doctor(retrain: Callable[..., Outcome]) -> None:
    findings = {finding["subject"]: finding for finding in retrain("doctor", "--json").json}
    assert findings["tensorflow"]["verdict"] == "ok"
    assert "engine" in findings
    assert "inception_v3" in retrain("doctor", "--backbones").out


def test_version_and_help(retrain: Callable[..., Outcome]) -> None:
    assert retrain("--version").out.startswith("retrain ")
    commands = retrain("--help").out
    for command in ("bottlenecks", "train", "eval", "label", "runs", "cache", "doctor"):
        assert command in commands
        assert retrain(command, "--help").code == 0


def test_completion(retrain: Callable[..., Outcome]) -> None:
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    shown = retrain("--show-completion", "bash", env=named)
    assert shown.code == 0
    assert "complete" in shown.out


def test_tensorboard_files_are_written(trained: Path, retrain: Callable[..., Outcome]) -> None:
    assert retrain("train", "--steps", 20, "--tensorboard", "--name", "curves").code == 0
    folder = Path(retrain("runs", "path", "curves").out.strip()) / "tensorboard"
    assert any("tfevents" in path.name for path in folder.iterdir())
