"""`auto`: first the caches, then the machine, and always the same next time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SMALL_SPEC, FakeBackbone, make_photos

from retrain_cli.backbones import machine
from retrain_cli.backbones.runtimes import conversion
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.table import KERAS_BACKBONES, find_backbone
from retrain_cli.datasets.file_index import FileIndex
from retrain_cli.datasets.folders import walk_folders
from retrain_cli.datasets.sources.photo_source import source_of
from retrain_cli.errors import BackboneError
from retrain_cli.extraction.photo_tree import PhotoTree
from retrain_cli.extraction.settle import settle_backbone
from retrain_cli.images.examine import content_digest
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.shared.plan import plan_bottlenecks

OPEN = replace(SMALL_SPEC, precision="auto", runtime="auto")
LOW = replace(SMALL_SPEC, precision="bfloat16")


@pytest.fixture
def settle(photos: Path, workspace: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Settle a spec for the photos, on a processor with bfloat16 where nothing is converted."""
    monkeypatch.setattr(machine, "may_have_gpu", lambda: False)
    monkeypatch.setattr("retrain_cli.backbones.runtimes.openvino_model.has_bfloat16", lambda: True)

    def settle(spec: BackboneSpec, root: Path = photos) -> Any:
        workspace.prepare()
        with FileIndex(workspace.index_path) as index:
            folders = list(walk_folders(root))
            tree = PhotoTree(source_of(root), folders, index, index.dataset_id(root))
            return settle_backbone(spec.resolve(), "auto", workspace, tree, convert=False)

    return settle


def test_the_machine_decides_where_nothing_is_cached(settle: Any) -> None:
    choice = settle(OPEN)
    assert (choice.backbone.precision, choice.backbone.runtime) == ("float32", "openvino")
    assert (choice.backbone.is_settled, choice.note) == (False, "")


def test_a_settled_spec_stays(settle: Any) -> None:
    assert settle(SMALL_SPEC).backbone == SMALL_SPEC.resolve()


def test_a_full_cache_decides_in_silence(photos: Path, fill: Any, settle: Any) -> None:
    fill(photos)
    choice = settle(OPEN)
    assert (choice.backbone, choice.note) == (SMALL_SPEC.resolve(), "")


def test_a_cache_with_most_of_the_photos_decides_and_that_is_told(
    photos: Path, fill: Any, settle: Any
) -> None:
    fill(photos)
    make_photos(photos, {"wasp": 12}, seed=5)
    choice = settle(OPEN)
    assert choice.backbone == SMALL_SPEC.resolve()
    assert choice.note.startswith("going on in float32 with keras, for that cache holds 75% of")
    assert "--precision float32 --runtime openvino` computes all" in choice.note


def test_a_cache_with_few_of_the_photos_does_not(photos: Path, fill: Any, settle: Any) -> None:
    fill(photos)
    make_photos(photos, {"wasp": 60}, seed=5)
    assert settle(OPEN).backbone.runtime == "openvino"


def test_what_was_asked_for_comes_before_any_cache(photos: Path, fill: Any, settle: Any) -> None:
    fill(photos)
    assert settle(replace(OPEN, precision="bfloat16")).backbone.runtime == "openvino"
    assert settle(replace(OPEN, runtime="openvino")).backbone.precision == "float32"
    assert settle(replace(OPEN, precision="float32")).backbone == SMALL_SPEC.resolve()


@pytest.mark.parametrize(("tolerates", "preferred"), [(True, LOW), (False, SMALL_SPEC)])
def test_of_two_full_caches_the_faster_one_that_loses_nothing(
    photos: Path,
    fill: Any,
    settle: Any,
    monkeypatch: pytest.MonkeyPatch,
    tolerates: bool,
    preferred: Any,
) -> None:
    row = replace(find_backbone(OPEN.name), tolerates_bfloat16=tolerates)
    monkeypatch.setitem(KERAS_BACKBONES, OPEN.name, row)
    fill(photos, backbone=LOW)
    fill(photos)
    choice = settle(OPEN)
    assert (choice.backbone, choice.note) == (preferred.resolve(), "")


def test_a_full_cache_in_a_precision_that_may_lose_is_told(
    photos: Path, fill: Any, settle: Any
) -> None:
    fill(photos, backbone=LOW)
    choice = settle(OPEN)
    assert choice.backbone == LOW.resolve()
    assert choice.note == (
        "going on in bfloat16 with keras, for that cache holds 100% of these photos; "
        "`retrain bottlenecks --precision float32` computes all of them anew"
    )
    assert settle(LOW).note == ""


def test_another_backbone_is_no_reason(photos: Path, fill: Any, settle: Any) -> None:
    fill(photos)
    assert settle(replace(OPEN, pooling="max")).backbone.runtime == "openvino"


def test_moved_photos_are_known_by_a_sample(photos: Path, fill: Any, settle: Any) -> None:
    fill(photos)
    moved = photos.rename(photos.with_name("moved"))
    assert settle(OPEN, moved).backbone == SMALL_SPEC.resolve()


def test_the_draw_for_calibration_is_by_content(photos: Path, fill: Any, workspace: Any) -> None:
    (photos / "ant" / "copy.png").write_bytes((photos / "ant" / "0000.png").read_bytes())

    def draw(root: Path) -> list[bytes]:
        with FileIndex(workspace.index_path) as index:
            folders = list(walk_folders(root))
            tree = PhotoTree(source_of(root), folders, index, index.dataset_id(root))
            return [content_digest(Path(path).read_bytes()) for path in tree.by_digest()]

    workspace.prepare()
    unseen = draw(photos)
    assert unseen == sorted(set(unseen))
    assert len(unseen) == 36
    fill(photos)
    assert draw(photos) == unseen
    assert draw(photos.rename(photos.with_name("moved"))) == unseen


def test_a_plan_converts_nothing(
    photos: Path, workspace: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "may_have_gpu", lambda: False)
    monkeypatch.setattr(conversion, "convert_backbone", pytest.fail)
    plan = plan_bottlenecks(BottleneckRequest(photos, OPEN), workspace)
    assert (plan.to_do, plan.used.backbone.runtime) == (36, "openvino")
    assert list(workspace.cache_dir.iterdir()) == []


def test_a_network_that_openvino_cannot_run(
    photos: Path, workspace: Any, fake_backbone: FakeBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(spec: Any, models: Any) -> None:
        raise conversion.ConversionError("it cannot")

    monkeypatch.setattr(machine, "may_have_gpu", lambda: False)
    monkeypatch.setattr(conversion, "convert_backbone", refuse)

    def run(spec: BackboneSpec) -> Any:
        request = BottleneckRequest(photos, spec)
        return fill_cache(request, workspace, load=lambda spec, device: fake_backbone)

    summary = run(OPEN)
    assert summary.used.backbone == SMALL_SPEC.resolve()
    assert summary.note == "going on with Keras, which is slower: it cannot"
    with pytest.raises(BackboneError, match="it cannot"):
        run(replace(OPEN, runtime="openvino"))


def test_extraction_with_openvino_from_end_to_end(photos: Path, workspace: Any) -> None:
    spec = replace(OPEN, runtime="openvino", alpha=0.25, precision="float32")
    stages = []
    summary = fill_cache(
        BottleneckRequest(photos, spec), workspace, lambda counts: stages.append(counts.stage)
    )
    assert summary.computed == 36
    assert [stage for stage in stages if stage] == ["converting the network for OpenVINO, once"]
    used = summary.used.backbone
    assert used.model is not None
    again = fill_cache(BottleneckRequest(photos, replace(OPEN, alpha=0.25)), workspace)
    assert (again.used.backbone, again.cached, again.note) == (used, 36, "")
    on_keras = replace(SMALL_SPEC, alpha=0.25)
    other = fill_cache(BottleneckRequest(photos, on_keras), workspace)
    assert other.computed == 36
    assert other.cache_path != summary.cache_path
    one, two = (_all_vectors(done.cache_path) for done in (summary, other))
    np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-4)


def _all_vectors(path: Path) -> np.ndarray:
    from retrain_cli.cache.store import BottleneckStore

    with BottleneckStore(path) as store:
        return store.read(sorted(store.digests()))
