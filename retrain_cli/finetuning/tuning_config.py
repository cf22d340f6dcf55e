"""How a backbone is fine-tuned: where the settings, their defaults and limits stand."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from retrain_cli.checks import (
    check_choices,
    check_least,
    check_positive,
    check_share,
    check_types,
    check_views,
)
from retrain_cli.errors import ConfigError, setting
from retrain_cli.images.distortions import USUAL, Distortion

TuningOptimizer = Literal["adamw", "adam", "sgd", "rmsprop"]
Activations = Literal["float16", "uint8"]
BatchNorm = Literal["frozen", "train"]
RateSchedule = Literal["cosine", "constant"]

DEFAULT_TRAINABLE = "last:3"
FEW_A_CLASS = 20
RATE, RATE_OF_FEW, RATE_OF_SGD = 1e-3, 1e-4, 5e-3
"""Peaks of the learning rate: usual, with fewer photos a class than that, and of plain SGD with
momentum, whose steps are not scaled by the gradient's size."""

_ADAMW_DECAY = 0.004


@dataclass(frozen=True)
class TuningConfig:
    """The settings of one fine-tuning, beside those of the head that it starts from.

    Attributes:
        trainable: which layers are trained: last-block, last:N, from:LAYER (what follows it), all,
            first-block, first+last, or a pattern of layer names such as "block_1?_*".
        epochs: how often each training photo is seen.
        learning_rate: the peak of the learning rate; None for what the number of photos suggests.
        optimizer: name of the optimiser.
        batch_size: photos in a step.
        warm_up: share of the steps in which the rate climbs to its peak, 0 to 1.
        schedule: how the rate goes from there: down to zero as half a cosine, or on as it is.
        l2: weight decay of kernels: with adamw as that does it, else `l2 / 2 * sum(w ** 2)` in the
            loss; None for 0.004 with adamw and none else.
        l2_sp: the same of the distance to the weights that training starts from (Li, Grandvalet
            and Davoine 2018, https://arxiv.org/abs/1802.01483).
        dropout: share of the bottleneck's numbers left out in a step, before the softmax.
        batch_norm: frozen layers of batch normalisation keep statistics, scale and offset.
        sampling: balanced takes as many photos of each class; shuffled takes all once an epoch.
        patience: stop after so many epochs without improvement on validation; None for never.
        activations: how activations are kept: 16 bits each, or 8 with a scale a channel.
        stream: decode the photos anew in each epoch, and keep no activations.
        views: how many distorted views of each training photo there are beside it; each time a
            photo's turn comes, one of them or the photo itself is drawn, each as likely.
        distortion: how views differ from the photo; where nothing is said, as `distortions.USUAL`.
        seed: seed of everything random.
    """

    trainable: str = DEFAULT_TRAINABLE
    epochs: int = 10
    learning_rate: float | None = None
    optimizer: TuningOptimizer = "adamw"
    batch_size: int = 32
    warm_up: float = 0.1
    schedule: RateSchedule = "cosine"
    l2: float | None = None
    l2_sp: float = 0.0
    dropout: float = 0.0
    batch_norm: BatchNorm = "frozen"
    sampling: Literal["balanced", "shuffled"] = "shuffled"
    patience: int | None = None
    activations: Activations = "float16"
    stream: bool = False
    views: int = 0
    distortion: Distortion = field(default_factory=Distortion)
    seed: int = 0

    def __post_init__(self) -> None:
        self.validate()
        if self.views and self.distortion.is_none:
            object.__setattr__(self, "distortion", USUAL)  # what is kept says what was done

    @property
    def weight_decay(self) -> float:
        """The weight decay that is meant."""
        if self.l2 is not None:
            return self.l2
        return _ADAMW_DECAY if self.optimizer == "adamw" else 0.0

    def rate_for(self, photos: int, classes: int) -> float:
        """The peak of the learning rate for so many training photos."""
        if self.learning_rate is not None:
            return self.learning_rate
        if self.optimizer == "sgd":
            return RATE_OF_SGD
        return RATE if photos >= FEW_A_CLASS * classes else RATE_OF_FEW

    def validate(self) -> TuningConfig:
        """Return self.

        Raises:
            ConfigError: a setting cannot work; the first that is found.
        """
        check_choices(self)
        check_least(self, 1, "epochs", "batch_size", "patience")
        check_least(self, 0, "seed")
        check_views(self)
        if not self.views and not self.distortion.is_none:
            raise ConfigError(
                f"photos are distorted in views of them, and {setting('views')} is 0: add "
                f"{setting('views', 4)}, or leave out how"
            )
        if self.learning_rate is not None:
            check_positive(self, "learning_rate")
        check_positive(self, "l2_sp", with_0=True)
        check_share(self, "warm_up", with_0=True)
        check_share(self, "dropout", with_0=True)
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ConfigError(f"{setting('l2')} must be a number of at least 0, not {self.l2}")
        if not self.trainable.strip():
            raise ConfigError(
                f"{setting('trainable')} names what is trained, and is empty: "
                f"{setting('trainable', DEFAULT_TRAINABLE)} is usual"
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return {**dataclasses.asdict(self), "distortion": str(self.distortion)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TuningConfig:
        """The inverse of `to_dict`; settings that are missing take their default.

        Raises:
            ConfigError: a setting that does not exist, or a value that cannot work.
        """
        try:
            distortion = Distortion.parse(str(values.get("distortion", "")))
            config = cls(**{**values, "distortion": distortion})
            check_types(config)
        except TypeError as error:
            raise ConfigError(f"a setting of fine-tuning cannot be read ({error})") from error
        return config
