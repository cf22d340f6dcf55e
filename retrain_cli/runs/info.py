"""What a run was made of: its `config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from retrain_cli.errors import RunError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.history import StoppedBy

FORMAT_VERSION = 1  # of the run folder; raised when an older reader would misread it


@dataclass(frozen=True)
class RunInfo:
    """What a run was made of; `config.json`.

    Attributes:
        training: the training settings.
        backbone: the backbone's settings, as its spec writes them.
        dataset: the dataset: folder, counts, and what else it is known by.
        cache: fingerprint of the bottleneck cache.
        versions: versions of what computed it, by package.
        best_step: the step that the head comes from.
        stopped_by: why training ended.
        created: local time with its offset, ISO 8601.
    """

    training: TrainingConfig
    backbone: Mapping[str, Any]
    dataset: Mapping[str, Any]
    cache: str
    versions: Mapping[str, str]
    best_step: int
    stopped_by: StoppedBy
    created: str = field(
        default_factory=lambda: datetime.now().astimezone().isoformat("T", "seconds")
    )

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {"format": FORMAT_VERSION, **values, "training": self.training.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunInfo:
        """The inverse of `to_dict`.

        Raises:
            RunError: written by a newer version.
        """
        rest = dict(values)
        version = rest.pop("format", None)
        if version != FORMAT_VERSION:
            raise RunError(
                f"this version reads runs of format {FORMAT_VERSION}, not {version}: "
                "update retrain, or train the run again"
            )
        return cls(training=TrainingConfig.from_dict(rest.pop("training")), **rest)
