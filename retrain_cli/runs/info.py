"""What a run was made of: its `config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.checks import check_types
from retrain_cli.errors import RunError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.history import StoppedBy
from retrain_cli.paths import absolute
from retrain_cli.runs.making import as_record
from retrain_cli.runs.provenance import Provenance

OWN_BACKBONE = "backbone.safetensors"
"""Weights of a backbone that is the run's own: a file of its folder, and named so in its config."""

FORMAT_VERSION = 2  # of the run folder; raised when an older reader would misread it
OLDEST_FORMAT = 1  # which is still written for heads that an older reader reads rightly


@dataclass(frozen=True)
class RunInfo:
    """What a run was made of; `config.json`.

    Attributes:
        provenance: photos, backbone, settings, and how it was made from them.
        cache: fingerprint of the bottleneck cache.
        versions: versions of what computed it, by package.
        best_step: the step that the head comes from.
        stopped_by: why training ended.
        created: local time with its offset, ISO 8601.
    """

    provenance: Provenance
    cache: str
    versions: Mapping[str, str]
    best_step: int
    stopped_by: StoppedBy
    created: str = field(
        default_factory=lambda: datetime.now().astimezone().isoformat("T", "seconds")
    )

    @property
    def training(self) -> TrainingConfig:
        """The training settings."""
        return self.provenance.training

    @property
    def backbone(self) -> BackboneSpec:
        """The backbone, settled."""
        return self.provenance.backbone

    @property
    def has_own_backbone(self) -> bool:
        """Whether the weights of the backbone are part of the run."""
        return Path(self.backbone.weights).name == OWN_BACKBONE and self.provenance.is_tuned

    def with_backbone_in(self, folder: Path) -> RunInfo:
        """The same with the place of its own backbone; itself where that is somebody else's."""
        if self.backbone.weights != OWN_BACKBONE:
            return self
        backbone = replace(self.backbone, weights=str(absolute(folder / OWN_BACKBONE)))
        return replace(self, provenance=replace(self.provenance, backbone=backbone))

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "format": OLDEST_FORMAT if self.training.is_usual_head else FORMAT_VERSION,
            "training": self.training.to_dict(),
            "backbone": self.backbone.to_dict(),
            "dataset": self.provenance.to_dict(),
            "cache": self.cache,
            "versions": dict(self.versions),
            "best_step": self.best_step,
            "stopped_by": self.stopped_by,
            "created": self.created,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunInfo:
        """The inverse of `to_dict`.

        Raises:
            RunError: written by a newer version.
            TypeError, KeyError, ValueError: something is missing or of the wrong kind.
        """
        rest = dict(as_record(values))
        version = rest.pop("format", None)
        if version not in range(OLDEST_FORMAT, FORMAT_VERSION + 1):
            raise RunError(
                f"this version reads runs of formats {OLDEST_FORMAT} and {FORMAT_VERSION}, not "
                f"{version}: "
                "update retrain, or train the run again"
            )
        training = TrainingConfig.from_dict(as_record(rest.pop("training")))
        backbone = BackboneSpec.from_dict(as_record(rest.pop("backbone")))
        info = cls(Provenance.from_dict(rest.pop("dataset"), backbone, training), **rest)
        check_types(info)
        datetime.fromisoformat(info.created)
        return info
