"""`advise` on real photos: flowers are like ImageNet's, drawings less, cells not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers import PROJECT

from retrain_cli.backbones.loader import load_backbone
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.similarity.familiarity import Familiarity
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.transfer.advise import AdviceRequest, advise
from retrain_cli.workspace import Workspace

LITE0 = BackboneSpec("efficientnet_lite0", precision="float32", runtime="keras")


@pytest.mark.real
def test_similarity_orders_real_sets(test_data: Path, tmp_path: Path) -> None:
    sets = {
        "flowers": (test_data / "data" / "flowers", 2),
        "samples": (PROJECT / "sample_images", 2),
        "blood cells": (test_data / "data" / "blood_cells", 4),
    }
    seen: dict[str, Familiarity] = {}
    backbone = load_backbone(LITE0.resolve(), "cpu")  # once for all sets
    for name, (source, count) in sets.items():
        for folder in sorted(path for path in source.iterdir() if path.is_dir()):
            (tmp_path / name / folder.name).mkdir(parents=True)
            for photo in sorted(folder.iterdir())[:count]:
                shutil.copy(photo, tmp_path / name / folder.name)
        workspace = Workspace(tmp_path / f"{name} workspace")
        fill_cache(BottleneckRequest(tmp_path / name, LITE0), workspace, load=lambda *_: backbone)
        found = advise(AdviceRequest(), workspace).familiarity
        assert found is not None
        seen[name] = found
    order = sorted(seen, key=lambda name: -seen[name].prominence)
    assert order == ["flowers", "samples", "blood cells"]
    assert [seen[name].is_near for name in order] == [True, True, False]
    assert seen["flowers"].distance < seen["blood cells"].distance
