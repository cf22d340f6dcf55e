"""Ctrl-C at any moment of `train_run`: whatever was trained by then becomes a run."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from helpers import FakeBackbone, make_photos

from retrain_cli.heads import training
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.interrupts import Interruption
from retrain_cli.runs.run import RunContents, RunStore
from retrain_cli.workflows import add_class as adding
from retrain_cli.workflows import check as checking
from retrain_cli.workflows import train as train_workflow
from retrain_cli.workflows.add_class import AddClassRequest, add_class
from retrain_cli.workflows.check import CheckRequest, check_dataset
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

CONFIG = TrainingConfig(steps=60, eval_every=20, batch_size=20)


def press_ctrl_c(*_: object) -> None:
    signal.raise_signal(signal.SIGINT)


def pressing(original: Callable[..., Any], at: int = 1) -> Callable[..., Any]:
    """A function at whose n-th call Ctrl-C is pressed."""
    calls = 0

    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            press_ctrl_c()
        return original(*arguments, **named)

    return call


@pytest.fixture
def workspace_with_photos(photos: Any, fill: Any, workspace: Workspace) -> Workspace:
    fill(photos)
    return workspace


LATE: list[tuple[object, str]] = [
    (train_workflow, "predict"),
    (train_workflow, "metrics_by_split"),
    (RunContents, "write"),
]


@pytest.mark.parametrize("place", LATE, ids=[name for _, name in LATE])
def test_after_training_the_run_is_whole(
    place: tuple[Any, str], workspace_with_photos: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*place, pressing(getattr(*place)))
    summary = train_run(TrainRequest(CONFIG, name="late"), workspace_with_photos)
    assert (summary.interrupted_by, summary.unfinished) == (signal.SIGINT, ())
    assert (summary.stopped_by, summary.last_step) == ("steps", 60)
    run = RunStore(workspace_with_photos.runs_dir).get("late")
    assert len(run.predictions) == 36
    assert run.metrics["test"]["images"]


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_in_training_the_best_so_far_is_the_run(
    optimizer: Any, workspace_with_photos: Workspace
) -> None:
    config = replace(CONFIG, optimizer=optimizer, steps=100_000, eval_every=20, l2=0.001)
    seen: list[int] = []

    def listen(progress: Any) -> None:
        seen.append(progress.row.step)
        if len(seen) == 3:
            press_ctrl_c()

    request = TrainRequest(config, cv=3)
    summary = train_run(request, workspace_with_photos, listen)
    assert summary.interrupted_by == signal.SIGINT
    assert summary.stopped_by == "interrupt"
    assert summary.unfinished == ("3 of 3 folds",)
    (run,) = RunStore(workspace_with_photos.runs_dir).list()
    assert [row.step for row in run.history] == seen
    assert len(seen) == 3


def test_in_the_folds_the_run_is_kept_with_those_that_are_finished(
    workspace_with_photos: Workspace,
) -> None:
    def listen(progress: Any) -> None:
        if progress.fold == 2 and progress.training.row.step == 40:
            press_ctrl_c()

    summary = train_run(TrainRequest(CONFIG, cv=4), workspace_with_photos, on_fold=listen)
    assert summary.interrupted_by == signal.SIGINT
    assert (summary.stopped_by, summary.unfinished) == ("steps", ("2 of 4 folds",))
    assert summary.folds is not None
    assert len(summary.folds.images) == 2


def test_while_the_engine_loads_there_is_nothing_to_keep(
    workspace_with_photos: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SoftmaxTrainer", press_ctrl_c)
    with pytest.raises(Interruption):
        train_run(TrainRequest(replace(CONFIG, optimizer="sgd")), workspace_with_photos)
    assert list(workspace_with_photos.runs_dir.iterdir()) == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("place", "stopped_by"),
    [((training._GradientLoop, "_evaluate"), "interrupt"), ((adding, "predict"), "steps")],
)
def test_a_class_that_is_being_added_is_kept(
    place: tuple[Any, str],
    stopped_by: str,
    workspace_with_photos: Workspace,
    fake_backbone: FakeBackbone,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train_run(TrainRequest(CONFIG, name="base"), workspace_with_photos)
    wasps = make_photos(tmp_path / "new", {"ant": 4, "wasp": 4}, seed=3) / "wasp"
    monkeypatch.setattr(*place, pressing(getattr(*place)))
    summary = add_class(
        AddClassRequest("wasp", (wasps,), name="grown", retrain=True),
        workspace_with_photos,
        load=lambda spec, device: fake_backbone,
    )
    assert summary.interrupted_by == signal.SIGINT
    assert (summary.figures, summary.cost) == (None, None)
    run = RunStore(workspace_with_photos.runs_dir).get("grown")
    assert run.info.stopped_by == stopped_by
    assert "wasp" in run.labels


def test_a_check_that_judged_some_photos_only_says_nothing(
    workspace_with_photos: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Photos that nobody judged would pass for good ones."""

    def stage(name: str, done: int, total: int) -> None:
        if name == "judging the labels" and done > 3 * 1000:
            press_ctrl_c()

    assert checking._LABEL_STEPS == 1000
    with pytest.raises(KeyboardInterrupt):
        check_dataset(CheckRequest(), workspace_with_photos, stage)
