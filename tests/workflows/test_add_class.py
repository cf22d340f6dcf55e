"""`add_class`: a run that grew, the one it grew from, and photos from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import FakeBackbone, make_photos

from retrain_cli.cache.store import BottleneckStore
from retrain_cli.errors import CacheError, ConfigError, DatasetError, RunError
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.images.examine import content_digest
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.add_class import AddClassRequest, add_class
from retrain_cli.workflows.cache import collect_garbage, list_caches
from retrain_cli.workflows.evaluate import EvalRequest, evaluate
from retrain_cli.workflows.label import Labeller, LabelRequest, backbone_of
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workflows.shared.photo_vectors import open_reader
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

CLASSES = {"ant": 12, "bee": 12, "teapot": 12, "wasp": 12}


@pytest.fixture
def wasps(tmp_path: Path) -> Path:
    """Wasps of a colour of their own, outside of the dataset."""
    return make_photos(tmp_path / "elsewhere", CLASSES, seed=7) / "wasp"


@pytest.fixture
def grow(photos: Path, fill: Any, workspace: Workspace, fake_backbone: FakeBackbone) -> Any:
    fill(photos)
    train_run(TrainRequest(TrainingConfig(steps=300), name="base"), workspace)

    def grow(class_name: str, *paths: Path, **options: Any) -> Any:
        request = AddClassRequest(class_name, paths, **{"run": "base", "name": "grown", **options})
        return add_class(request, workspace, load=lambda spec, device: fake_backbone)

    return grow


def test_a_run_that_knows_one_class_more(
    grow: Any, wasps: Path, workspace: Workspace, fake_backbone: FakeBackbone
) -> None:
    base = RunStore(workspace.runs_dir).get("base")
    before = {path.name: path.read_bytes() for path in base.folder.iterdir()}
    some = sorted(wasps.iterdir())
    summary = grow("wasp", *some[:3], test=tuple(some[3:]))
    assert {path.name: path.read_bytes() for path in base.folder.iterdir()} == before

    run = summary.run
    assert run.labels == ("ant", "bee", "teapot", "wasp")
    np.testing.assert_array_equal(run.head.weights[:, :3], base.head.weights)
    assert (summary.photos, len(summary.figures.ranks)) == (3, 9)
    assert summary.figures.top(1).value > 0.8
    assert summary.cost.images == len(base.predictions.rows("test"))
    assert summary.cost.top1_before == base.metrics["test"]["top1"]
    assert run.info.provenance.made.added == ("wasp",)

    result = evaluate(EvalRequest(run="grown", ks=(1, 2)), workspace).result
    wasp = next(row for row in result.classes if row.class_name == "wasp")
    assert wasp.n_images == 9
    assert wasp.top1 == summary.figures.top(1).value
    labeller = Labeller(
        LabelRequest(run="grown"), workspace, load=lambda spec, device: fake_backbone
    )
    new = make_photos(wasps.parent.parent / "new", CLASSES, seed=11) / "wasp"
    answers = [
        one.labels[0].label for one in labeller.label([Source(str(p)) for p in new.iterdir()])
    ]
    assert answers.count("wasp") >= 10


def test_photos_are_computed_once_and_no_dataset_takes_them_in(
    grow: Any,
    wasps: Path,
    fill: Any,
    photos: Path,
    workspace: Workspace,
    fake_backbone: FakeBackbone,
) -> None:
    grow("wasp", wasps)
    seen = fake_backbone.images_seen
    grow("wasp", wasps, name="again")
    assert fake_backbone.images_seen == seen
    assert fill(photos).found == 36
    collect_garbage(workspace)
    assert list_caches(workspace)[0].bottlenecks == 48
    runs = RunStore(workspace.runs_dir)
    runs.remove("grown")
    runs.remove("again")
    collect_garbage(workspace)
    assert list_caches(workspace)[0].bottlenecks == 36


def test_without_test_photos_each_is_left_out_in_turn(grow: Any, wasps: Path) -> None:
    some = sorted(wasps.iterdir())
    assert len(grow("wasp", *some[:4]).figures.ranks) == 4
    assert grow("wasp", some[0], name="one").figures is None
    assert grow("wasp", *some[:4], name="all", retrain=True).figures is None


def test_all_classes_can_be_trained_again(grow: Any, wasps: Path, workspace: Workspace) -> None:
    some = sorted(wasps.iterdir())
    summary = grow("wasp", *some[:3], test=tuple(some[3:]), retrain=True)
    base = RunStore(workspace.runs_dir).get("base")
    assert not np.array_equal(summary.run.head.weights[:, :3], base.head.weights)
    assert summary.figures.top(1).value > 0.8
    assert summary.to_dict()["known_classes"]["images"] == summary.cost.images


def test_a_class_can_be_added_to_a_run_that_grew(grow: Any, wasps: Path, tmp_path: Path) -> None:
    grow("wasp", wasps)
    bugs = make_photos(tmp_path / "more", {**CLASSES, "bug": 4}, seed=8) / "bug"
    summary = grow("bug", bugs, run="grown", name="more")
    assert summary.run.labels == ("ant", "bee", "teapot", "wasp", "bug")
    assert summary.run.info.provenance.made.added == ("wasp", "bug")


def test_bad_photos_are_named_and_left_out(grow: Any, wasps: Path) -> None:
    (wasps / "broken.jpg").write_bytes(b"\xff\xd8\xffhello")
    summary = grow("wasp", wasps)
    assert summary.photos == 12
    assert [Path(path).name for path, _ in summary.bad] == ["broken.jpg"]


def test_what_cannot_be_added(
    grow: Any, wasps: Path, photos: Path, workspace: Workspace, tmp_path: Path
) -> None:
    some = sorted(wasps.iterdir())
    with pytest.raises(ConfigError, match="run base knows 'ant'"):
        grow("ant", *some)
    with pytest.raises(DatasetError, match="differ in more than case"):
        grow("Ant", *some)
    with pytest.raises(ConfigError, match="readable name"):
        grow(" ", *some)
    with pytest.raises(DatasetError, match="there is none: name some"):
        (tmp_path / "empty").mkdir()
        grow("wasp", tmp_path / "empty")
    with pytest.raises(DatasetError, match=r"none: .*missing\.jpg: cannot be read"):
        grow("wasp", tmp_path / "missing.jpg")
    with pytest.raises(DatasetError, match="test needs a photo that can be read"):
        grow("wasp", *some, test=(tmp_path / "missing.jpg",))
    with pytest.raises(DatasetError, match=r"is its photo ant/0003\.png of ant"):
        grow("wasp", photos / "ant" / "0003.png")
    with pytest.raises(DatasetError, match=r"is its photo ant/0003\.png of ant"):
        grow("wasp", *some, test=(photos / "ant" / "0003.png",))
    with pytest.raises(DatasetError, match="among those that the class is made of"):
        grow("wasp", *some, test=(some[0],))
    assert [run.name for run in RunStore(workspace.runs_dir).list()] == ["base"]
    for path in workspace.cache_dir.glob("*.sqlite*"):
        path.unlink()
    with pytest.raises(CacheError, match="needs the bottlenecks that the run was trained on"):
        grow("wasp", *some)


def test_some_photos_may_stand_in_two_classes_and_it_is_told(
    grow: Any, wasps: Path, photos: Path, workspace: Workspace
) -> None:
    told = r"1 of the \d+ photos as another class .*0003\.png of ant"
    with pytest.warns(UserWarning, match=told):
        grow("wasp", *sorted(wasps.iterdir()), photos / "ant" / "0003.png")
    paths = RunStore(workspace.runs_dir).get("grown").predictions.images.paths
    assert sum(path.endswith("ant/0003.png") for path in paths) == 2


def test_the_lock_names_the_command_that_holds_it(
    grow: Any, wasps: Path, workspace: Workspace, fake_backbone: FakeBackbone
) -> None:
    owners: list[str] = []

    class Looking(FakeBackbone):
        def __call__(self, images: Any) -> Any:
            owners.append((workspace.root / "lock.owner").read_text())
            return super().__call__(images)

    spec = backbone_of(RunStore(workspace.runs_dir).get("base"))
    for command in ("add-class", "serve"):
        opened = open_reader(
            command, spec, workspace, ExtractionSettings(), load=lambda spec, device: Looking()
        )
        with opened as reader:
            reader.read(sorted(wasps.iterdir())[: 3 + len(owners)])
    assert [owner.split(" (")[0] for owner in owners] == ["`retrain add-class`", "`retrain serve`"]


def test_processes_read_what_threads_read(
    grow: Any, wasps: Path, workspace: Workspace, fake_backbone: FakeBackbone
) -> None:
    (wasps / "0003.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    store = RunStore(workspace.runs_dir)
    first = grow("wasp", wasps, name="processes", readers="processes", workers=2)
    for cache in workspace.cache_dir.glob("*.sqlite"):
        with BottleneckStore(cache) as opened:
            opened.remove([content_digest(path.read_bytes()) for path in wasps.iterdir()])
    second = grow("wasp", wasps, name="threads", readers="threads")
    assert (first.photos, first.bad) == (second.photos, second.bad)
    assert first.photos == 11
    np.testing.assert_array_equal(
        store.get("processes").head.weights, store.get("threads").head.weights
    )


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"readers": "forks"}, {"device": "tpu"}])
def test_requests_that_cannot_be_read(wrong: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        AddClassRequest("wasp", (tmp_path,), **wrong)


@pytest.mark.parametrize("retrain", [False, True])
def test_a_run_whose_prior_is_taken_off(
    retrain: bool, grow: Any, wasps: Path, workspace: Workspace
) -> None:
    """Known classes stay as they are, unless all are trained again, with a prior of their own."""
    config = TrainingConfig(steps=50, balance="prior")
    base = train_run(TrainRequest(config, name="prior"), workspace).run
    grown = grow("wasp", wasps, run="prior", retrain=retrain).run
    if retrain:
        assert len(grown.head.prior.logs) == 4
        return
    np.testing.assert_array_equal(grown.head.bias[:3], base.head.bias)
    with pytest.raises(RunError, match="add-class or finetune has changed since"):
        Labeller(LabelRequest("grown", prior="natural"), workspace)
