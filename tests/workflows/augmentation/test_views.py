"""Distorted views from `bottlenecks` to `label`: computed once, trained on, averaged over."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SMALL_SPEC, FakeBackbone, make_photos

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.errors import CacheError, ConfigError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.images.distortions import USUAL, Distortion, decode_views
from retrain_cli.workflows.augmentation.cached_views import views_file
from retrain_cli.workflows.bottlenecks import BottleneckRequest
from retrain_cli.workflows.evaluate import EvalRequest, evaluate
from retrain_cli.workflows.label import Labeller, LabelRequest
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.shared.plan import plan_bottlenecks
from retrain_cli.workflows.shared.training_set import load_training_set
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

TURNED = Distortion(flip=True, rotate=90, brightness=30)
CONFIG = TrainingConfig(
    optimizer="lbfgs", steps=20, testing_percentage=25, validation_percentage=25
)


@pytest.fixture
def label(workspace: Workspace, fake_backbone: FakeBackbone) -> Any:
    def label(photo: Path, **options: Any) -> dict[str, float]:
        def load(spec: BackboneSpec, device: str) -> FakeBackbone:
            return fake_backbone

        with Labeller(LabelRequest(**options), workspace, load) as labeller:
            (answer,) = labeller.label([Source(str(photo))])
        return {one.label: one.score for one in answer.labels}

    return label


def vectors_of(photo: Path, views: tuple[int, ...], distortion: Distortion) -> np.ndarray:
    """What the fake backbone says of some views of a photo."""
    return FakeBackbone()(decode_views(photo.read_bytes(), (32, 32), "squash", distortion, views))


def test_only_what_is_new_is_computed(
    photos: Path, fill: Any, fake_backbone: FakeBackbone, workspace: Workspace
) -> None:
    first = fill(photos, views=2, distortion=TURNED)
    assert (first.views.each, first.views.computed) == (2, 72)
    assert fake_backbone.images_seen >= 36 * 3
    assert fill(photos, views=2, distortion=TURNED).views.computed == 0
    assert fill(photos, views=3, distortion=TURNED).views.computed == 36
    make_photos(photos, {"gnu": 4}, seed=5)
    more = fill(photos, views=3, distortion=TURNED)
    assert (more.computed, more.views.computed) == (4, 12)
    (photos / "ant").rename(photos / "emmet")
    assert fill(photos, views=3, distortion=TURNED).views.computed == 0
    other = fill(photos, views=1)
    assert (other.views.distortion, other.views.computed) == (USUAL, 40), "a cache of its own"


def test_the_cache_holds_the_vectors_of_the_views(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    used = fill(photos, views=2, distortion=TURNED).used
    path = views_file(workspace, used.fingerprint, TURNED)
    assert path is not None
    data = load_training_set(workspace, CONFIG, with_views=True)
    assert data.data.n_views == 2
    with BottleneckStore(path, read_only=True) as store:
        for row, name in enumerate(data.images.paths):
            expected = vectors_of(photos / name, (0, 1, 2), TURNED)
            digest = data.images.digest[row].tobytes()
            kept = store.arrays.read([(digest, 1), (digest, 2)]).values()
            np.testing.assert_allclose(kept, expected[1:], rtol=1e-6)
            assert data.data.views is not None
            by_view = data.data.views.reshape(3, len(data.images.paths), -1)
            np.testing.assert_allclose(by_view[:, row], expected, rtol=1e-6)


def test_views_of_training_photos_train_and_no_others(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos, views=2, distortion=TURNED)
    data = load_training_set(workspace, CONFIG, with_views=True).data
    expanded = data.with_views()
    n_images = len(data.labels)
    np.testing.assert_array_equal(np.unique(expanded.training % n_images), data.training)
    assert len(expanded.training) == 3 * len(data.training)
    np.testing.assert_array_equal(expanded.validation, data.validation)
    for row in expanded.training.tolist():
        assert expanded.labels[row] == data.labels[row % n_images]
    plain = train_run(TrainRequest(replace(CONFIG, views=0), "plain"), workspace).run
    run = train_run(TrainRequest(CONFIG, "viewed"), workspace).run
    assert run.config.views == 2
    assert run.provenance.distortion == str(TURNED)
    assert not np.array_equal(run.head.weights, plain.head.weights)
    assert not plain.config.views
    assert plain.provenance.distortion == ""
    assert "views" not in plain.config.to_dict(), "as before there were any"
    bottlenecks = run.provenance.bottlenecks_step().arguments
    assert bottlenecks[-7:] == (
        "--views", "2", "--flip", "--brightness", "30.0", "--rotate", "90"
    )  # fmt: skip


def test_cross_validation_keeps_views_with_their_photo(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    """With labels of chance a head that saw views of the photos it is asked about would know."""
    generator = np.random.default_rng(0)
    shutil.rmtree(photos)
    noise = dict.fromkeys(("ant", "bee"), 20)
    make_photos(photos, noise)
    files = sorted(photos.rglob("*.png"))
    for file, new in zip(files, generator.permutation([str(file) for file in files]), strict=True):
        file.rename(file.with_suffix(".moving"))
        file.with_suffix(".moving").rename(Path(new).with_suffix(".photo"))
    fill(photos, views=3, distortion=Distortion(brightness=1))
    run = train_run(TrainRequest(CONFIG, "folded", cv=4), workspace).run
    judged = evaluate(EvalRequest("folded", "cv"), workspace).result
    assert run.config.views == 3
    assert judged.top1 is not None
    assert 0.2 < judged.top1.overall.value < 0.8


def test_eval_and_label_average_over_views(
    photos: Path, fill: Any, workspace: Workspace, label: Any
) -> None:
    fill(photos, views=3, distortion=TURNED)
    run = train_run(TrainRequest(CONFIG, "viewed"), workspace).run
    rows = run.predictions.rows("test")
    averaged = evaluate(EvalRequest(views=3), workspace)
    for row in rows.tolist():
        photo = photos / run.predictions.images.paths[row]
        expected = run.head.probabilities(vectors_of(photo, (0, 1, 2, 3), TURNED)).mean(axis=0)
        order = averaged.predictions.top_classes[row]
        np.testing.assert_allclose(
            averaged.predictions.top_scores[row], expected[order], rtol=1e-4, atol=1e-7
        )
        answer = label(photo, views=3)
        assert answer == pytest.approx(dict(zip(run.labels, expected, strict=True)), rel=1e-3)
    plain = evaluate(EvalRequest(), workspace)
    assert "views" not in plain.to_dict()
    assert averaged.to_dict()["views"] == 3
    kept = plain.predictions.top_scores[rows]
    assert not np.allclose(averaged.predictions.top_scores[rows], kept)


def test_a_rejector_judges_the_photo_itself(
    photos: Path, fill: Any, workspace: Workspace, label: Any
) -> None:
    fill(photos, views=1)
    config = replace(CONFIG, validation_percentage=40)
    train_run(TrainRequest(config), workspace)
    photo = photos / "ant" / "000.png"
    photo = photo if photo.exists() else sorted((photos / "ant").iterdir())[0]
    label(photo, views=2, reject=True, max_error=0.5)


@pytest.mark.parametrize("damage", ["none", "fewer", "gone"])
def test_views_that_are_not_there_are_told(
    photos: Path, fill: Any, workspace: Workspace, damage: str
) -> None:
    fill(photos, views=0 if damage == "none" else 1)
    if damage == "gone":
        used = LastUsed.load(workspace)
        path = views_file(workspace, used.fingerprint, USUAL)
        assert path is not None
        path.unlink()
        with pytest.raises(CacheError, match="`retrain bottlenecks` with views=1 computes them"):
            train_run(TrainRequest(CONFIG), workspace)
        return
    with pytest.raises(ConfigError, match="views=2 takes views that `retrain bottlenecks`"):
        train_run(TrainRequest(replace(CONFIG, views=2)), workspace)
    train_run(TrainRequest(CONFIG), workspace)
    with pytest.raises(CacheError, match="this needs 2 views"):
        evaluate(EvalRequest(views=2), workspace)


def test_ridge_and_auto_take_plain_photos(photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos, views=1)
    run = train_run(TrainRequest(replace(CONFIG, optimizer="ridge")), workspace).run
    assert not run.config.views
    with pytest.raises(ConfigError, match="views of an image are alike"):
        replace(CONFIG, optimizer="auto", views=1).validate()


def test_a_distortion_without_views_is_refused(photos: Path, fill: Any) -> None:
    with pytest.raises(ConfigError, match="views is 0"):
        fill(photos, distortion=TURNED)
    with pytest.raises(ConfigError, match="not kept"):
        EvalRequest(split="cv", views=2)


def test_a_workspace_of_before_there_were_views_is_read(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos)
    state = workspace.read_state()
    for name in ("views", "distortion"):
        del state["last_used"][name]
    workspace.write_state(state)
    used = LastUsed.load(workspace)
    assert (used.views, used.distortion) == (0, "")
    assert used.backbone.name == SMALL_SPEC.name


def test_a_plan_counts_the_views(photos: Path, fill: Any, workspace: Workspace) -> None:
    def planned(views: int) -> tuple[int, int]:
        spec = replace(SMALL_SPEC, precision="float32", runtime="keras")
        request = BottleneckRequest(photos, spec, views=views, distortion=TURNED)
        plan = plan_bottlenecks(request, workspace)
        return plan.to_do, plan.views

    assert planned(2) == (36, 72)
    fill(photos, views=2, distortion=TURNED)
    assert planned(2) == (0, 0)
    assert planned(3) == (0, 36)
    make_photos(photos, {"gnu": 4}, seed=5)
    assert planned(3) == (4, 48)
