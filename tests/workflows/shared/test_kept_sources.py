"""`train --keep-source-classes` with the real MobileNetV2: its classes and new ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.datasets.source_classes import SourceClass
from retrain_cli.errors import ConfigError, DatasetError, WeightsError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.add_class import AddClassRequest, add_class
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.evaluate import EvalRequest, evaluate
from retrain_cli.workflows.label import Labeller, LabelRequest
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workflows.shared.kept_sources import source_origins
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

CONFIG = TrainingConfig(steps=300, validation_percentage=25, testing_percentage=25)
NAMES = ("dalmatian", "panda", "brain", "yin_yang", "sunflower")


def test_names_that_two_classes_share_tell_their_ids() -> None:
    classes = [
        SourceClass(0, "n1", ("crane",)),
        SourceClass(1, "n2", ("crane",)),
        SourceClass(2, "n3", ("Lobster",)),
        SourceClass(3, "n4", ("starfish", "sea star")),
    ]
    found = source_origins(classes, ["lobster", "ant"])
    assert [one.class_name for one in found] == [
        "crane (n1)",
        "crane (n2)",
        "Lobster (n3)",
        "starfish",
    ]
    assert {one.origin for one in found} == {"INT"}


def test_the_classes_of_the_backbone_must_be_known(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos)
    with pytest.raises(DatasetError, match="source classes are not known"):
        train_run(TrainRequest(CONFIG, keep_source_classes=True), workspace)


@pytest.mark.real
def test_one_head_for_both(test_data: Path, tmp_path: Path, workspace: Workspace) -> None:
    caltech = test_data / "data" / "caltech101"
    for name in NAMES:
        (tmp_path / "photos" / name).mkdir(parents=True)
        for photo in sorted((caltech / name).iterdir())[:16]:
            (tmp_path / "photos" / name / photo.name).symlink_to(photo)
    weights = test_data / "weights" / "mobilenet_v2_1.0_224_notop.weights.h5"
    spec = BackboneSpec("mobilenet_v2", weights=str(weights), runtime="keras")
    fill_cache(BottleneckRequest(tmp_path / "photos", spec), workspace)
    with pytest.raises(WeightsError, match="with its top as top='FILE'"):
        train_run(TrainRequest(CONFIG, keep_source_classes=True), workspace)

    top = test_data / "weights" / "mobilenet_v2_1.0_224.weights.h5"
    run = train_run(TrainRequest(CONFIG, "both", keep_source_classes=True, top=top), workspace).run
    assert len(run.labels) == 5 + 1000 - 3  # panda stands for two source classes
    assert run.labels[:5] == tuple(sorted(NAMES))
    assert len(set(run.labels)) == len(run.labels)
    report = run.info.provenance.joined
    assert report is not None
    assert (report.classes_kept, report.classes_merged) == (997, 3)
    assert report.own_top1_after is not None
    assert report.own_top1_after.value > 0.7
    assert report.source_top1_after is not None
    assert report.source_top1_after.value > 0.5
    assert RunStore(workspace.runs_dir).get("both").info == run.info

    result = evaluate(EvalRequest(run="both", ks=(1, 5)), workspace).result
    assert result.top1.overall.value == run.metrics["test"]["top1"]
    assert result.n_empty_classes == 997
    new = [caltech / "grand_piano" / "image_0001.jpg", caltech / "brain" / "image_0030.jpg"]
    labeller = Labeller(LabelRequest(run="both"), workspace)
    answers = [one.labels[0].label for one in labeller.label(Source(str(path)) for path in new)]
    assert answers == ["grand piano", "brain"]

    some = tuple(sorted((caltech / "windsor_chair").iterdir())[:5])
    grown = add_class(AddClassRequest("windsor_chair", some, run="both"), workspace)
    assert len(grown.run.labels) == 1003
    assert grown.figures.top(5).value > 0.5
    with pytest.raises(ConfigError, match="keeps source classes"):
        add_class(AddClassRequest("chair", some, run="both", retrain=True), workspace)
