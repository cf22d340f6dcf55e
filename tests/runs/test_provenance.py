"""The record of what a run was made from: on disk, damaged, and told as commands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.errors import RetrainError
from retrain_cli.evaluation.intervals import Estimate
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.info import RunInfo
from retrain_cli.runs.joined_sources import JoinedSources
from retrain_cli.runs.making import Grown, Trained
from retrain_cli.runs.provenance import ImageCounts, Provenance
from retrain_cli.runs.run import Run

SHARE = Estimate(0.5, 0.25, 0.75)
BASE = Provenance(
    Path("/a \udcff b"),
    BackboneSpec("mobilenet", 0.25, weights="random", input_size=32),
    TrainingConfig(classes=("a", "b")),
    "/source classes.txt",
    Path("/int ext.csv"),
    "near-duplicates",
    Trained(None, 5, True, Path("/top.h5"), 20),
    counts=ImageCounts(10, 8, 1, 1, 8),
    joined=JoinedSources(997, 3, 1.5, -2.0, "95% stay right", 4, SHARE, None, 2, SHARE, SHARE),
)
GROWN = replace(
    BASE,
    made=Grown("base", "bug", (Path("/p"),), (Path("/t"), Path("/u")), True, ("wasp",)),
    parents=BASE.line("base", calibrated=True),
)


def saved(provenance: Provenance) -> dict[str, Any]:
    return RunInfo(provenance, "abc", {"retrain": "1"}, 5, "steps").to_dict()


@pytest.mark.parametrize("provenance", [BASE, GROWN, replace(BASE, complete=False)])
def test_it_survives_saving(provenance: Provenance) -> None:
    read = RunInfo.from_dict(json.loads(json.dumps(saved(provenance))))
    assert read.provenance == provenance


def places(values: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON document."""
    inside = values.items() if isinstance(values, dict) else enumerate(values)
    found = []
    for key, value in inside:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += places(value, (*path, key))
    return found


@pytest.mark.parametrize("wrong", [None, 3, "text", [], {}, [1], {"a": 1}, "gone"])
def test_a_damaged_record_is_an_error_of_ours_or_none(tmp_path: Path, wrong: Any) -> None:
    """Whatever stands in a place, reading and telling end well or with one clear line."""
    whole = json.loads(json.dumps(saved(GROWN)))
    for place in places(whole):
        damaged = json.loads(json.dumps(whole))
        inner = damaged
        for key in place[:-1]:
            inner = inner[key]
        if wrong == "gone":
            del inner[place[-1]]
        else:
            inner[place[-1]] = wrong
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(damaged))
        try:
            info = Run(folder).info
        except RetrainError:
            continue
        assert isinstance(info.provenance, Provenance), place


def test_a_long_line_of_runs_can_be_kept() -> None:
    """Classes that come one by one make runs of many parents; none is kept within another."""
    provenance = BASE
    for number in range(1500):
        line = provenance.line(f"run {number}", calibrated=False)
        provenance = replace(provenance, made=Grown(f"run {number}", f"c{number}"), parents=line)
    read = RunInfo.from_dict(json.loads(json.dumps(saved(provenance)))).provenance
    assert read == provenance
    assert len(read.commands("last", calibrated=False).steps) == 1502


def test_new_names_are_new_and_short() -> None:
    line = replace(BASE, made=Trained("x"), parents=BASE.line("x", calibrated=False))
    made = line.commands("x", calibrated=False, taken={"x-again"})
    assert made.name == "x-again-3"
    assert made.steps[-1].arguments[-4:] == ("--init-from", "x-again-2", "--name", "x-again-3")
    assert len(BASE.commands("β" * 127, calibrated=False).name.encode()) < 255


def test_a_parent_that_is_not_known_is_named() -> None:
    lost = replace(BASE, made=Trained("lost"))
    step = lost.commands("x", calibrated=False).steps[-1]
    assert "lost that it came from is not known" in step.purpose
    assert step.arguments[-4:-2] == ("--init-from", "lost")


@pytest.mark.parametrize("source", ["/old/data/inception_mini_classes.csv", "none"])
def test_a_backbone_that_is_no_more_is_succeeded(source: str) -> None:
    """The file of its classes lay where the package does; another choice is the user's."""
    spec = BackboneSpec("mini", weights="bundled", precision="float32", runtime="keras")
    step = Provenance(Path("/p"), spec, TrainingConfig(), source).bottlenecks_step()
    chosen = ("--source-classes", "none") if source == "none" else ()
    assert step.arguments == ("bottlenecks", "/p", "--backbone", "efficientnet_lite0", *chosen)
    assert "mini, is no longer part of retrain" in step.purpose
