"""Heads in closed form and fitted scores, in everything that comes after a training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import make_photos

from retrain_cli.cli import console
from retrain_cli.cli.views.eval import show_evaluation
from retrain_cli.cli.views.train import notes_on
from retrain_cli.errors import ConfigError, RunError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.add_class import AddClassRequest, add_class
from retrain_cli.workflows.calibrate import calibrate
from retrain_cli.workflows.compare import compare_runs
from retrain_cli.workflows.cross_validate import saved_folds, saved_predictions
from retrain_cli.workflows.evaluate import EvalRequest, evaluate
from retrain_cli.workflows.shared.training_set import load_training_set
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

CONFIG = TrainingConfig(steps=40, eval_every=20, validation_percentage=30, testing_percentage=20)


@pytest.fixture
def mixed(tmp_path: Path, fill: Any) -> Path:
    """Photos of two classes that are often taken for one another."""
    root = make_photos(tmp_path / "photos", {"ant": 40, "bee": 40})
    aside = make_photos(tmp_path / "aside", {"ant": 15}, seed=5)
    for path in (aside / "ant").iterdir():
        path.rename(root / "bee" / f"x{path.name}")
    fill(root)
    return root


@pytest.mark.parametrize("optimizer", ["ridge", "auto"])
def test_a_head_in_closed_form_is_a_run_as_any(
    photos: Path, fill: Any, workspace: Workspace, optimizer: Any
) -> None:
    fill(photos)
    usual = train_run(TrainRequest(CONFIG, name="usual"), workspace).run
    config = replace(CONFIG, optimizer=optimizer)
    summary = train_run(TrainRequest(config, name="new", cv=2), workspace)
    run = RunStore(workspace.runs_dir).get("new")
    assert run.config == config
    assert summary.fit == run.provenance.fit
    assert summary.folds is not None
    assert summary.test is not None
    rows = usual.predictions.rows("test")
    np.testing.assert_array_equal(rows, run.predictions.rows("test"))
    (comparison,) = compare_runs(["usual", "new"], workspace)
    assert comparison.n_images == len(rows)
    assert evaluate(EvalRequest("new", "cv"), workspace).result.n_images == 36
    picked = summary.fit and summary.fit.picked
    if optimizer == "ridge" or picked != "adam":
        assert not len(run.predictions.rows("validation"))
        assert summary.best_validation is None
        trained_on = run.provenance.counts.trained_on
        assert trained_on == len(run.predictions.rows("training")) == 36 - len(rows)
        with pytest.raises(RunError, match="were fitted when it was trained"):
            calibrate("new", workspace)
    assert any("never saw it" in line for line in notes_on(summary)) or picked == "adam"


def test_validation_photos_that_are_given_or_not_asked_for_stay(
    photos: Path, fill: Any, workspace: Workspace, tmp_path: Path
) -> None:
    fill(photos)
    ridge = replace(CONFIG, optimizer="ridge")
    some = load_training_set(workspace, replace(ridge, examples_per_class=3)).data
    assert len(some.validation)
    assert not len(some.spare)
    laid_out = tmp_path / "laid out"
    make_photos(laid_out / "train", {"ant": 12, "bee": 12})
    make_photos(laid_out / "val", {"ant": 6, "bee": 6}, seed=9)
    fill(laid_out)
    run = train_run(TrainRequest(ridge), workspace).run
    assert len(run.predictions.rows("validation")) == 12


def test_a_continued_head_is_refused_before_any_work(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="makes one anew"):
        TrainRequest(TrainingConfig(optimizer="ridge"), init_from="x")


def test_scores_are_fitted_after_each_training(mixed: Path, workspace: Workspace) -> None:
    raw = train_run(TrainRequest(CONFIG, name="raw", calibrate=False), workspace)
    fitted = train_run(TrainRequest(CONFIG, name="fitted"), workspace)
    assert raw.fit is None
    assert fitted.fit is not None
    assert fitted.fit.by == "validation"
    np.testing.assert_array_equal(raw.run.predictions.rank, fitted.run.predictions.rank)
    losses = [
        evaluate(EvalRequest(name, "validation"), workspace).to_dict()["log_loss"]["value"]
        for name in ("raw", "fitted")
    ]
    assert losses[1] < losses[0]
    np.testing.assert_allclose(
        fitted.run.head.weights * fitted.fit.temperature, raw.run.head.weights, rtol=1e-4, atol=1e-7
    )
    assert raw.run.provenance.commands("raw", calibrated=False).steps[-1].arguments[-3:-2] == (
        "--no-calibrate",
    )


def test_a_sure_classifier_is_sure(photos: Path, fill: Any, workspace: Workspace) -> None:
    """The README asks for photos with a score above 0.9: of an easy set there are some."""
    fill(photos)
    config = TrainingConfig(steps=3, validation_percentage=40)
    run = train_run(TrainRequest(config), workspace).run
    raw = train_run(TrainRequest(config, calibrate=False), workspace).run
    assert (raw.predictions.top_scores[:, 0] > 0.9).mean() < 0.5
    assert (run.predictions.top_scores[:, 0] > 0.9).mean() > 0.5


def test_few_photos_all_train_and_are_all_judged(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos)
    summary = train_run(TrainRequest(TrainingConfig(steps=40), few_shot=True), workspace)
    run = RunStore(workspace.runs_dir).get(None)
    assert run.provenance.made.facts()["cv"] == 5
    assert len(run.predictions.rows("training")) == 36
    assert summary.test is None
    assert summary.fit is not None
    assert summary.fit.by == "left out"
    assert summary.fit.images == 36
    words = run.provenance.commands(run.name, calibrated=False).steps[-1].arguments
    assert {"--cv", "--testing-percentage", "--validation-percentage"} <= set(words)
    folds, predictions = saved_folds(run), saved_predictions(run)
    assert len(folds) == len(predictions) == 36
    assert set(folds.tolist()) == set(range(5))
    with pytest.raises(ConfigError, match="keeps no photos aside"):
        TrainRequest(TrainingConfig(testing_percentage=20), few_shot=True)


def test_too_few_test_photos_are_told(
    photos: Path, fill: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(photos)
    told: list[str] = []
    notes: list[str] = []
    monkeypatch.setattr(console, "note", notes.append)
    train_run(TrainRequest(CONFIG), workspace, on_warning=told.append)
    (wanted,) = [line for line in told if "test photos" in line]
    assert "--cv 5" in wanted
    assert "--few-shot" in wanted
    show_evaluation(evaluate(EvalRequest(), workspace), "text", full=False)
    assert wanted in notes
    notes.clear()
    show_evaluation(evaluate(EvalRequest(split="all"), workspace), "text", full=False)
    assert not [line for line in notes if "test photos" in line]


@pytest.mark.parametrize("retrain", [False, True])
def test_a_class_comes_to_a_head_in_closed_form(
    photos: Path, fill: Any, workspace: Workspace, tmp_path: Path, retrain: bool, fake_backbone: Any
) -> None:
    fill(photos)
    train_run(TrainRequest(replace(CONFIG, optimizer="ridge"), name="three"), workspace)
    more = make_photos(tmp_path / "more", {"wasp": 5}, seed=3)
    request = AddClassRequest("wasp", (more / "wasp",), retrain=retrain, name="four")
    grown = add_class(request, workspace, load=lambda spec, device: fake_backbone).run
    assert grown.head.labels == ("ant", "bee", "teapot", "wasp")
    assert grown.provenance.fit is not None
