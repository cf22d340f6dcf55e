"""`study source-target` on a workspace: photos are found, trials are kept, a backbone is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import SMALL_SPEC, make_photos

from retrain_cli.errors import BackboneError
from retrain_cli.finetuning.parts import Parts
from retrain_cli.studies.protocols.source_target import SourceTargetStudy
from retrain_cli.studies.source_target.tuned_backbone import TRAINED
from retrain_cli.studies.study import NetworkStudySettings
from retrain_cli.workflows.study import make_study, run_study
from retrain_cli.workspace import Workspace

ONCE = NetworkStudySettings(1)
CHEAP = {"combinations": 0, "epochs": 1, "batch_size": 16}


@pytest.fixture
def folder(tmp_path: Path, fill: Any) -> Path:
    root = make_photos(tmp_path / "photos", {"ant": 12, "bee": 12, "cat": 12})
    fill(root)
    return root


def test_trials_are_kept_and_not_done_again(folder: Path, workspace: Workspace) -> None:
    seen: list[Any] = []

    def study() -> Any:
        return make_study(SourceTargetStudy, workspace, classes=("ant", "bee"), **CHEAP)

    first = run_study(study(), workspace, ONCE, on_progress=seen.append)
    assert (seen[-1].done, seen[-1].kept) == (3, 0)
    again = run_study(study(), workspace, ONCE, on_progress=seen.append)
    assert (seen[-1].total, seen[-1].kept) == (0, 3)
    assert first.to_dict() == again.to_dict()
    assert first.headline.startswith("2 classes, ")
    other: Any = make_study(SourceTargetStudy, workspace, **CHEAP)  # all classes: other trials
    other.trials(*_data_of(workspace))
    assert len(other.plan(*_data_of(workspace)).trees) == 3


def _data_of(workspace: Workspace) -> Any:
    from retrain_cli.workflows.study import load_study_data

    return load_study_data(workspace, ONCE)[0], ONCE


def test_a_backbone_by_its_name(
    folder: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Any] = []

    def build(spec: Any, config: Any, device: str = "auto") -> Any:
        built.append((spec.name, spec.weights, config.trainable))
        raise BackboneError("seen enough")

    monkeypatch.setattr(Parts, "build", build)
    study = make_study(SourceTargetStudy, workspace, network=SMALL_SPEC.name, **CHEAP)
    assert study.protocol()["trained"] == TRAINED
    paper = make_study(SourceTargetStudy, workspace, **CHEAP)
    assert paper.protocol() != study.protocol()
    with pytest.raises(BackboneError, match="seen enough"):
        run_study(study, workspace, ONCE)
    assert set(built) == {(SMALL_SPEC.name, "random", TRAINED)}


@pytest.mark.parametrize("name", ["no_such", "", "onnx:a.onnx", "timm:vit", "inception_mini"])
def test_a_backbone_that_cannot_be_cut_is_told(
    folder: Path, workspace: Workspace, name: str
) -> None:
    with pytest.raises(BackboneError, match="network takes paper"):
        make_study(SourceTargetStudy, workspace, network=name)
