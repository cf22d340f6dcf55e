"""What all studies have in common: how often, and by which protocol."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from retrain_cli.errors import ConfigError
from retrain_cli.heads.config import TrainingConfig


@dataclass(frozen=True)
class StudySettings:
    """Repeats and training protocol.

    Attributes:
        repeats: how often each condition is trained; repeat i has the seed `training.seed + i`.
        training: the protocol of each head; the defaults are those of the paper.
    """

    repeats: int = 5
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def validate(self) -> StudySettings:
        """Return self.

        Raises:
            ConfigError: a setting cannot work.
        """
        if self.repeats < 1:
            raise ConfigError(f"--repeats must be at least 1, not {self.repeats}")
        self.training.validate()
        return self

    def config(self, repeat: int, **changes: Any) -> TrainingConfig:
        """The settings of one repeat.

        Args:
            repeat: its number, from 0.
            changes: what its condition changes of the protocol.
        """
        return replace(self.training, seed=self.training.seed + repeat, **changes)
