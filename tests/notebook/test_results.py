"""Each result shows itself in a notebook, and its tables are data frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrain_cli.errors import ConfigError
from retrain_cli.evaluation.comparing.added_class import KnownCost, NewClassFigures
from retrain_cli.evaluation.reliability import Reliability
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.calibration import Calibration
from retrain_cli.runs.run import RunStore
from retrain_cli.similarity.familiarity import Familiarity
from retrain_cli.studies.means import Mean
from retrain_cli.studies.study import StudyResult, StudyTable
from retrain_cli.workflows.add_class import AddClassSummary
from retrain_cli.workflows.calibrate import CalibrationEffect, CalibrationSummary
from retrain_cli.workflows.check import CheckRequest, check_dataset
from retrain_cli.workflows.compare import compare_runs
from retrain_cli.workflows.portable.bundling import BundleSummary
from retrain_cli.workflows.signals.imaging import SignalSummary
from retrain_cli.workflows.signals.request import Drawing
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workflows.transfer.advise import Advice, AdvisedScenario
from retrain_cli.workflows.transfer.scenarios import scenario_of
from retrain_cli.workflows.transfer.split_by_similarity import SimilaritySplit, SplitClass
from retrain_cli.workspace import Workspace

STUDY = StudyResult(
    study="examples",
    headline="how many <photos>",
    tables=(
        StudyTable("sizes", ("photos", "top-1"), [[3, Mean(0.5, 0.4, 0.6, 5)], ["all", None]]),
        StudyTable("seconds", ("backbone", "s"), [["mini", 1.25]], percent=False),
    ),
    charts=(),
    notes=("a note",),
)


def test_a_study_shows_its_tables() -> None:
    page = STUDY._repr_html_()
    for text in ("50.0% ± 10.0", "n/a", "&lt;photos&gt;", "a note", "seconds", "1.2"):
        assert text in page, text


def test_a_mean_has_three_columns() -> None:
    frame = STUDY.to_frame()
    assert list(frame.columns) == ["photos", "top-1", "top-1 low", "top-1 high"]
    assert list(frame.iloc[0]) == [3, 0.5, 0.4, 0.6]
    assert list(STUDY.to_frame("seconds")["s"]) == [1.25]
    with pytest.raises(ConfigError, match="has the tables sizes, seconds, not speed"):
        STUDY.to_frame("speed")


def test_runs_comparisons_and_checks(fill: Any, photos: Path, workspace: Workspace) -> None:
    (photos / "ant" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    fill(photos)
    for name, steps in {"short": 5, "long": 200}.items():
        summary = train_run(TrainRequest(TrainingConfig(steps=steps), name=name), workspace)
        assert f"run {name}" in summary._repr_html_()
    (comparison,) = compare_runs(["short", "long"], workspace)
    assert "run long against short" in comparison._repr_html_()
    assert "top-1" in set(comparison.to_frame()["figure"])
    report = check_dataset(CheckRequest(labels=False), workspace)
    assert "ant/broken.png" in report._repr_html_()
    assert "ant/broken.png" in set(report.to_frame()["where"])
    store = RunStore(workspace.runs_dir)
    assert list(store.to_frame()["run"]) == ["long", "short"]
    assert "<td" in store.latest()._repr_html_()


def test_a_damaged_run_does_not_hide_the_others(
    fill: Any, photos: Path, workspace: Workspace
) -> None:
    fill(photos)
    run = train_run(TrainRequest(TrainingConfig(steps=5), name="whole"), workspace).run
    train_run(TrainRequest(TrainingConfig(steps=5), name="broken"), workspace)
    (workspace.runs_dir / "broken" / "config.json").write_text("{}")
    frame = RunStore(workspace.runs_dir).to_frame().set_index("run")
    assert frame.loc["broken", "created"] == "damaged"
    assert frame.loc[run.name, "classes"] == 3


def test_a_class_that_was_added_and_a_calibration(
    fill: Any, photos: Path, workspace: Workspace
) -> None:
    fill(photos)
    config = TrainingConfig(steps=20, testing_percentage=30, validation_percentage=30)
    run = train_run(TrainRequest(config, name="known"), workspace).run
    seen = Reliability.from_predictions(run.predictions, None)
    calibrated = CalibrationSummary(
        run,
        Calibration(1.25, 4, np.zeros(4)),
        (CalibrationEffect("validation", seen, seen),),
    )
    assert "temperature 1.250" in calibrated._repr_html_()
    added = AddClassSummary(
        run, "known", "<wasp>", 7, (), NewClassFigures((1, 1, 2, 9), 12), KnownCost(10, 2, 1, 8)
    )
    page = added._repr_html_()
    for text in ("&lt;wasp&gt;, added to known", "photos: 7", "50.0%", "75.0%", "80.0%", "70.0%"):
        assert text in page, text
    unmeasured = replace(added, figures=None, cost=None)._repr_html_()
    assert "<table>" not in unmeasured and "photos: 7" in unmeasured


def test_what_is_written_says_where(tmp_path: Path) -> None:
    bundle = BundleSummary("flowers", tmp_path / "flowers.retrain", 1_500_000, "ab12", True, None)
    assert "1.5 MB; it needs nothing else" in bundle._repr_html_()
    split = SimilaritySplit(tmp_path, (), (SplitClass("ant", 12, 5),), 0.25, 0.125)
    assert "0.125" in split._repr_html_() and ">12<" in split._repr_html_()
    assert list(split.to_frame().iloc[0]) == ["ant", 12, 5]
    counts = {"wobble": 1_200, None: 3}
    signals = SignalSummary(tmp_path, Drawing(), 2, ("x", "y"), counts, counts, {"too short": 4})
    page = signals._repr_html_()
    for text in ("1,203 images", "channels: x, y", ">1,200<", "not said", "too short: 4"):
        assert text in page, text


def test_advice_says_what_it_saw_and_that_it_may_be_wrong() -> None:
    seen = Familiarity(5.5, 3.2, 0.5, 0.6, 0.81, 0.12)
    advised = AdvisedScenario(scenario_of(large=True, similar=True), ("retrain finetune",))
    advice = Advice("mini", 90, 3, 24.0, 11, 1, seen, None, (advised,), "retrain study", False)
    page = advice._repr_html_()
    for text in ("90 photos of 3 classes", "33%", "5.5 SD", "81%", "many photos", "may be wrong"):
        assert text in page, text
    unknown = replace(advice, familiarity=None, why_not=ConfigError("no classifier"))
    assert "no classifier" in unknown._repr_html_()
