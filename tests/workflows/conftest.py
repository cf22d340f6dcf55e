"""Workflows with the fake backbone: everything is real but the network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import SMALL_SPEC, FakeBackbone

from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def fill(workspace: Workspace, fake_backbone: FakeBackbone) -> Any:
    """Fill the cache of the workspace with the fake backbone's vectors."""

    def fill(image_dir: Path, **changes: Any) -> Any:
        settings = ExtractionSettings(batch_size=8, workers=2)
        told = {name: changes.pop(name) for name in [*changes] if name.startswith("on_")}
        request = replace(BottleneckRequest(image_dir, SMALL_SPEC, settings=settings), **changes)
        return fill_cache(request, workspace, load=lambda spec, device: fake_backbone, **told)

    return fill
