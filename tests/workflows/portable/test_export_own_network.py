"""A run on an ONNX file of the user's becomes an OpenVINO model, and TensorFlow is not needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import make_photos
from networks import make_onnx

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.errors import ExportError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.label import Labeller, LabelRequest
from retrain_cli.workflows.portable.export_request import ExportRequest
from retrain_cli.workflows.portable.export_run import export_run
from retrain_cli.workflows.portable.file_labeller import open_labeller
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace


def test_it_labels_as_the_run(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", {"ant": 25, "bee": 25}, size=(70, 50))
    file = make_onnx(tmp_path / "mine.onnx", metadata={"scaling": "torch"})
    workspace = Workspace(tmp_path / ".retrain")
    backbone = BackboneSpec(f"onnx:{file}", runtime="openvino")
    fill_cache(BottleneckRequest(photos, backbone), workspace)
    config = TrainingConfig(
        optimizer="adam", steps=60, hidden=(5,), testing_percentage=30, normalise="l2"
    )
    train_run(TrainRequest(config, name="base"), workspace)
    with pytest.raises(ExportError, match="choose format='openvino'"):
        export_run(ExportRequest(format="keras", output=tmp_path / "no"), workspace)

    done = export_run(ExportRequest(format="all", output=tmp_path / "out"), workspace)
    (one,) = done.files
    done.check()
    assert one.described.format == "openvino"
    source = Source(str(photos / "bee/0003.png"))
    with Labeller(LabelRequest("base"), workspace) as labeller:
        (own,) = labeller.label([source])
    with open_labeller(LabelRequest(model=one.path), workspace) as labeller:
        (theirs,) = labeller.label([source])
    assert theirs.labels[0].label == own.labels[0].label
    assert theirs.labels[0].score == pytest.approx(own.labels[0].score, abs=1e-3)
