"""`train --cv`: every image is judged once, by a head that never saw it."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import make_photos

from retrain_cli.errors import DatasetError, RunError
from retrain_cli.evaluation.figures import headline_figures
from retrain_cli.heads import cross_validation
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.training import train_head
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.cross_validate import out_of_fold, plan_folds, saved_figures
from retrain_cli.workflows.evaluate import EvalRequest, evaluate
from retrain_cli.workflows.shared.training_set import load_training_set
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

CONFIG = TrainingConfig(steps=60, eval_every=20, batch_size=20)


def test_a_cross_validated_run_holds_its_folds(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos)
    summary = train_run(TrainRequest(CONFIG, name="first", cv=4), workspace)
    run = RunStore(workspace.runs_dir).get("first")
    assert summary.folds == saved_figures(run)
    assert summary.folds is not None
    assert sum(summary.folds.images) == 36
    result = evaluate(EvalRequest(split="cv", ks=(1, 5)), workspace).result
    assert result.n_images == 36
    top1: list[Any] = list(summary.folds.means["top1"].folds)
    weighted = np.average(top1, weights=summary.folds.images)
    assert headline_figures(result)["top1"] == pytest.approx(weighted)


def test_probabilities_agree_with_predictions(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos)
    training_set = load_training_set(workspace, CONFIG)
    bottlenecks = training_set.data.bottlenecks
    result = out_of_fold(training_set, CONFIG, 3)
    probabilities = result.probabilities(bottlenecks)
    assert probabilities.shape == (36, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    predictions = result.predictions(bottlenecks, training_set.images)
    np.testing.assert_array_equal(predictions.top_classes[:, 0], probabilities.argmax(axis=1))
    own = probabilities[np.arange(36), training_set.images.labels]
    np.testing.assert_allclose(np.exp(predictions.log_probability), own, rtol=1e-5)


def test_the_judge_of_an_image_never_saw_it(
    photos: Path, fill: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither training nor the choice of the head may look at a copy of what it is measured on."""
    for number in range(4):  # duplicates, also in another class
        shutil.copy(photos / "ant" / f"000{number}.png", photos / "ant" / f"copy{number}.png")
    shutil.copy(photos / "bee" / "0000.png", photos / "teapot" / "stray.png")
    fill(photos)
    training_set = load_training_set(workspace, CONFIG)
    digests = [item.digest for item in training_set.items]
    seen = []
    real = train_head

    def watched(data: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append({digests[row] for row in [*data.training, *data.validation]})
        assert not {digests[row] for row in data.training} & {
            digests[row] for row in data.validation
        }
        return real(data, *args, **kwargs)

    monkeypatch.setattr(cross_validation, "train_head", watched)
    result = out_of_fold(training_set, CONFIG, 3)
    judged: Counter[int] = Counter()
    for fold, known in enumerate(seen):
        held_out = result.rows(fold).tolist()
        assert held_out
        judged.update(held_out)
        assert not {digests[row] for row in held_out} & known
    assert judged == dict.fromkeys(range(41), 1)


def test_a_given_test_folder_stays_out(tmp_path: Path, fill: Any, workspace: Workspace) -> None:
    root = tmp_path / "given"
    for number, split in enumerate(("train", "val", "test")):
        make_photos(root / split, {"ant": 6, "bee": 6}, seed=number)
    fill(root)
    training_set = load_training_set(workspace, CONFIG)
    result = out_of_fold(training_set, CONFIG, 3)
    paths = [training_set.images.paths[row] for row in result.judged()]
    assert len(paths) == 24
    assert not any(path.startswith("test/") for path in paths)
    for fold in range(3):
        data = result.plan.data(training_set.data, fold, CONFIG)
        used = [training_set.images.paths[row] for row in [*data.training, *data.validation]]
        assert len(used) == 16
        assert not any(path.startswith("test/") for path in used)


def test_an_image_that_no_head_can_judge(photos: Path, fill: Any, workspace: Workspace) -> None:
    make_photos(photos, {"wasp": 1}, seed=9)
    fill(photos)
    training_set = load_training_set(workspace, CONFIG)
    result = out_of_fold(training_set, CONFIG, 3)
    lonely = training_set.images.paths.index("wasp/0000.png")
    assert len(result.judged()) == 36
    assert np.isnan(result.probabilities(training_set.data.bottlenecks)[lonely]).all()


def test_too_many_folds_are_refused_before_any_work(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos)
    with pytest.raises(DatasetError, match="use fewer folds"):
        train_run(TrainRequest(CONFIG, cv=50), workspace)
    assert RunStore(workspace.runs_dir).list() == []


@pytest.mark.parametrize(("stop_at", "finished"), [(0, None), (1, None), (2, 2)])
def test_an_interruption_keeps_the_run_and_the_folds(
    stop_at: int, finished: int | None, photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos)

    def interrupt(progress: Any) -> None:
        if progress.fold == stop_at and progress.training.row.step >= 40:
            raise KeyboardInterrupt

    summary = train_run(TrainRequest(CONFIG, cv=3), workspace, on_fold=interrupt)
    assert summary.last_step == CONFIG.steps
    assert len(RunStore(workspace.runs_dir).list()) == 1
    if finished is None:
        assert summary.folds is None
    else:
        assert len(summary.folds.images) == finished
        n_images = evaluate(EvalRequest(split="cv"), workspace).result.n_images
        assert n_images == sum(summary.folds.images) < 36


def test_a_run_without_folds(photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos)
    run = train_run(TrainRequest(CONFIG), workspace).run
    assert saved_figures(run) is None
    with pytest.raises(RunError, match="retrain train --cv 5"):
        evaluate(EvalRequest(split="cv"), workspace)


def test_the_plan_is_even_by_class(photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos)
    training_set = load_training_set(workspace, CONFIG)
    plan = plan_folds(training_set, 4)
    table = np.zeros((3, 4), int)
    np.add.at(table, (training_set.data.labels, plan.folds), 1)
    assert (table == 3).all()
