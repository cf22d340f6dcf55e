"""`run_study`: trials are kept in the workspace and used again where they fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import SMALL_SPEC, make_photos

from retrain_cli.errors import ConfigError, WorkspaceError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.images.distortions import Distortion
from retrain_cli.studies.protocols.balance import BalanceStudy
from retrain_cli.studies.protocols.cost import CostStudy
from retrain_cli.studies.protocols.examples import ExamplesStudy
from retrain_cli.studies.protocols.histogram import HistogramStudy
from retrain_cli.studies.protocols.int_ext import IntExtStudy
from retrain_cli.studies.study import StudySettings
from retrain_cli.workflows.study import cost_facts, run_study
from retrain_cli.workspace import Workspace

SETTINGS = StudySettings(2, TrainingConfig(steps=40, batch_size=20, eval_every=20))


@pytest.fixture
def progress() -> Any:
    seen: list[Any] = []

    def last() -> Any:
        return seen[-1]

    last.listen = seen.append  # type: ignore[attr-defined]
    return last


def run(study: Any, workspace: Workspace, progress: Any, settings: Any = SETTINGS) -> Any:
    return run_study(study, workspace, settings, on_progress=progress.listen)


def test_a_second_run_trains_nothing_and_says_the_same(
    photos: Path, fill: Any, workspace: Workspace, progress: Any
) -> None:
    fill(photos)
    first = run(ExamplesStudy((3,)), workspace, progress)
    assert (progress().done, progress().kept) == (4, 0)
    second = run(ExamplesStudy((3,)), workspace, progress)
    assert (progress().done, progress().total, progress().kept) == (0, 0, 4)
    assert first.to_dict() == second.to_dict()


def test_more_repeats_and_sizes_go_on_from_what_there_is(
    photos: Path, fill: Any, workspace: Workspace, progress: Any
) -> None:
    fill(photos)
    run(ExamplesStudy((3,)), workspace, progress)
    run(ExamplesStudy((3, 5)), workspace, progress, replace(SETTINGS, repeats=3))
    assert (progress().done, progress().kept) == (5, 4)


def test_studies_of_a_family_share_their_trials(
    photos: Path, fill: Any, workspace: Workspace, progress: Any
) -> None:
    fill(photos)
    run(ExamplesStudy((3,)), workspace, progress)
    run(HistogramStudy((3,)), workspace, progress)
    assert progress().done == 0
    assert progress().kept == 4


def test_views_are_trained_on_as_they_were_computed_last(
    photos: Path, fill: Any, workspace: Workspace, progress: Any
) -> None:
    settings = StudySettings(1, TrainingConfig(optimizer="lbfgs", steps=5))
    fill(photos, views=2)
    first = run(BalanceStudy(3), workspace, progress, settings)
    assert {"views", "prior + views"} <= {row[0] for row in first.tables[0].rows}
    fill(photos, views=2, distortion=Distortion(rotate=90))
    run(BalanceStudy(3), workspace, progress, settings)
    assert progress().kept == 0


@pytest.mark.parametrize(
    "changes", [{"steps": 41}, {"learning_rate": 0.02}, {"testing_percentage": 20.0}]
)
def test_another_protocol_is_another_folder(
    photos: Path, fill: Any, workspace: Workspace, progress: Any, changes: Any
) -> None:
    fill(photos)
    run(ExamplesStudy((3,)), workspace, progress)
    training = replace(SETTINGS.training, **changes)
    run(ExamplesStudy((3,)), workspace, progress, replace(SETTINGS, training=training))
    assert progress().kept == 0
    assert len(list(workspace.studies_dir.iterdir())) == 2


def test_other_photos_and_another_backbone_are_too(
    photos: Path, fill: Any, workspace: Workspace, progress: Any
) -> None:
    fill(photos)
    run(ExamplesStudy((3,)), workspace, progress)
    make_photos(photos, {"wasp": 6}, seed=9)
    fill(photos)
    run(ExamplesStudy((3,)), workspace, progress)
    assert progress().kept == 0
    fill(photos, backbone=replace(SMALL_SPEC, pooling="max"))
    run(ExamplesStudy((3,)), workspace, progress)
    assert progress().kept == 0


def test_int_and_ext_as_the_names_say(
    photos: Path, fill: Any, workspace: Workspace, progress: Any
) -> None:
    """Ant, bee and teapot are INT; the others are not."""
    make_photos(photos, {"blob": 8, "gizmo": 8}, seed=3)
    fill(photos, source_classes="imagenet")
    result = run(IntExtStudy(mixes=3), workspace, progress)
    assert [row[1:3] for row in result.tables[0].rows] == [(0, 2), (1, 1), (2, 0)]


def test_an_interruption_loses_no_finished_trial(
    photos: Path, fill: Any, workspace: Workspace, progress: Any
) -> None:
    fill(photos)

    def interrupt(step: Any) -> None:
        if step.done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(ExamplesStudy((3,)), workspace, SETTINGS, workers=1, on_progress=interrupt)
    result = run(ExamplesStudy((3,)), workspace, progress)
    assert progress().kept >= 1
    assert progress().done + progress().kept == 4
    assert result.tables[0].rows[0][2].n == 2


def test_the_number_of_workers_changes_no_figure(
    photos: Path, fill: Any, workspace: Workspace, tmp_path: Path
) -> None:
    from retrain_cli.workspace import Workspace

    fill(photos)
    one = run_study(ExamplesStudy((3,)), workspace, SETTINGS, workers=1).to_dict()
    other = Workspace(tmp_path / "copy")
    workspace.root.rename(other.root)
    for folder in other.studies_dir.iterdir():
        (folder / "trials.jsonl").unlink()
    assert run_study(ExamplesStudy((3,)), other, SETTINGS, workers=3).to_dict() == one


def test_facts_for_the_cost(photos: Path, fill: Any, workspace: Workspace, progress: Any) -> None:
    fill(photos)
    facts = cost_facts(workspace)
    assert facts.images == 36
    assert facts.cache_bytes > 0
    assert facts.parameters is None  # random weights have no file
    result = run(CostStudy(facts), workspace, progress)
    assert result.figures["retraining"]["training"] > 0


def test_without_bottlenecks_or_repeats(photos: Path, fill: Any, workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError, match="run `retrain bottlenecks IMAGE_DIR` first"):
        run_study(ExamplesStudy(), workspace)
    fill(photos)
    with pytest.raises(ConfigError, match="repeats must be at least 1"):
        run_study(ExamplesStudy(), workspace, StudySettings(0))
