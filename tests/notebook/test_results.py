"""Each result shows itself in a notebook, and its tables are data frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from retrain_cli.errors import ConfigError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.run import RunStore
from retrain_cli.studies.means import Mean
from retrain_cli.studies.study import StudyResult, StudyTable
from retrain_cli.workflows.check import CheckRequest, check_dataset
from retrain_cli.workflows.compare import compare_runs
from retrain_cli.workflows.train import TrainRequest, train_run
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
