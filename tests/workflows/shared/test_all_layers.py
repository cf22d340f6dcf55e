"""`--layer A,B`, `--layer auto` and `study layers` on photos, with a backbone without an engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SMALL_SPEC, FakeBackbone, make_photos
from numpy.typing import NDArray

from retrain_cli.backbones.runtimes import blocks
from retrain_cli.cache.cache_files import cache_path
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.errors import BackboneError, CacheError, DatasetError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.studies.protocols.layers import LayersStudy
from retrain_cli.studies.study import StudySettings
from retrain_cli.workflows.bottlenecks import BottleneckRequest
from retrain_cli.workflows.evaluate import EvalRequest, evaluate
from retrain_cli.workflows.label import Labeller, LabelRequest
from retrain_cli.workflows.shared.all_layers import fill_cache_auto, fill_layers
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.shared.training_set import load_training_set
from retrain_cli.workflows.study import run_study
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

NAMES = ("noise", "colours", "top")
WIDE = replace(SMALL_SPEC, layer=",".join(NAMES))
LBFGS = TrainingConfig(optimizer="lbfgs", steps=10, testing_percentage=20)


class Layered(FakeBackbone):
    """Three layers: the last one knows nothing of the photo but its first pixel."""

    layer_widths: tuple[int, ...] = (4, 32, 3)

    def __init__(self, names: tuple[str, ...] = NAMES) -> None:
        super().__init__()
        self.names = names
        widths = dict(zip(NAMES, (4, 32, 3), strict=True))
        self.layer_widths = tuple(widths[name] for name in names)
        self.width = 32

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        colours = super().__call__(images)
        found = {
            "noise": images[:, 3, :4, 0].astype(np.float32),
            "colours": 1000 * colours,
            "top": images[:, 0, 0].astype(np.float32) % 7,
        }
        return np.concatenate([found[name] for name in self.names], axis=1)


@pytest.fixture
def loaded() -> list[Layered]:
    return []


@pytest.fixture
def load(loaded: list[Layered]) -> Any:
    def load(spec: Any, device: str) -> Layered:
        loaded.append(Layered(spec.layers or ("top",)))
        return loaded[-1]

    return load


@pytest.fixture(autouse=True)
def three_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "block_layers", lambda spec: NAMES)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    return make_photos(tmp_path / "photos", {"ant": 16, "bee": 16, "cow": 16})


def request(photos: Path, layer: str | None) -> BottleneckRequest:
    return BottleneckRequest(photos, replace(SMALL_SPEC, layer=layer))


def test_a_head_on_several_layers_is_scaled_and_the_cache_says_where_each_begins(
    many: Path, workspace: Workspace, load: Any
) -> None:
    fill_cache_auto(request(many, "noise,colours"), workspace, load=load)
    used = LastUsed.load(workspace)
    assert used.backbone.layers == ("noise", "colours")
    with BottleneckStore(cache_path(workspace, used.backbone), read_only=True) as store:
        assert store.layer_widths == (4, 32)
    assert load_training_set(workspace, LBFGS).data.layer_widths == (4, 32)


def test_a_cache_that_lost_where_layers_begin_is_refused_and_mended(
    many: Path, workspace: Workspace, load: Any, loaded: list[Layered]
) -> None:
    fill_cache_auto(request(many, "noise,colours"), workspace, load=load)
    with BottleneckStore(cache_path(workspace, LastUsed.load(workspace).backbone)) as store:
        store.set_meta("layer_widths", "")
    with pytest.raises(CacheError, match="where each begins"):
        load_training_set(workspace, LBFGS)
    fill_cache_auto(request(many, "noise,colours"), workspace, load=load)
    assert load_training_set(workspace, LBFGS).data.layer_widths == (4, 32)
    assert loaded[-1].images_seen == 0


def test_a_run_on_two_layers_names_new_photos(
    many: Path, workspace: Workspace, load: Any, tmp_path: Path
) -> None:
    """What comes after the head knows nothing of layers: raw vectors go in."""
    fill_cache_auto(request(many, "noise,colours"), workspace, load=load)
    train_run(TrainRequest(LBFGS), workspace)
    new = make_photos(tmp_path / "new", {"ant": 4, "bee": 4, "cow": 4}, seed=9)
    paths = sorted(new.rglob("*.png"))
    with Labeller(LabelRequest(), workspace, load=load) as labeller:
        answers = list(labeller.label(Source(str(path)) for path in paths))
    assert [answer.labels[0].label for answer in answers] == [path.parent.name for path in paths]
    assert evaluate(EvalRequest(), workspace).result.top[0].macro.value == 1


def test_auto_takes_the_layer_that_tells_the_classes_apart(
    many: Path, workspace: Workspace, load: Any
) -> None:
    summary = fill_cache_auto(request(many, "auto"), workspace, load=load)
    assert LastUsed.load(workspace).backbone.layer == "colours"
    assert summary.chosen_layer.startswith("colours: 100.0%, against ")
    assert "at the last layer, top" in summary.chosen_layer
    assert "standard error" in summary.chosen_layer


def test_auto_leaves_the_last_layer_where_no_other_is_better(
    many: Path, workspace: Workspace, load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "block_layers", lambda spec: ("noise", "top", "colours"))
    summary = fill_cache_auto(request(many, "auto"), workspace, load=load)
    assert LastUsed.load(workspace).backbone.layer is None
    assert summary.chosen_layer.startswith("the last layer: no other gains more than")


def test_auto_needs_photos(tmp_path: Path, workspace: Workspace, load: Any) -> None:
    few = make_photos(tmp_path / "few", {"ant": 2, "bee": 16})
    with pytest.raises(DatasetError, match="at least 3 training photos of each class"):
        fill_cache_auto(request(few, "auto"), workspace, load=load)


@pytest.mark.parametrize(
    ("layer", "rule"),
    [
        ("top,noise,top", "takes each layer once, and top is named 2 times"),
        ("top,,noise", "takes a layer, several with a comma between them"),
        ("auto,top", "takes a layer, several with a comma between them"),
    ],
)
def test_lists_of_layers_that_mean_nothing(
    many: Path, workspace: Workspace, load: Any, layer: str, rule: str
) -> None:
    with pytest.raises(BackboneError, match=rule):
        fill_cache_auto(request(many, layer), workspace, load=load)


def test_auto_is_no_layer_elsewhere() -> None:
    with pytest.raises(BackboneError, match="which looks at the photos: name a layer here"):
        replace(SMALL_SPEC, layer="auto").fingerprint()


def test_spaces_about_names_do_not_count() -> None:
    spaced = replace(SMALL_SPEC, layer=" noise , top ")
    assert spaced.fingerprint() == replace(SMALL_SPEC, layer="noise,top").fingerprint()


def study(most: int = 2) -> LayersStudy:
    return LayersStudy(WIDE, ("retrain", "bottlenecks", "photos"), most)


def test_the_study_computes_each_photo_once_and_leaves_the_backbone_in_use(
    many: Path, workspace: Workspace, load: Any, loaded: list[Layered], tmp_path: Path
) -> None:
    fill_cache_auto(request(many, None), workspace, load=load)
    used = LastUsed.load(workspace)
    fill_layers(WIDE, used, workspace, load=load)
    assert loaded[-1].images_seen >= 48
    settings = StudySettings(2, LBFGS)
    result = run_study(study(), workspace, settings)
    assert LastUsed.load(workspace) == used
    main, taken = result.tables
    labels = [row[0] for row in main.rows]
    assert labels == ["noise", "colours", "top (last)", "best 2 side by side", "taken"]
    assert [row[1] for row in main.rows[:3]] == [4, 32, 3]
    means = {str(row[0]): row[3] for row in main.rows}
    assert means["colours"].value == 1
    assert means["taken"].value == 1
    assert taken.rows == [("colours", 2)]
    told = [note for note in result.notes if note.startswith("to take it: ")]
    assert told == ["to take it: retrain bottlenecks photos --layer colours"]
    assert result.to_dict()["take"][-2:] == ["--layer", "colours"]
    make_photos(tmp_path / "photos", {"ant": 17}, seed=9)  # other photos of one class
    fill_layers(WIDE, used, workspace, load=load)
    again = run_study(study(), workspace, settings)
    assert len(again.tables[0].rows) == 5


def test_a_second_study_trains_nothing(many: Path, workspace: Workspace, load: Any) -> None:
    fill_cache_auto(request(many, None), workspace, load=load)
    fill_layers(WIDE, LastUsed.load(workspace), workspace, load=load)
    seen: list[Any] = []
    settings = StudySettings(1, LBFGS)
    first = run_study(study(), workspace, settings, on_progress=seen.append)
    second = run_study(study(), workspace, settings, on_progress=seen.append)
    assert (seen[-1].total, seen[-1].kept) == (0, 4)
    assert first.to_dict() == second.to_dict()
