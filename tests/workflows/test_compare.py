"""Comparisons: the right photos, the right figures, and what changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import make_photos
from sklearn.metrics import accuracy_score, recall_score

from retrain_cli.errors import ConfigError, RunError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.run_digests import write_digests
from retrain_cli.workflows.compare import compare_runs
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace


@pytest.fixture
def root(tmp_path: Path) -> Any:
    """Photos of which a third are in the wrong folder, so that heads make mistakes."""
    root = make_photos(tmp_path / "photos", {"ant": 40, "bee": 40, "teapot": 40})
    for name, other in (("ant", "bee"), ("bee", "teapot"), ("teapot", "ant")):
        for path in sorted((root / name).glob("00[0-9]*.png"))[:12]:
            path.rename(root / other / f"from-{name}-{path.name}")
    return root


@pytest.fixture
def train(fill: Any, workspace: Workspace, root: Any) -> Any:
    fill(root)

    def train(name: str, **config: Any) -> Any:
        settings = {"testing_percentage": 40, "steps": 40}
        return train_run(TrainRequest(TrainingConfig(**(settings | config)), name), workspace).run

    return train


def test_figures_are_those_of_the_common_test_images(train: Any, workspace: Workspace) -> None:
    one, other = train("one", steps=1), train("other", steps=300, learning_rate=0.03)
    (made,) = compare_runs(["one", "other"], workspace)
    rows = one.predictions.rows("test")
    truth = one.predictions.images.labels[rows]
    answers = [run.predictions.top_classes[rows, 0] for run in (one, other)]
    assert made.n_images == len(rows)
    top1, macro = made.figures[:2]
    assert (top1.name, macro.name) == ("top-1", "macro top-1")
    assert [top1.first, top1.second] == pytest.approx([accuracy_score(truth, a) for a in answers])
    assert [macro.first, macro.second] == pytest.approx(
        [recall_score(truth, a, average="macro") for a in answers]
    )
    assert top1.difference.value == pytest.approx(top1.second - top1.first)
    right = [a == truth for a in answers]
    lost = {flip.path for flip in made.flips if flip.change == "lost"}
    paths = one.predictions.images.paths
    assert lost == {paths[row] for row in rows[right[0] & ~right[1]].tolist()}
    assert len(made.flips) == (right[0] != right[1]).sum()
    assert sum(change.gained for change in made.classes) == len(made.flips) - len(lost)
    assert {change.name for change in made.settings} >= {"training.steps", "training.learning_rate"}
    assert "dataset.scores.temperature" in {change.name for change in made.settings}
    assert not any(isinstance(change.first, dict) for change in made.settings)
    json.dumps(made.to_dict(), allow_nan=False)


def test_a_run_against_its_like_differs_in_nothing(train: Any, workspace: Workspace) -> None:
    train("one")
    train("other")
    (made,) = compare_runs(["one", "other"], workspace)
    assert (made.settings, made.classes, made.flips) == ((), (), ())
    assert made.figures[0].p_value == 1
    assert made.figures[0].difference.low < 0 < made.figures[0].difference.high
    data = made.data
    assert (data.common, data.added, data.removed, data.moved) == (120, (), (), ())


def test_more_runs_are_each_compared_with_the_first(train: Any, workspace: Workspace) -> None:
    for name in "abc":
        train(name, seed=ord(name))
    made = compare_runs(["a", "b", "c"], workspace)
    assert [(one.first.name, one.second.name) for one in made] == [("a", "b"), ("a", "c")]


def test_photos_are_known_by_content_when_folders_change(
    train: Any, workspace: Workspace, root: Any, fill: Any
) -> None:
    train("before")
    moved = root.parent / "elsewhere"
    shutil.copytree(root, moved)
    (moved / "ant" / "0020.png").unlink()
    (moved / "bee" / "0021.png").rename(moved / "bee" / "renamed.png")
    (moved / "bee" / "0022.png").rename(moved / "teapot" / "relabelled.png")
    make_photos(moved / "new", {"x": 1}, seed=77)
    (moved / "new" / "x" / "0000.png").rename(moved / "ant" / "new.png")
    shutil.rmtree(moved / "new")
    fill(moved)
    train("after")
    data = compare_runs(["before", "after"], workspace)[0].data
    assert data.common == 119
    assert (data.added, data.removed) == (("ant/new.png",), ("ant/0020.png",))
    (entry,) = data.relabelled
    assert (entry.path, entry.before, entry.after) == ("teapot/relabelled.png", "bee", "teapot")


def test_other_percentages_move_photos_and_no_trained_photo_is_compared_on(
    train: Any, workspace: Workspace
) -> None:
    one, other = train("one", testing_percentage=50), train("other", testing_percentage=20)
    (made,) = compare_runs(["one", "other"], workspace)
    assert made.n_images == len(other.predictions.rows("test"))
    assert made.n_images < len(one.predictions.rows("test"))
    assert {(entry.before, entry.after) for entry in made.data.moved} >= {("test", "training")}


def test_runs_with_other_classes_are_compared_on_the_common_ones(
    train: Any, workspace: Workspace
) -> None:
    train("three")
    two = train("two", classes=("ant", "teapot"))
    (made,) = compare_runs(["three", "two"], workspace)
    assert made.n_images == len(two.predictions.rows("test"))
    assert made.n_classes == 2
    assert made.data.classes_removed == ("bee",)
    (turned,) = compare_runs(["two", "three"], workspace)
    assert turned.data.classes_added == ("bee",)
    figures = made.figures[0], turned.figures[0]
    assert figures[0].first == figures[1].second


def test_a_class_counts_as_changed_only_beyond_chance(train: Any, workspace: Workspace) -> None:
    one, other = train("one"), train("other")
    saved = dict(np.load(other.folder / "predictions.npz"))
    ant = (saved["labels"] == 0) & (saved["split"] == 2)
    bee = np.flatnonzero((saved["labels"] == 1) & (saved["split"] == 2))[:1]
    first = dict(np.load(one.folder / "predictions.npz"))
    for rows in (ant, bee):  # one run is right on all ants and one bee, the other on none of them
        first["rank"][rows], saved["rank"][rows] = 1, 2
    np.savez(other.folder / "predictions.npz", **saved)
    np.savez(one.folder / "predictions.npz", **first)
    for run in (one, other):
        write_digests(run.folder)
    (made,) = compare_runs(["one", "other"], workspace)
    assert [(change.class_name, change.verdict) for change in made.classes] == [
        ("ant", "worse"),
        ("bee", "within chance"),
    ]


def test_what_cannot_be_compared_is_refused(
    train: Any, workspace: Workspace, fill: Any, tmp_path: Path
) -> None:
    train("one")
    for names in (["one"], [], ["one", "one"]):
        with pytest.raises(ConfigError, match="two or more different runs"):
            compare_runs(names, workspace)
    with pytest.raises(RunError, match="no run 'two'"):
        compare_runs(["one", "two"], workspace)
    train("untested", testing_percentage=0)
    with pytest.raises(RunError, match="none in common"):
        compare_runs(["one", "untested"], workspace)
    fill(make_photos(tmp_path / "others", {"cat": 12, "dog": 12}, seed=4))
    train("others")
    with pytest.raises(RunError, match="none in common"):
        compare_runs(["one", "others"], workspace)
