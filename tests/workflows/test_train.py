"""`train_run`: a run that can be read back, evaluated and continued."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SMALL_SPEC, FakeBackbone, make_photos

from retrain_cli.errors import ConfigError, DatasetError, RunError, WorkspaceError
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.evaluate import EvalRequest, evaluate
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

CONFIG = TrainingConfig(steps=60, eval_every=20, batch_size=20)


def test_a_run_holds_everything(photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos)
    summary = train_run(TrainRequest(CONFIG, name="first"), workspace)
    run = RunStore(workspace.runs_dir).get("first")
    assert run.labels == ("ant", "bee", "teapot")
    assert run.config == CONFIG
    assert len(run.predictions) == 36
    assert [row.step for row in run.history] == [20, 40, 60]
    assert run.metrics["test"]["images"] == len(run.predictions.rows("test"))
    assert summary.test is not None
    assert summary.test.top1.overall.value == run.metrics["test"]["top1"]


def test_colours_are_learnt(photos: Path, fill: Any, workspace: Workspace) -> None:
    """Each class has a colour of its own: a head that does not find them is broken."""
    fill(photos)
    train_run(TrainRequest(TrainingConfig(steps=300)), workspace)
    result = evaluate(EvalRequest(split="all"), workspace).result
    assert result.top1.overall.value > 0.9


def test_equal_seeds_give_equal_heads(photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos)
    heads = [train_run(TrainRequest(CONFIG), workspace).run.head for _ in range(2)]
    np.testing.assert_array_equal(heads[0].weights, heads[1].weights)


def test_training_without_bottlenecks(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError, match="run `retrain bottlenecks IMAGE_DIR` first"):
        train_run(TrainRequest(CONFIG), workspace)


def test_a_class_that_does_not_exist(photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos)
    config = TrainingConfig(steps=10, classes=("ant", "wolf"))
    with pytest.raises(ConfigError, match="wolf"):
        train_run(TrainRequest(config), workspace)
    assert RunStore(workspace.runs_dir).list() == []


def test_some_classes_only(photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos)
    config = TrainingConfig(steps=20, classes=("teapot", "ant"))
    run = train_run(TrainRequest(config), workspace).run
    assert run.labels == ("ant", "teapot")
    assert len(run.predictions) == 24
    assert all(not path.startswith("bee/") for path in run.predictions.images.paths)


def test_a_class_that_was_added_takes_over_the_known_weights(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos)
    first = train_run(TrainRequest(CONFIG, name="first"), workspace).run
    make_photos(photos, {"wasp": 8}, seed=5)
    fill(photos)
    config = TrainingConfig(steps=1, learning_rate=1e-12, eval_every=1)
    second = train_run(TrainRequest(config, init_from="first"), workspace).run
    assert second.labels == ("ant", "bee", "teapot", "wasp")
    np.testing.assert_allclose(second.head.weights[:, :3], first.head.weights, atol=1e-6)


def test_a_run_of_another_backbone_cannot_be_continued(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    from dataclasses import replace

    fill(photos)
    train_run(TrainRequest(CONFIG, name="first"), workspace)
    fill(photos, backbone=replace(SMALL_SPEC, pooling="max"))
    with pytest.raises(RunError, match="same backbone"):
        train_run(TrainRequest(CONFIG, init_from="first"), workspace)


def test_a_name_that_is_taken(photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos)
    train_run(TrainRequest(CONFIG, name="first"), workspace)
    with pytest.raises(RunError, match="taken"):
        train_run(TrainRequest(CONFIG, name="first"), workspace)


def test_a_split_without_images(photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos)
    config = TrainingConfig(steps=20, testing_percentage=0)
    summary = train_run(TrainRequest(config), workspace)
    assert summary.test is None
    with pytest.raises(RunError, match="none in its test split"):
        evaluate(EvalRequest(), workspace)


def test_an_extraction_that_was_interrupted(photos: Path, fill: Any, workspace: Workspace) -> None:
    """Only the first classes were seen: a head without the others is not what anybody wants."""

    class Interrupted(FakeBackbone):
        def __call__(self, images: Any) -> Any:
            if self.images_seen >= 8:
                raise KeyboardInterrupt
            return super().__call__(images)

    request = BottleneckRequest(photos, SMALL_SPEC, settings=ExtractionSettings(batch_size=8))
    with pytest.raises(KeyboardInterrupt):
        fill_cache(request, workspace, load=lambda spec, device: Interrupted())
    with pytest.raises(DatasetError, match="run `retrain bottlenecks` to its end"):
        train_run(TrainRequest(CONFIG), workspace)
    assert fill(photos).computed == 28
    assert train_run(TrainRequest(CONFIG), workspace).run.labels == ("ant", "bee", "teapot")


def test_a_class_of_one_photo_is_copied_by_smote_with_a_warning(
    tmp_path: Path, fill: Any, workspace: Workspace
) -> None:
    fill(make_photos(tmp_path / "photos", {"ant": 1, "bee": 12, "teapot": 9}))
    warnings: list[str] = []
    config = TrainingConfig(optimizer="lbfgs", balance="smote", testing_percentage=0)
    request = TrainRequest(replace(config, validation_percentage=0))
    train_run(request, workspace, on_warning=warnings.append)
    assert any("one to train on of ant: it is copied instead" in one for one in warnings)


def test_folds_and_the_run_itself_have_the_prior_taken_off(
    tmp_path: Path, fill: Any, workspace: Workspace
) -> None:
    fill(make_photos(tmp_path / "photos", {"ant": 5, "bee": 40}))
    config = TrainingConfig(optimizer="ridge", balance="prior")
    run = train_run(TrainRequest(config, cv=3), workspace).run
    labels = run.predictions.images.labels[run.predictions.rows("training")]
    expected = np.log(np.bincount(labels) / len(labels))
    assert run.head.prior.logs == pytest.approx(expected, abs=1e-6)
    assert run.head.prior.scores == "uniform"
    assert run.provenance.made.cv == 3


def test_source_classes_have_no_share_of_training() -> None:
    with pytest.raises(ConfigError, match="joins classes whose shares are not known"):
        TrainRequest(TrainingConfig(balance="prior"), keep_source_classes=True)
