"""A network of the user's from its file to labels; and what a run says when the file is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import make_photos
from networks import make_onnx

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.errors import WeightsError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.label import Labeller, LabelRequest
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace


def test_a_run_names_its_network_by_path_and_digest(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", {"ant": 20, "bee": 20})
    file = make_onnx(tmp_path / "mine.onnx", metadata={"scaling": "torch"})
    workspace = Workspace(tmp_path / ".retrain")
    backbone = BackboneSpec(f"onnx:{file}", runtime="openvino")
    summary = fill_cache(BottleneckRequest(photos, backbone), workspace)
    assert (summary.computed, summary.device) == (40, "cpu:0")
    assert {row.origin.origin for row in summary.classes} == {None}
    run = train_run(TrainRequest(TrainingConfig(optimizer="lbfgs", steps=20)), workspace).run

    noted = run.info.backbone
    assert noted.name == f"onnx:{file}"
    assert noted.weights.startswith("blake2b:")
    one = Source(str(photos / "bee/0003.png"))
    with Labeller(LabelRequest(), workspace) as labeller:
        (answer,) = labeller.label([one])
    assert answer.labels[0].label == "bee"

    content = file.read_bytes()
    make_onnx(file, metadata={"scaling": "tf"})
    with pytest.raises(WeightsError, match=f"{file} has [0-9a-f]{{32}} now"):
        Labeller(LabelRequest(), workspace)
    file.unlink()
    with pytest.raises(
        WeightsError, match=f"{file} \\(with BLAKE2b [0-9a-f]{{32}}\\): there is no"
    ):
        Labeller(LabelRequest(), workspace)
    file.write_bytes(content)
    assert Labeller(LabelRequest(), workspace).run.name == run.name
