"""How a head is trained: the one place where the settings, their defaults and limits stand."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from retrain_cli.checks import check_choices, check_least, check_positive, check_types
from retrain_cli.errors import ConfigError, setting

Optimizer = Literal["adam", "sgd", "rmsprop", "adamax", "nadam", "adamw", "lbfgs", "ridge", "auto"]
Sampling = Literal["balanced", "shuffled"]

OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
SAMPLINGS: tuple[Sampling, ...] = get_args(Sampling)
CLOSED: frozenset[Optimizer] = frozenset(("ridge", "auto"))
"""Those that begin anew, whatever head there is, and look at no validation images of their own."""
OPTIMIZERS_WITH_EPSILON: frozenset[Optimizer] = frozenset(
    ("adam", "rmsprop", "adamax", "nadam", "adamw")
)
LBFGS_L2 = 1e-4  # without any, nothing holds back the weights of classes that are told apart
MOST_BATCH = 100_000  # a step of 2048 wide bottlenecks then takes 1 GB


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of one training; the defaults are those of the study.

    Attributes:
        steps: optimiser steps, one batch each; for lbfgs the most iterations.
        optimizer: name of the optimiser; lbfgs works on the full batch, to convergence; ridge is a
            ridge regression in closed form; auto takes adam, lbfgs or ridge, whichever has the
            lowest log loss in a cross-validation.
        learning_rate: step size; lbfgs has none.
        epsilon: the optimiser's epsilon; ignored by those without one (sgd, lbfgs).
        batch_size: images in a step; lbfgs always takes all.
        testing_percentage: share of the images, in percent, kept for the test split.
        validation_percentage: share of the images, in percent, kept for the validation split.
        sampling: balanced picks a class first, then one of its images; shuffled goes through all.
        l2: weight decay; `l2 / 2 * sum(weights ** 2)` is added to the mean loss, biases left out.
            None for what the optimiser usually has (see `weight_decay`).
        examples_per_class: train on at most this many images of each class; None for all.
        classes: train on these classes only; None for all.
        seed: seed of everything random.
        eval_every: steps between two evaluations; lbfgs evaluates each iteration.
        patience: stop after this many evaluations without improvement; None for never.
    """

    steps: int = 10_000
    optimizer: Optimizer = "adam"
    learning_rate: float = 0.01
    epsilon: float = 0.1
    batch_size: int = 100
    testing_percentage: float = 10.0
    validation_percentage: float = 10.0
    sampling: Sampling = "balanced"
    l2: float | None = None
    examples_per_class: int | None = None
    classes: tuple[str, ...] | None = None
    seed: int = 0
    eval_every: int = 100
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.l2 == _usual_l2(self.optimizer):  # said or not, it is the same training
            object.__setattr__(self, "l2", None)

    @property
    def weight_decay(self) -> float:
        """The weight decay that is meant: `l2`, else 0.0001 for lbfgs and none for the others.

        ridge and auto choose one where `l2` is None.
        """
        return _usual_l2(self.optimizer) if self.l2 is None else self.l2

    @property
    def needs_engine(self) -> bool:
        """Whether several at a time take Keras, whose import takes seconds; not lbfgs and ridge.

        Alone, a small head by Adam does without, too: see `heads.numpy_softmax`.
        """
        return self.optimizer not in ("lbfgs", "ridge")

    @property
    def chooses(self) -> bool:
        """Whether the best of the heads on the way is kept.

        lbfgs goes to the one minimum of its loss, and l2 is what keeps that from fitting too
        closely. Only who stops it early, by patience, wants the best so far.
        """
        return self.optimizer != "lbfgs" or self.patience is not None

    def validate(self) -> TrainingConfig:
        """Return self.

        Raises:
            ConfigError: a setting, or two together, cannot work; the first that is found.
        """
        check_choices(self)
        check_least(self, 1, "steps", "batch_size", "eval_every", "examples_per_class", "patience")
        check_least(self, 0, "seed")
        if self.batch_size > MOST_BATCH:
            raise ConfigError(
                f"{setting('batch_size')} must be at most {MOST_BATCH}, not {self.batch_size}: "
                f"{setting('optimizer', 'lbfgs')} takes all images at once"
            )
        check_positive(self, "learning_rate", "epsilon")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ConfigError(f"{setting('l2')} must be a number of at least 0, not {self.l2}")
        self._check_percentages()
        if self.classes is not None and len(set(self.classes)) < 2:
            raise ConfigError(
                f"{setting('classes')} needs at least two different classes, "
                f"not {len(set(self.classes))}"
            )
        return self

    def _check_percentages(self) -> None:
        fields = ("testing_percentage", "validation_percentage")
        values = [getattr(self, field) for field in fields]
        for field, value in zip(fields, values, strict=True):
            if not 0 <= value < 100:
                raise ConfigError(
                    f"{setting(field)} must be at least 0 and below 100, not {value:g}"
                )
        if sum(values) >= 100:
            raise ConfigError(
                f"{' and '.join(map(setting, fields))} must leave images to train on, "
                f"but add up to {sum(values):g}: lower one of them"
            )

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        values = dataclasses.asdict(self)
        values["classes"] = None if self.classes is None else list(self.classes)
        values["l2"] = self.weight_decay
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """The inverse of `to_dict`; settings that are missing take their default.

        Raises:
            ConfigError: a setting that does not exist, or a value that cannot work.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        for name in values:
            if name not in known:
                raise ConfigError(f"no such training setting: {name!r}{_close(name, known)}")
        given = dict(values)
        if isinstance(given.get("classes"), list):
            given["classes"] = tuple(given["classes"])
        try:
            config = cls(**given)
            check_types(config)
            return config.validate()
        except TypeError as error:
            raise ConfigError(f"a training setting is of the wrong kind ({error})") from error


def _usual_l2(optimizer: str) -> float:
    return LBFGS_L2 if optimizer == "lbfgs" else 0.0


def _close(name: str, known: set[str]) -> str:
    matches = difflib.get_close_matches(name, sorted(known), n=1)
    return f", did you mean {matches[0]!r}?" if matches else ""
