"""A workspace with a run on a real, tiny network, for tests that export it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers import make_photos

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.portable.export_request import ExportRequest
from retrain_cli.workflows.portable.export_run import export_run
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

TINY = BackboneSpec(
    "mobilenet",
    0.25,
    layer="conv_pw_1_relu,conv_pw_2_relu",  # the first few, so that converters have little to do
    weights="random",
    input_size=32,
    precision="float32",
    runtime="keras",
)


class ExportLab:
    """A workspace with a run on a real, tiny network."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.photos = make_photos(root / "photos", {"ant": 25, "bee": 25}, size=(70, 50))
        self.workspace = Workspace(root / "workspace")
        settings = ExtractionSettings(batch_size=32, workers=1)
        fill_cache(BottleneckRequest(self.photos, TINY, settings=settings), self.workspace)
        training = TrainingConfig(optimizer="adam", steps=60, testing_percentage=30, hidden=(6,))
        train_run(TrainRequest(training, name="base"), self.workspace)

    @property
    def run(self) -> Any:
        return RunStore(self.workspace.runs_dir).get("base")

    def export(self, name: str, **options: Any) -> Any:
        request = ExportRequest(output=self.root / name, **{"check_photos": 4, **options})
        return export_run(request, self.workspace)
