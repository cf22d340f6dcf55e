"""Heatmaps in `retrain report` and `retrain check`: where the run looks for each class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import visit
from fake_maps import FakeMaps, load_fake
from helpers import FakeBackbone
from PIL import Image

from retrain_cli.cli.views.check import _report_dict, _summary
from retrain_cli.datasets.moves import MoveScript
from retrain_cli.errors import BackboneError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.run import Run, RunStore
from retrain_cli.workflows import check
from retrain_cli.workflows.check import CheckRequest, check_dataset
from retrain_cli.workflows.explaining import class_heat
from retrain_cli.workflows.explaining.explainer import Explainer, ExplainRequest
from retrain_cli.workflows.explaining.heatmap_makers import CamMaker
from retrain_cli.workflows.report import ReportRequest, make_report, write_report
from retrain_cli.workflows.reporting import report_heatmaps
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

CLASSES = {"ant": (200, 60, 60), "bee": (185, 75, 60), "framed": (120, 120, 120)}


@pytest.fixture
def fake_backbone() -> FakeBackbone:
    """In place of the usual one: `fill` uses it."""
    return FakeMaps(with_maps=False)


@pytest.fixture
def run(tmp_path: Path, fill: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Two classes with an object in the middle, hard to tell apart; one with a frame."""
    generator = np.random.default_rng(0)
    for name, colour in CLASSES.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(30):
            pixels = np.full((32, 32, 3), 90) + generator.normal(0, 8, (32, 32, 3))
            pixels[8:24, 8:24] = np.array(colour) + generator.normal(0, 25, 3)
            if name == "framed":
                pixels[:4] = pixels[-4:] = (20, 40, 250)
                pixels[:, :4] = pixels[:, -4:] = (20, 40, 250)
            image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            image.save(tmp_path / "photos" / name / f"{number:02}.png")
    fill(tmp_path / "photos")
    config = TrainingConfig(
        steps=60, optimizer="lbfgs", testing_percentage=50, validation_percentage=5
    )
    train_run(TrainRequest(config), workspace)

    def explainer_of(run: Run, workspace: Workspace, photo_timeout: float) -> Explainer:
        return Explainer(ExplainRequest(str(run.folder)), workspace, CamMaker(load_fake))

    monkeypatch.setattr(report_heatmaps, "explainer_of", explainer_of)
    monkeypatch.setattr(class_heat, "explainer_of", explainer_of)
    return RunStore(workspace.runs_dir).get()


def test_the_page_shows_where_the_run_looks(run: Run, workspace: Workspace, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    request = ReportRequest(html=page, heatmaps="all", map_method="none")
    report = write_report(request, workspace).report
    assert report.mistakes
    for mistake in report.mistakes:
        labels = [heat.label for heat in mistake.heats]
        assert labels == [mistake.predicted, mistake.photo.class_name]
        assert all(heat.source.startswith("data:image/jpeg") for heat in mistake.heats)
    assert report.heatmaps is not None
    for pair in report.heatmaps.pairs:
        assert len(pair.photos) == 3
        for one in pair.photos:
            assert one.photo.class_name == pair.true
            assert [heat.label for heat in one.heats] == [pair.true, pair.predicted]
    first = report.heatmaps.classes[0]
    assert (first.name, first.lies_at_the_border) == ("framed", True)
    assert not report.heatmaps.classes[-1].lies_at_the_border
    assert page.stat().st_size < 2_000_000
    with visit(page, width=390) as visited:
        heats = visited.page.locator(".heats").first
        assert heats.is_visible()
        visited.page.locator("#mistakes .heat-switch").uncheck()
        assert not heats.is_visible()
        assert not visited.page.locator(".mean-heats").is_visible()
        assert not visited.page.locator("#heatmaps .heat-switch").is_checked()
        assert visited.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_openvino_they_are_made_when_asked_for(run: Run, workspace: Workspace) -> None:
    for wanted in ("auto", "none"):
        report = make_report(ReportRequest(heatmaps=wanted, map_method="none"), workspace)
        assert report.heatmaps is None
        assert "heatmaps" not in report.missing
        assert all(not mistake.heats for mistake in report.mistakes)


def test_why_there_are_none_is_said(
    run: Run, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Explainer:
        raise BackboneError("no places")

    monkeypatch.setattr(report_heatmaps, "explainer_of", refuse)
    report = make_report(ReportRequest(heatmaps="all", map_method="none"), workspace)
    assert report.heatmaps is None
    assert report.missing["heatmaps"] == "no places"


def test_photos_that_are_gone_have_none(run: Run, workspace: Workspace, tmp_path: Path) -> None:
    for path in (tmp_path / "photos" / "framed").iterdir():
        path.unlink()
    report = make_report(ReportRequest(heatmaps="all", map_method="none"), workspace)
    assert report.heatmaps is not None
    assert [one.name for one in report.heatmaps.classes if one.name == "framed"] == []


def test_check_warns_of_a_class_that_is_known_by_its_border(
    run: Run, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = CheckRequest(labels=False)
    assert check_dataset(request, workspace).borders is None  # not on OpenVINO
    monkeypatch.setattr(check, "_tells_cheaply", lambda run: True)
    found = check_dataset(request, workspace)
    assert found.borders is not None
    names = [one.name for one in found.borders]
    assert names[0] == "framed"
    assert "ant" not in names
    assert ["classes known by their border", str(len(names)), ""] in _summary(found)
    document = _report_dict(found, MoveScript(Path(), Path(), ()))
    assert [one["class"] for one in document["borders"]] == names
    monkeypatch.setattr(class_heat, "explainer_of", None)  # they are kept
    again = check_dataset(request, workspace)
    assert again.borders is not None
    assert [one.name for one in again.borders] == names
    (workspace.root / "class_heats.json").write_text("{}")
    with pytest.raises(TypeError):  # damaged ones are made again
        check_dataset(request, workspace)
    off = check_dataset(CheckRequest(labels=False, borders=False), workspace)
    assert off.borders is None
