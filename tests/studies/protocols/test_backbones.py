"""`study backbones`: the same photos, splits and heads, with the vectors of each backbone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SMALL_SPEC, FakeBackbone, make_photos
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.errors import ConfigError
from retrain_cli.evaluation.predictions import predict
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.training import train_head
from retrain_cli.studies.protocols.backbones import BackbonesStudy, pareto_front
from retrain_cli.studies.study import StudyResult, StudySettings
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.shared import all_layers
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.study import load_study_data, make_study, run_study
from retrain_cli.workflows.transfer import contestants
from retrain_cli.workflows.transfer.contestants import find_contestants
from retrain_cli.workspace import Workspace

SEEING, BLIND = SMALL_SPEC, replace(SMALL_SPEC, name="mobilenet_v2")
SETTINGS = StudySettings(
    2, TrainingConfig(optimizer="lbfgs", steps=10, testing_percentage=30, validation_percentage=10)
)


class Blind(FakeBackbone):
    """Sees a corner of the photo."""

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return super().__call__(
            np.ascontiguousarray(np.broadcast_to(images[:, :1, :1], images.shape))
        )


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the backbones that were loaded; none is a real one."""
    seen: list[str] = []

    def load(spec: BackboneSpec, device: str) -> Any:
        seen.append(spec.name)
        return Blind() if spec.name == BLIND.name else FakeBackbone()

    for module in (all_layers, contestants):
        monkeypatch.setattr(module, "loader_of", lambda workspace: load)
    monkeypatch.setattr(contestants, "list_backbones", list)
    return seen


@pytest.fixture
def workspace(tmp_path: Path, loads: list[str]) -> Workspace:
    photos = make_photos(tmp_path / "photos", {"red": 24, "blue": 24})
    made = Workspace(tmp_path / "workspace")
    for spec in (BLIND, SEEING):
        network = Blind() if spec is BLIND else FakeBackbone()
        fill_cache(BottleneckRequest(photos, spec), made, load=lambda _s, _d, n=network: n)  # type: ignore[misc]
    return made


def study(workspace: Workspace, **options: Any) -> Any:
    return make_study(BackbonesStudy, workspace, **options)


def rows(result: StudyResult, table: int) -> dict[str, list[Any]]:
    return {str(row[0]).partition(" ")[0]: list(row[1:]) for row in result.tables[table].rows}


def test_every_backbone_that_was_used_is_compared(workspace: Workspace, loads: list[str]) -> None:
    result = run_study(study(workspace), workspace, SETTINGS)
    found = rows(result, 0)
    assert set(found) == {SEEING.name, BLIND.name}
    assert list(found) == sorted(found, key=lambda name: -found[name][0].value)
    assert all(row[0].n == 2 for row in found.values())
    cost = rows(result, 1)
    assert all(row[0] > 0 for row in cost.values())
    assert sorted(loads) == sorted(found), "each once, for its speed"
    again = run_study(study(workspace), workspace, SETTINGS)
    assert rows(again, 0) == found
    assert rows(again, 1) == cost
    assert len(loads) == 2, "finished trials are not repeated"


def test_figures_are_those_of_heads_on_the_same_split(workspace: Workspace) -> None:
    result = run_study(study(workspace), workspace, replace(SETTINGS, repeats=1))
    found = rows(result, 0)
    for spec in (SEEING, BLIND):
        used = replace(LastUsed.load(workspace), backbone=spec.resolve())
        used = replace(used, remembered=spec.resolve().fingerprint())
        data, _ = load_study_data(workspace, SETTINGS, used)
        part = data.select(SETTINGS.config(0))
        head = train_head(part.data, SETTINGS.config(0)).head
        test = part.rows("test")
        scores = np.exp(head.log_probabilities(part.data.bottlenecks[test]))
        labels = part.data.labels[test]
        top1, area, sensitivity, specificity = found[spec.name]
        assert area.value == pytest.approx(roc_auc_score(labels, scores[:, 1]), abs=1e-6)
        right = scores.argmax(1) == labels
        assert sensitivity.value == pytest.approx(right[labels == 1].mean())
        assert specificity.value == pytest.approx(right[labels == 0].mean())
        assert top1.value == pytest.approx((sensitivity.value + specificity.value) / 2)
        assert len(predict(head, part.data.bottlenecks[test], part.test_images())) == len(labels)


def test_the_other_class_may_be_the_positive_one(workspace: Workspace) -> None:
    usual = rows(run_study(study(workspace), workspace, SETTINGS), 0)
    other = rows(run_study(study(workspace, positive="blue"), workspace, SETTINGS), 0)
    for name, row in usual.items():
        assert (row[2].value, row[3].value) == (other[name][3].value, other[name][2].value)
    with pytest.raises(ConfigError, match="positive is one of two classes"):
        run_study(study(workspace, positive="green"), workspace, SETTINGS)


def test_backbones_that_are_named(workspace: Workspace) -> None:
    assert len(find_contestants(workspace, (SEEING.name, "efficientnet_lite0"))) == 2
    with pytest.raises(ConfigError, match="received resnet_of_mine"):
        find_contestants(workspace, ("resnet_of_mine", SEEING.name))
    with pytest.raises(ConfigError, match="compared with each other"):
        find_contestants(workspace, (SEEING.name,))


def test_weights_that_are_gone_are_left_out(workspace: Workspace, tmp_path: Path) -> None:
    weights = tmp_path / "gone.weights.h5"
    weights.write_bytes(b"weights")
    used = LastUsed.load(workspace)
    mine = replace(SEEING, weights=str(weights), alpha=0.5)
    replace(used, backbone=mine).save(workspace)
    used.save(workspace)
    assert len(find_contestants(workspace)) == 3
    weights.unlink()
    assert len(find_contestants(workspace)) == 2


def test_photos_that_changed_meanwhile_are_told(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = load_study_data(workspace, SETTINGS)
    images = replace(data.images, digest=data.images.digest[::-1])
    with pytest.raises(Exception, match="have changed meanwhile"):
        data.with_vectors_of(replace(data, images=images))


POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8)


@given(POINTS)
def test_the_front_is_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    front = pareto_front([(float(x), float(y)) for x, y in points])
    assert any(front)
    for (x, y), on_front in zip(points, front, strict=True):
        beaten = any((a >= x and b > y) or (a > x and b >= y) for a, b in points)
        assert on_front != beaten
