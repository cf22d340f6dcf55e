"""`study freeze` on a workspace: real photos and a real small network; trials are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import SMALL_SPEC, make_photos

from retrain_cli.errors import BackboneError, ConfigError, RunError
from retrain_cli.studies.protocols.freeze import FreezeStudy, FreezeStudySettings
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.study import make_study, run_study
from retrain_cli.workspace import Workspace

ONCE = FreezeStudySettings(1)
CHEAP = {
    "trainable": ("last-block",),
    "starts": ("random",),
    "baselines": ("majority",),
    "epochs": 1,
}


@pytest.fixture
def folder(tmp_path: Path, fill: Any) -> Path:
    root = make_photos(tmp_path / "photos", {"ant": 12, "bee": 12})
    fill(root)
    return root


def test_trials_are_kept_and_not_done_again(folder: Path, workspace: Workspace) -> None:
    seen: list[Any] = []

    def study(**more: Any) -> Any:
        return make_study(FreezeStudy, workspace, **(CHEAP | more))

    first = run_study(study(), workspace, ONCE, on_progress=seen.append)
    assert (seen[-1].done, seen[-1].kept) == (2, 0)
    assert [row[:2] for row in first.tables[0].rows] == [
        ("majority class", "nothing"),
        ("last-block", "random"),
    ]
    again = run_study(study(), workspace, ONCE, on_progress=seen.append)
    assert (seen[-1].total, seen[-1].kept) == (0, 2)
    assert first.to_dict() == again.to_dict()
    more = study(baselines=("majority", "nearest"), starts=())
    run_study(more, workspace, ONCE, on_progress=seen.append)
    assert (seen[-1].total, seen[-1].kept) == (1, 1)


def test_a_fifth_of_the_photos_each_unless_something_else_is_said(
    folder: Path, workspace: Workspace
) -> None:
    study = make_study(FreezeStudy, workspace, **(CHEAP | {"starts": ()}))
    seen: list[Any] = []
    usual = run_study(study, workspace, on_progress=seen.append)
    assert seen[-1].total == 3  # repeats
    tested, trained = usual.headline.split()[5], usual.tables[0].rows[0][-1]
    span = [24 - int(one) for one in tested.split("-")]
    assert trained == "-".join(map(str, sorted(span)))


def test_starts_that_there_are_not(folder: Path, workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="takes pretrained and random; received insects"):
        make_study(FreezeStudy, workspace, starts=("insects",))
    with pytest.raises(RunError, match="insects"):
        make_study(FreezeStudy, workspace, init_from="insects")


def test_a_backbone_that_cannot_be_cut(
    folder: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = LastUsed.load(workspace)
    for spec, said in (
        (replace(SMALL_SPEC, name="onnx:net.onnx"), "an ONNX file"),
        (replace(SMALL_SPEC, layer="conv_pw_2_relu,conv_pw_3_relu"), "2 side by side"),
    ):
        other = replace(used, backbone=spec)
        monkeypatch.setattr(LastUsed, "load", lambda place, other=other: other)
        with pytest.raises(BackboneError, match=said):
            make_study(FreezeStudy, workspace)
