"""`check` on real photos with planted faults; docs/check.md has the figures of whole datasets."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from measure_check import plant_and_check

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.workflows.bottlenecks import BottleneckRequest
from retrain_cli.workspace import Workspace

CLASSES = (
    "ant",
    "barrel",
    "dalmatian",
    "grand_piano",
    "pizza",
    "saxophone",
    "sunflower",
    "yin_yang",
)


@pytest.mark.real
def test_planted_faults_are_found(test_data: Path, tmp_path: Path) -> None:
    """5% wrong labels and 24 versions of photos of real photos."""
    for name in CLASSES:
        source = test_data / "data" / "caltech101" / name
        shutil.copytree(source, tmp_path / "photos" / name, copy_function=shutil.copyfile)
    request = BottleneckRequest(tmp_path / "photos", BackboneSpec(name="efficientnet_lite0"))
    workspace = Workspace(tmp_path / "workspace")
    labels, suggested, duplicates = plant_and_check(request, workspace, 24)
    assert labels.planted > 20
    assert labels.recall > 0.6, labels
    assert labels.precision > 0.8, labels
    assert suggested > 0.7
    assert duplicates.recall > 0.9, duplicates
    assert duplicates.precision > 0.7, duplicates
