"""`retrain export`, `bundle` and `label` with what they wrote, as somebody types them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import QUICK_HEAD, TINY, Outcome, make_photos

Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def trained(make_template: Callable[..., Path]) -> Path:
    return make_template(
        lambda root: make_photos(root, {"ant": 20, "bee": 20}),
        ["bottlenecks", "photos", *TINY],
        ["train", *QUICK_HEAD, "--name", "base"],
    )


@pytest.fixture
def here(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_bundle_labels_where_nothing_else_is(here: Path, retrain_here: Run) -> None:
    done = retrain_here("bundle", "base", "--with-backbone", "--json")
    assert done.code == 0, done.err
    assert done.json["path"] == "base.retrain"
    assert done.json["needs"] is None
    own = retrain_here("label", "photos/ant/0000.png", "photos/bee/0000.png")
    shutil.rmtree(here / ".retrain")
    theirs = retrain_here("label", "--bundle", "base.retrain", "photos/ant/0000.png",
                          "photos/bee/0000.png")  # fmt: skip
    assert theirs.code == 0, theirs.err
    assert theirs.out == own.out
    sorted_ = retrain_here("label", "--bundle", "base.retrain", "photos/ant/0000.png",
                           "--sort-into", "sorted")  # fmt: skip
    assert sorted_.code == 0, sorted_.err
    assert len(list((here / "sorted").rglob("*.png"))) == 1


def test_a_bundle_says_what_comes_next(here: Path, retrain_here: Run) -> None:
    done = retrain_here("bundle", "-o", "my.retrain")
    assert (done.code, done.out) == (0, "my.retrain\n")
    assert "next: retrain label --bundle my.retrain PHOTO" in done.err


REFUSED = {
    "no such run": (["export", "nothing"], 3, "nothing"),
    "no such weights": (["export", "--format", "keras", "--quantise", "int8"], 2, "--quantise"),
    "no such input": (["export", "--format", "onnx", "--input", "bytes"], 2, "--input"),
    "no such format": (["export", "--format", "coreml"], 2, "--format"),
    "a folder that is there": (["export", "-o", "photos"], 3, "is there already"),
    "photos that are gone": (["export", "--photos", ".retrain"], 3, "--photos FOLDER"),
    "a file that is gone": (["label", "--model", "x.onnx", "photos"], 3, "x.onnx is not"),
    "a file of another kind": (["label", "--model", "mine.txt", "photos"], 3, "ends with"),
    "a damaged file": (["label", "--model", "bad.onnx", "photos"], 3, "export the run again"),
    "a damaged phone file": (["label", "--model", "bad.tflite", "photos"], 3, "export the run"),
    "a damaged bundle": (["label", "--bundle", "mine.txt", "photos"], 3, "should be a bundle"),
    "a bundle that is there": (["bundle", "-o", "mine.txt"], 3, "--output"),
    "two at once": (["label", "--run", "base", "--model", "x.onnx", "photos"], 2, "--model"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_one_clear_line(name: str, here: Path, retrain_here: Run) -> None:
    arguments, code, part = REFUSED[name]
    for file in ("mine.txt", "bad.onnx", "bad.tflite"):
        (here / file).write_text("this is text")
    before = sorted(here.iterdir())
    assert part in retrain_here(*arguments).refused(code)
    assert sorted(here.iterdir()) == before


def test_a_missing_package_names_the_extra(
    here: Path, retrain_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retrain_cli.exporting import export_formats

    monkeypatch.setattr(export_formats, "find_spec", lambda name: None)
    line = retrain_here("export", "--format", "litert").refused()
    assert "pip install 'retrain-cli[export]'" in line


def test_changed_photos_count_as_gone(here: Path, retrain_here: Run) -> None:
    for photo in (here / "photos").rglob("*.png"):
        photo.write_bytes(photo.read_bytes() + b"\0")
    assert "as it was" in retrain_here("export", "--photos", "photos").refused()
    facts = json.loads(retrain_here("runs", "show", "base", "--json").out)
    assert facts  # the run is none the worse
