"""`search`: trials are kept as they end, the best becomes a run, and test photos are not seen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import SMALL_SPEC

from retrain_cli.errors import CacheError, ConfigError, RunError, WorkspaceError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.making import Trained
from retrain_cli.runs.run import RunStore
from retrain_cli.studies.search import judging
from retrain_cli.workflows.shared.last_used import LastUsed, known_backbones
from retrain_cli.workflows.shared.training_set import load_training_set
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workflows.tuning import search as searching
from retrain_cli.workflows.tuning.search import SearchProgress, search
from retrain_cli.workflows.tuning.search_backbones import find_backbones
from retrain_cli.workflows.tuning.search_plan import plan_search
from retrain_cli.workflows.tuning.search_request import SearchRequest
from retrain_cli.workspace import Workspace

COMMON = TrainingConfig(eval_every=20, validation_percentage=25, testing_percentage=25)
REQUEST = SearchRequest(
    {"optimizer": "lbfgs,ridge", "l2": "0.0001,0.01", "steps": "20"}, training=COMMON, workers=1
)
STEPWISE = SearchRequest(
    {"learning_rate": "0.001,0.01,0.1", "normalise": "none,l2,standardise", "steps": "400"},
    training=COMMON,
    workers=1,
)


@pytest.fixture
def filled(photos: Path, fill: Any, workspace: Workspace) -> Workspace:
    fill(photos)
    return workspace


def trainings(workspace: Workspace) -> int:
    """How many trials are kept."""
    return sum(
        len(path.read_text().splitlines()) for path in workspace.studies_dir.glob("*/trials.jsonl")
    )


def test_the_best_becomes_a_run_that_knows_how_it_was_found(filled: Workspace) -> None:
    result = search(replace(REQUEST, name="found", note="the best"), filled)
    assert [one.number for one in result.tried] != []
    figures = [(one.outcome["log_loss"], -one.outcome["top1"]) for one in result.tried]
    assert figures == sorted(figures)
    run = RunStore(filled.runs_dir).get("found")
    assert (run.name, run.note) == (result.run, "the best")
    assert run.config.optimizer == result.best.config.optimizer
    made = run.provenance.made
    assert isinstance(made, Trained) and made.search is not None
    assert made.search.trials == len(result.tried) == 4
    assert made.search.log_loss == result.best.outcome["log_loss"]
    words = run.provenance.commands("found", calibrated=False).steps[-1].arguments
    assert words[0] == "train"
    assert "--optimizer" in words
    json.dumps(result.to_dict(), allow_nan=False)


def test_a_run_of_train_says_nothing_of_a_search(filled: Workspace) -> None:
    run = train_run(TrainRequest(TrainingConfig(optimizer="lbfgs", steps=5)), filled).run
    assert "search" not in run.provenance.facts()


def test_a_second_search_trains_nothing_and_makes_no_second_run(
    filled: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = search(REQUEST, filled)

    def fails(*_: Any, **__: Any) -> Any:
        raise AssertionError("nothing is left to train")

    monkeypatch.setattr(judging, "train_head", fails)
    again = search(REQUEST, filled)
    assert (again.run, again.training) == (first.run, None)
    assert [one.outcome for one in again.tried] == [one.outcome for one in first.tried]
    assert len(RunStore(filled.runs_dir).list()) == 1


def test_an_interruption_loses_no_finished_trial(filled: Workspace) -> None:
    def interrupt(progress: SearchProgress) -> None:
        if progress.trials.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(REQUEST, filled, interrupt)
    kept = trainings(filled)
    assert kept >= 2
    seen: list[SearchProgress] = []
    search(REQUEST, filled, seen.append)
    assert seen[0].trials.kept == kept
    assert trainings(filled) == 4
    assert seen[-1].trials.done == 4 - kept


def test_a_torn_line_of_a_killed_search_costs_one_trial(filled: Workspace) -> None:
    whole = search(REQUEST, filled)
    (path,) = filled.studies_dir.glob("*/trials.jsonl")
    path.write_bytes(path.read_bytes()[:-10])
    seen: list[SearchProgress] = []
    again = search(REQUEST, filled, seen.append)
    assert (seen[0].trials.kept, seen[0].trials.total) == (3, 1)
    assert [one.outcome for one in again.tried] == [one.outcome for one in whole.tried]


def test_a_wider_search_goes_on_from_the_narrower_one(filled: Workspace) -> None:
    search(REQUEST, filled)
    seen: list[SearchProgress] = []
    wider = replace(REQUEST, axes={**REQUEST.axes, "l2": "0.0001,0.01,0.1"})
    search(wider, filled, seen.append)
    assert (seen[0].trials.kept, seen[0].trials.total) == (4, 2)


def test_labels_of_test_photos_are_not_known_to_the_search(
    filled: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All test photos in the wrong class: the same trials, the same figures, the same choice."""
    honest = search(STEPWISE, filled)

    def corrupted(*args: Any, **kwargs: Any) -> Any:
        loaded = load_training_set(*args, **kwargs)
        is_test = loaded.images.split == 2
        assert is_test.any()
        loaded.data.labels[is_test] = 0
        loaded.data.bottlenecks[is_test] = -99.0
        return loaded

    monkeypatch.setattr(searching, "load_training_set", corrupted)
    for path in filled.studies_dir.glob("*/trials.jsonl"):
        path.unlink()
    blind = search(replace(STEPWISE, name="blind"), filled)
    told = [(one.number, one.outcome) for one in blind.tried]
    assert told == [(one.number, one.outcome) for one in honest.tried]
    assert trainings(filled) == 9
    assert len(list(filled.studies_dir.iterdir())) == 1, "test photos are not in the fingerprint"


def test_halving_keeps_the_best_of_each_round(filled: Workspace) -> None:
    seen: list[SearchProgress] = []
    result = search(replace(STEPWISE, halving=True), filled, seen.append)
    assert [(one.trials, one.steps) for one in result.rounds] == [(9, 133), (3, 400)]
    assert [one.rung for one in result.tried] == [2] * 3 + [1] * 6
    assert {one.steps for one in result.tried[:3]} == {400}
    assert {one.n_rungs for one in seen} == {2}
    first_round = {one.number: one.outcome["log_loss"] for one in result.tried[3:]}
    full = search(replace(STEPWISE, name="full"), filled)
    assert full.best.outcome["log_loss"] <= result.best.outcome["log_loss"]
    assert trainings(filled) == 9 + 9, "the whole trainings of the halving are taken again"
    assert len(first_round) == 6
    table = result.to_frame()
    assert (table["steps"] == 400).all()
    assert table["trained_steps"].tolist() == [400] * 3 + [133] * 6
    assert RunStore(filled.runs_dir).get(result.run).config.steps == 400


def test_what_has_no_steps_is_told_so(filled: Workspace) -> None:
    axes = {"optimizer": "ridge,lbfgs", "steps": "400"}
    result = search(replace(REQUEST, axes=axes, halving=True), filled)
    assert {one.config.optimizer: one.steps for one in result.tried} == {
        "ridge": None,
        "lbfgs": 400,
    }
    assert [(one.trials, one.steps) for one in result.rounds] == [(2, 400)]
    only = search(replace(REQUEST, axes={"optimizer": "ridge"}, random=1, name="a"), filled)
    assert [(one.trials, one.steps) for one in only.rounds] == [(1, None)]


def test_folds_judge(filled: Workspace) -> None:
    result = search(replace(REQUEST, cv=3), filled)
    by_validation = search(replace(REQUEST, name="other"), filled)
    assert result.judged_by > by_validation.judged_by
    made = RunStore(filled.runs_dir).get(result.run).provenance.made
    assert isinstance(made, Trained) and made.search is not None
    assert made.search.cv == 3
    assert made.cv is None, "the run itself is trained once"


def test_what_diverges_is_told_and_ends_nothing(filled: Workspace) -> None:
    axes = {"optimizer": "adam", "learning_rate": "0.01,1e38", "steps": "20"}
    result = search(replace(REQUEST, axes=axes), filled)
    assert [one.diverged is None for one in result.tried] == [True, False]
    assert result.n_diverged == 1
    with pytest.raises(RunError, match="none of 1 trials came to its end"):
        search(replace(REQUEST, axes={**axes, "learning_rate": "1e38"}, random=1), filled)


def test_a_name_that_is_taken_is_told_before_anything_is_trained(filled: Workspace) -> None:
    search(replace(REQUEST, name="taken"), filled)
    before = trainings(filled)
    with pytest.raises(RunError, match="must be new"):
        search(replace(STEPWISE, name="taken"), filled)
    assert trainings(filled) == before


def test_a_place_without_room_for_a_run_is_told_before_anything_is_trained(
    filled: Workspace,
) -> None:
    filled.runs_dir.rmdir()
    filled.runs_dir.write_text("no folder")
    with pytest.raises(WorkspaceError, match="runs could not be written"):
        search(REQUEST, filled)
    assert not trainings(filled)


def test_backbones_are_tried_side_by_side(photos: Path, fill: Any, workspace: Workspace) -> None:
    others = [replace(SMALL_SPEC, pooling="max"), replace(SMALL_SPEC, alpha=0.5)]
    for one in (*others, SMALL_SPEC):
        fill(photos, backbone=one)
    specs = [SMALL_SPEC.resolve(), *(one.resolve() for one in others)]
    assert set(known_backbones(workspace)) == {one.fingerprint() for one in specs}
    result = search(replace(REQUEST, backbone=tuple(one.slug() for one in specs)), workspace)
    assert len(result.tried) == 12
    assert result.axes[0] == "backbone"
    run = RunStore(workspace.runs_dir).get(result.run)
    fingerprint = result.best.to_dict()["fingerprint"]
    assert run.info.cache == fingerprint in {one.fingerprint() for one in specs}
    assert LastUsed.load(workspace).fingerprint == SMALL_SPEC.fingerprint(), "that stays"


def test_a_name_finds_the_backbone_that_was_used(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    other, last = (replace(SMALL_SPEC, pooling="max"), replace(SMALL_SPEC, alpha=0.5))
    for one in (other, last, replace(SMALL_SPEC, name="mobilenet_v2")):
        fill(photos, backbone=one)
    with pytest.raises(ConfigError, match="2 are called mobilenet: name the caches") as twice:
        find_backbones(["mobilenet"], workspace)
    assert other.slug() in str(twice.value)
    with pytest.raises(CacheError, match=r"of vgg16 \(but of mobilenet, mobilenet_v2\): run `retr"):
        find_backbones(["vgg16"], workspace)
    (found,) = find_backbones(["mobilenet_v2"], workspace)
    assert found.backbone.name == "mobilenet_v2"
    fill(photos, backbone=last)
    (found,) = find_backbones(["mobilenet", "mobilenet"], workspace)
    assert found.fingerprint == last.fingerprint(), "of several the one last used"


def test_a_plan_trains_next_to_nothing(filled: Workspace) -> None:
    plan = plan_search(replace(STEPWISE, halving=True), filled)
    assert (plan.trials, plan.trainings, plan.kept, plan.workers) == (9, 12, 0, 1)
    assert plan.seconds > 0
    assert trainings(filled) == 0
    assert not RunStore(filled.runs_dir).list()
    search(STEPWISE, filled)
    assert plan_search(STEPWISE, filled).kept == 9
    json.dumps(plan.to_dict())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"axes": {"epochs": "3", "steps": "3"}}, "say the same in two ways"),
        ({"axes": {"seed": "1,2"}}, "set it in training"),
        ({"axes": {"backbone": "a,b"}}, "a setting of its own"),
        ({"axes": {"rate": "1"}}, "a search varies steps"),
        ({"random": 0}, "random must be at least 1"),
        ({"random": 10**9}, "at most 100,000"),
        ({"factor": 1}, "factor must be at least 2"),
        ({"cv": 1}, "cv must be at least 2"),
        ({"by": "luck"}, "by takes one of log-loss, top1"),
        ({"space": "outer"}, "space takes one of usual, dense"),
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        replace(REQUEST, **changes)


def test_with_nothing_to_vary_the_usual_settings_are_searched() -> None:
    bare = SearchRequest()
    assert (bare.ready_space, bare.n_random) == ("usual", 30)
    fixed = SearchRequest({"steps": "500", "hidden": "none"})
    assert fixed.ready_space == "usual"
    assert fixed.varied["hidden"].values == ((),)
    assert SearchRequest({"dropout": "0,0.5"}).ready_space is None
    assert SearchRequest(backbone=("a", "b")).ready_space is None
    assert SearchRequest(space="dense").n_random is None
    assert "epochs" not in SearchRequest({"steps": "500"}, space="dense").varied
