"""Heads with hidden layers, cosines or normalised bottlenecks, in everything after a training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import FakeBackbone, make_photos

from retrain_cli.errors import ConfigError, RunError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.info import RunInfo
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.add_class import AddClassRequest, add_class
from retrain_cli.workflows.calibrate import calibrate
from retrain_cli.workflows.check import CheckRequest, check_dataset
from retrain_cli.workflows.compare import compare_runs
from retrain_cli.workflows.evaluate import EvalRequest, evaluate
from retrain_cli.workflows.label import Labeller, LabelRequest
from retrain_cli.workflows.report import ReportRequest, make_report
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

CONFIG = TrainingConfig(steps=120, eval_every=40, batch_size=20, validation_percentage=30)
MAKES: dict[str, dict[str, Any]] = {
    "hidden": {"hidden": (16, 8), "activation": "gelu", "dropout": 0.3},
    "cosine": {"head": "cosine", "normalise": "standardise"},
    "l2": {"normalise": "l2"},
    "standardise": {"normalise": "standardise"},
}


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Photos of three classes, of which some are taken for others."""
    root = make_photos(tmp_path / "mixed", {"ant": 24, "bee": 24, "teapot": 12})
    aside = make_photos(tmp_path / "aside", {"ant": 8}, seed=5)
    for path in (aside / "ant").iterdir():
        path.rename(root / "bee" / f"x{path.name}")
    return root


@pytest.mark.parametrize("make", MAKES)
def test_such_a_head_is_a_run_as_any(
    make: str,
    mixed: Path,
    fill: Any,
    workspace: Workspace,
    fake_backbone: FakeBackbone,
    tmp_path: Path,
) -> None:
    fill(mixed)
    train_run(TrainRequest(CONFIG, name="usual"), workspace)
    config = replace(CONFIG, **MAKES[make])
    summary = train_run(TrainRequest(config, name="new", cv=2, calibrate=False), workspace)
    run = RunStore(workspace.runs_dir).get("new")
    assert run.config == config
    assert summary.folds is not None
    kept = json.loads((run.folder / "config.json").read_text())
    assert kept["format"] == 2
    before = evaluate(EvalRequest("new", "all", (1, 2)), workspace).result
    assert before.top1.overall.value > 0.7
    assert evaluate(EvalRequest("new", "cv"), workspace).result.n_images == 68
    (comparison,) = compare_runs(["usual", "new"], workspace)
    changed = {change.name for change in comparison.settings}
    assert {f"training.{name}" for name in MAKES[make]} <= changed
    calibrate("new", workspace)
    after = evaluate(EvalRequest("new", "all", (1, 2)), workspace).result
    assert after.top1.overall.value == before.top1.overall.value
    commands = " ".join(one.text for one in make_report(ReportRequest("new"), workspace).commands)
    for word in ("--hidden 16,8", "--activation gelu", "--dropout 0.3", "--head cosine"):
        name = word.split()[0].removeprefix("--")
        given = MAKES[make].get(name)
        assert (word in commands) == (given is not None), commands

    labeller = Labeller(LabelRequest("new"), workspace, load=lambda spec, device: fake_backbone)
    new = make_photos(tmp_path / "more", {"ant": 6, "bee": 6, "teapot": 6}, seed=9)
    paths = sorted(str(path) for path in new.rglob("*.png"))
    with labeller:
        answers = list(labeller.label(map(Source, paths)))
    assert np.mean([answer.labels[0].label in answer.path for answer in answers]) > 0.8


@pytest.mark.parametrize("make", MAKES)
def test_a_class_is_added(
    make: str,
    photos: Path,
    fill: Any,
    workspace: Workspace,
    fake_backbone: FakeBackbone,
    tmp_path: Path,
) -> None:
    fill(photos)
    config = replace(CONFIG, **MAKES[make])
    base = train_run(TrainRequest(config, name="base"), workspace).run
    classes = {"ant": 1, "bee": 1, "teapot": 1, "wasp": 12}
    wasps = make_photos(tmp_path / "elsewhere", classes, seed=7) / "wasp"
    for again in (False, True):
        request = AddClassRequest("wasp", (wasps,), run="base", retrain=again)
        grown = add_class(request, workspace, load=lambda spec, device: fake_backbone).run
        assert grown.config == config
        assert len(grown.head.body.hidden) == len(base.head.body.hidden)
        result = evaluate(EvalRequest(grown.name, "all"), workspace).result
        assert result.top1.overall.value > 0.8
        if not again:
            vectors = np.random.default_rng(0).random((5, base.head.width), np.float32)
            old, new = base.head.logits(vectors), grown.head.logits(vectors)
            # With one more column products are summed in another order.
            np.testing.assert_allclose(new[:, :-1], old, rtol=1e-6)


def test_what_is_the_study_s_head_is_written_as_ever(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos)
    run = train_run(TrainRequest(CONFIG), workspace).run
    values = json.loads((run.folder / "config.json").read_text())
    assert values["format"] == 1
    assert not {"hidden", "head", "dropout"} & values["training"].keys()


def test_a_version_that_knows_no_format_refuses_it(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos)
    run = train_run(TrainRequest(replace(CONFIG, hidden=(4,))), workspace).run
    values = json.loads((run.folder / "config.json").read_text())
    with pytest.raises(RunError, match="formats 1 and 2, not 3: update retrain"):
        RunInfo.from_dict({**values, "format": 3})


@pytest.mark.parametrize("make", MAKES)
def test_training_goes_on_from_a_head_of_the_same_make_only(
    make: str, photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos)
    config = replace(CONFIG, **MAKES[make])
    first = train_run(TrainRequest(config, name="first", calibrate=False), workspace).run
    small = replace(config, steps=1, learning_rate=1e-12, eval_every=1)
    second = train_run(TrainRequest(small, init_from="first", calibrate=False), workspace).run
    vectors = np.random.default_rng(0).random((5, first.head.width), np.float32)
    np.testing.assert_allclose(
        second.head.logits(vectors), first.head.logits(vectors), rtol=1e-3, atol=1e-3
    )
    plain = replace(CONFIG, steps=5)
    if make == "standardise":  # it is a plain head by now
        train_run(TrainRequest(plain, init_from="first"), workspace)
    else:
        with pytest.raises(RunError, match="continued as it is made"):
            train_run(TrainRequest(plain, init_from="first"), workspace)


def test_source_classes_are_kept_beside_one_layer_only() -> None:
    for changes in ({"hidden": (4,)}, {"head": "cosine"}, {"normalise": "l2"}):
        with pytest.raises(ConfigError, match="side by side: leave out hidden"):
            TrainRequest(replace(CONFIG, **changes), keep_source_classes=True)
    TrainRequest(replace(CONFIG, normalise="standardise", dropout=0.5), keep_source_classes=True)


def test_a_check_takes_the_settings_of_such_a_run(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos)
    train_run(TrainRequest(replace(CONFIG, hidden=(8,), normalise="l2")), workspace)
    assert check_dataset(CheckRequest(), workspace) is not None
