"""A trial: one training of a study, known by what it trains and kept as soon as it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.history import ProgressListener
from retrain_cli.heads.training import TRAINING_RULES


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
        condition: what the study varies, in words; trials of one condition are its repeats.
        repeat: number of the repeat, from 0.
        config: the settings of the head; classes, examples and seed are among them.
    """

    condition: str
    repeat: int
    config: TrainingConfig

    @property
    def key(self) -> str:
        """Equal exactly for equal trials, in this process and in any other."""
        content = [self.condition, self.repeat, self.config.to_dict(), TRAINING_RULES]
        return digest_of(content)


@dataclass(frozen=True)
class TrialRecord:
    """A finished trial.

    Attributes:
        key: key of the trial.
        condition: as of the trial.
        repeat: as of the trial.
        config: the settings, as JSON values.
        seconds: how long it took.
        outcome: what was measured, as JSON values; the study that made it reads it.
    """

    key: str
    condition: str
    repeat: int
    config: Mapping[str, Any]
    seconds: float
    outcome: Mapping[str, Any]

    @classmethod
    def of(cls, trial: Trial, seconds: float, outcome: Mapping[str, Any]) -> TrialRecord:
        """The record of a trial that was just done."""
        config = trial.config.to_dict()
        return cls(trial.key, trial.condition, trial.repeat, config, seconds, outcome)


@dataclass(frozen=True)
class TrialContext:
    """What a trial needs of its surroundings.

    Attributes:
        on_progress: to be handed to `train_head`; it ends the trial when the study is interrupted.
        memory_limit: to be handed to `train_head`, for other trials run at the same time.
    """

    on_progress: ProgressListener
    memory_limit: int | None = None


def digest_of(content: Any) -> str:
    """16 hexadecimal digits of some JSON values, the same on every machine."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
