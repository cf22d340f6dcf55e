"""`--photo-timeout` reaches whoever decodes a photo that may take long, in every command."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import FakeBackbone
from images.limits.test_costs import many_scans

from retrain_cli.errors import ConfigError, ImageError
from retrain_cli.evaluation.predictions import Predictions
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.images.limits import limited
from retrain_cli.workflows.add_class import AddClassRequest, add_class
from retrain_cli.workflows.bottlenecks import BottleneckRequest
from retrain_cli.workflows.check import CheckReport, CheckRequest, check_dataset
from retrain_cli.workflows.label import Labeller, LabelRequest
from retrain_cli.workflows.report import ReportRequest, make_report
from retrain_cli.workflows.reporting import report_photos
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workflows.shared.plan import plan_bottlenecks
from retrain_cli.workflows.similar import SimilarRequest, SimilarSearch
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

SLOW = "it takes more than 7 s to decode (--photo-timeout)"


def test_a_photo_that_is_too_slow_is_bad_and_the_run_goes_on(photos: Path, fill: Any) -> None:
    (photos / "ant" / "slow.jpg").write_bytes(many_scans(20_000, 3000))
    summary = fill(photos, settings=ExtractionSettings(8, 2, photo_timeout=0.3))
    assert summary.bad == [
        ("ant/slow.jpg", "it takes more than 0.3 s to decode (--photo-timeout)"),
    ]
    assert summary.computed == 36


@dataclass
class Patience:
    """What the process for suspicious photos was given, and whether photos are too slow for it."""

    given: list[float]
    is_too_little: bool = False


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Patience:
    """Stands in for the process: remembers the seconds, and decodes nothing that is too slow."""
    asked, call = Patience([]), limited.call

    def limited_call(function: str, data: bytes, arguments: Any, seconds: float) -> Any:
        asked.given.append(seconds)
        if asked.is_too_little:
            raise ImageError(SLOW)
        return call(function, data, arguments, seconds)

    monkeypatch.setattr(limited, "call", limited_call)
    return asked


@dataclass
class Scene:
    """A dataset with a run and a suspicious photo, and one more of those that is new."""

    photos: Path
    workspace: Workspace
    new: Path
    backbone: FakeBackbone

    def load(self, spec: Any, device: str) -> Any:
        return self.backbone


@pytest.fixture
def scene(
    photos: Path,
    fill: Any,
    workspace: Workspace,
    tmp_path: Path,
    fake_backbone: FakeBackbone,
    patience: Patience,
) -> Scene:
    (photos / "ant" / "odd.jpg").write_bytes(many_scans(200))
    fill(photos)
    train_run(TrainRequest(TrainingConfig(steps=20)), workspace)
    (tmp_path / "new.jpg").write_bytes(many_scans(201))
    patience.given.clear()
    return Scene(photos, workspace, tmp_path / "new.jpg", fake_backbone)


def _label(scene: Scene) -> str | None:
    with Labeller(LabelRequest(photo_timeout=7), scene.workspace, scene.load) as labeller:
        return next(labeller.label([Source(str(scene.new))])).error


def _similar(scene: Scene) -> str | None:
    with SimilarSearch(SimilarRequest(photo_timeout=7), scene.workspace, scene.load) as search:
        return next(search.search([Source(str(scene.new))])).error


def _add_class(scene: Scene) -> str | None:
    sound = scene.photos / "bee" / "0000.png"
    sound.write_bytes(sound.read_bytes() + b"\0")  # one that no class has
    request = AddClassRequest("wasp", (scene.new, sound), photo_timeout=7)
    return next((reason for _, reason in add_class(request, scene.workspace, load=scene.load).bad))


def _check(scene: Scene) -> str | None:
    return next((reason for _, reason in _checked(scene).not_looked_at), None)


def _checked(scene: Scene) -> CheckReport:
    return check_dataset(CheckRequest(labels=False, photo_timeout=7), scene.workspace)


@pytest.mark.parametrize("command", [_label, _similar, _add_class, _check])
def test_every_command_that_reads_photos_hands_it_on(
    command: Callable[[Scene], str | None], scene: Scene, patience: Patience
) -> None:
    patience.is_too_little = True
    assert command(scene) == SLOW
    assert patience.given == [7]


def test_a_photo_that_is_not_looked_at_is_neither_gone_nor_suggested_to_be_moved(
    scene: Scene, patience: Patience
) -> None:
    patience.is_too_little = True
    report = _checked(scene)
    assert (report.unseen, report.bad) == (0, [])
    assert report.not_looked_at == [("ant/odd.jpg", SLOW)]
    patience.is_too_little = False
    assert _checked(scene).not_looked_at == []


def test_an_interrupted_check_does_not_wait_for_it(
    photos: Path, fill: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "teapot" / "slow.jpg").write_bytes(many_scans(20_000, 3000))
    with monkeypatch.context() as fast:
        fast.setattr(limited, "call", lambda *asked: np.zeros((32, 32, 3), np.uint8))
        fill(photos)

    def interrupt(stage: str, done: int, total: int) -> None:
        if done == total - 1:
            raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        check_dataset(CheckRequest(labels=False, photo_timeout=60), workspace, interrupt)
    assert time.monotonic() - started < 20


def test_a_plan_and_the_groups_of_near_duplicates_heed_it(
    scene: Scene, patience: Patience, fill: Any
) -> None:
    settings = ExtractionSettings(8, 2, photo_timeout=7)
    fill(scene.photos, settings=settings, group="near-duplicates")
    assert patience.given == [7]
    patience.is_too_little = True
    (scene.photos / "ant" / "odd.jpg").write_bytes(many_scans(202))
    assert ("ant/odd.jpg", SLOW) in fill(scene.photos, settings=settings).bad
    spec = fill(scene.photos, settings=settings).used.backbone
    patience.given.clear()
    plan = plan_bottlenecks(
        BottleneckRequest(scene.photos, spec, settings=settings), scene.workspace
    )
    assert plan.bad == [("ant/odd.jpg", SLOW)]
    assert patience.given == [7]


def test_a_report_heeds_it(scene: Scene, patience: Patience, monkeypatch: Any) -> None:
    def every_row(predictions: Predictions, split: Any) -> Any:
        return np.arange(len(predictions))

    monkeypatch.setattr(report_photos, "misclassified_rows", every_row)
    patience.is_too_little = True
    request = ReportRequest(split="all", mistakes=250, map_method="none", photo_timeout=7)
    shown = [mistake.photo for mistake in make_report(request, scene.workspace).mistakes]
    assert [photo.problem for photo in shown if photo.path == "ant/odd.jpg"] == [SLOW]
    assert set(patience.given) == {7}


def test_processes_leave_such_a_photo_to_one_that_heeds_it(
    photos: Path, fill: Any, patience: Patience
) -> None:
    (photos / "ant" / "odd.jpg").write_bytes(many_scans(200))
    patience.is_too_little = True
    settings = ExtractionSettings(8, 1, readers="processes", photo_timeout=7)
    assert fill(photos, settings=settings).bad == [("ant/odd.jpg", SLOW)]
    assert patience.given == [7]


@pytest.mark.parametrize("seconds", [0, 1e300])
def test_0_is_no_limit_and_neither_is_a_very_large_one(seconds: float, photos: Path) -> None:
    data = many_scans(200)
    pixels = limited.call("decode_image", data, ((20, 30), "squash"), seconds)
    assert pixels.shape == (20, 30, 3)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
@pytest.mark.parametrize(
    "request_of",
    [ExtractionSettings, LabelRequest, SimilarRequest, CheckRequest, ReportRequest],
)
def test_it_is_a_number_from_0_on(seconds: float, request_of: Any) -> None:
    with pytest.raises(ConfigError, match="photo_timeout must be a number 0 or above"):
        request_of(photo_timeout=seconds)
