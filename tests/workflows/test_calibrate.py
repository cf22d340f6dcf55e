"""Calibration, kept with the run, read by everything that reads scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import FakeBackbone, make_photos

from retrain_cli.errors import RunError
from retrain_cli.evaluation import predictions as predictions_module
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.calibrate import calibrate, remove_calibration
from retrain_cli.workflows.evaluate import EvalRequest, evaluate
from retrain_cli.workflows.label import Labeller, LabelRequest
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace


@pytest.fixture
def trained(tmp_path: Path, fill: Any, workspace: Workspace) -> Any:
    """A run that makes mistakes: two classes share photos of one colour, under different names."""
    root = make_photos(tmp_path / "photos", {"ant": 40, "bee": 40})
    make_photos(root / "aside", {"ant": 30}, seed=5)
    for path in (root / "aside" / "ant").iterdir():
        path.rename(root / "bee" / f"x{path.name}")
    (root / "aside" / "ant").rmdir()
    (root / "aside").rmdir()
    fill(root)

    def train(**config: Any) -> Any:
        settings = {"steps": 30, "validation_percentage": 30, "testing_percentage": 20}
        return train_run(TrainRequest(TrainingConfig(**(settings | config))), workspace).run

    train.root = root  # type: ignore[attr-defined]
    return train


def test_it_lowers_the_loss_on_validation_and_changes_no_answer(
    trained: Any, workspace: Workspace
) -> None:
    run = trained()
    raw = run.predictions
    before = {path.name: path.read_bytes() for path in run.folder.iterdir() if path.is_file()}
    summary = calibrate(None, workspace)
    validation = summary.effects[0]
    assert validation.after.log_loss.value < validation.before.log_loss.value
    assert [effect.split for effect in summary.effects] == ["validation", "test"]
    calibrated = RunStore(workspace.runs_dir).get(run.name)
    assert calibrated.calibration.temperature == summary.calibration.temperature
    np.testing.assert_array_equal(calibrated.predictions.rank, raw.rank)
    assert not np.allclose(calibrated.predictions.top_scores, raw.top_scores)
    after = {path.name: path.read_bytes() for path in run.folder.iterdir() if path.is_file()}
    assert after.pop("calibration.npz")
    assert after.pop("digests.json") != before.pop("digests.json")
    assert after == before


def test_eval_and_label_use_it_until_it_is_undone(
    trained: Any, workspace: Workspace, fake_backbone: FakeBackbone
) -> Any:
    run = trained()

    def score() -> float:
        labeller = Labeller(LabelRequest(), workspace, load=lambda spec, device: fake_backbone)
        (answer,) = labeller.label([Source(str(trained.root / "ant" / "0000.png"))])
        return answer.labels[0].score

    def loss() -> float:
        return evaluate(EvalRequest(split="validation"), workspace).result.reliability.losses

    raw_score, raw_loss = score(), loss()
    temperature = calibrate(None, workspace).calibration.temperature
    assert loss() < raw_loss
    row = list(run.predictions.images.paths).index("ant/0000.png")
    calibrated = RunStore(workspace.runs_dir).get(None)
    assert score() == pytest.approx(calibrated.predictions.top_scores[row, 0], rel=1e-4)
    document = evaluate(EvalRequest(), workspace).to_dict()
    assert document["calibration"]["temperature"] == temperature
    assert calibrate(None, workspace).calibration.temperature == pytest.approx(temperature)
    remove_calibration(None, workspace)
    assert score() == pytest.approx(raw_score)
    assert loss() == pytest.approx(raw_loss)
    with pytest.raises(RunError, match="not calibrated"):
        remove_calibration(None, workspace)


def test_a_run_that_goes_on_starts_from_the_head_as_trained(
    trained: Any, workspace: Workspace
) -> None:
    run = trained()
    raw = run.head
    calibrate(None, workspace)
    calibrated = RunStore(workspace.runs_dir).get(run.name)
    np.testing.assert_array_equal(calibrated.trained_head.weights, raw.weights)
    assert not np.allclose(calibrated.head.weights, raw.weights)
    config = TrainingConfig(steps=1, validation_percentage=30, testing_percentage=20)
    request = TrainRequest(config, init_from=run.name)
    gone_on = train_run(request, workspace).run
    assert np.abs(gone_on.head.weights - raw.weights).max() < 0.1


def test_where_few_scores_are_saved_head_and_cache_give_the_same(
    trained: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained()
    full = calibrate(None, workspace).calibration
    curves = evaluate(EvalRequest(split="all"), workspace).curves
    monkeypatch.setattr(predictions_module, "_MOST_SAVED", 1)
    monkeypatch.setattr(predictions_module, "_FEWEST_SAVED", 1)
    run = trained()
    assert run.predictions.top_scores.shape[1] == 1
    short = calibrate(None, workspace).calibration
    assert short.temperature == pytest.approx(full.temperature, rel=1e-3)
    evaluation = evaluate(EvalRequest(split="all"), workspace)
    assert evaluation.curves.macro_auc.value == pytest.approx(curves.macro_auc.value)
    for path in workspace.cache_dir.glob("*.sqlite*"):
        path.unlink()
    document = evaluate(EvalRequest(split="all"), workspace).to_dict()
    assert document["curves"] is None
    assert "does not hold" in document["curves_missing"]
    with pytest.raises(RunError, match="bottlenecks"):
        calibrate(None, workspace)


def test_a_run_without_validation_images_is_refused(trained: Any, workspace: Workspace) -> None:
    trained(validation_percentage=0)
    with pytest.raises(RunError, match="validation_percentage"):
        calibrate(None, workspace)


def test_a_run_without_mistakes_is_refused(photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos)
    train_run(TrainRequest(TrainingConfig(steps=300)), workspace)
    with pytest.raises(RunError, match="learns from mistakes"):
        calibrate(None, workspace)
    assert RunStore(workspace.runs_dir).get(None).calibration is None


def test_scores_for_classes_of_equal_share_are_not_fitted_to_photos_in_their_own(
    trained: Any, workspace: Workspace
) -> None:
    run = trained(balance="prior")
    assert run.provenance.fit is not None  # before the shares were taken off
    with pytest.raises(RunError, match="has fitted them before it took the shares off"):
        calibrate(None, workspace)
    trained(balance="prior", prior="natural")
    assert calibrate(None, workspace).run.head.prior is not None
