"""How a head is trained: the one place where the settings, their defaults and limits stand."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from retrain_cli.checks import (
    check_choices,
    check_least,
    check_positive,
    check_share,
    check_types,
    check_views,
)
from retrain_cli.errors import ConfigError, setting
from retrain_cli.heads.balancing.class_prior import Prior
from retrain_cli.heads.layered.activations import Activation

Optimizer = Literal["adam", "sgd", "rmsprop", "adamax", "nadam", "adamw", "lbfgs", "ridge", "auto"]
Sampling = Literal["balanced", "shuffled", "blocks"]
Balance = Literal["none", "sampling", "weights", "oversample", "smote", "views", "prior"]
HeadKind = Literal["softmax", "cosine"]
Normalise = Literal["none", "l2", "standardise"]

OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
SAMPLINGS: tuple[Sampling, ...] = get_args(Sampling)
BALANCES: tuple[Balance, ...] = get_args(Balance)
ADDING: frozenset[Balance] = frozenset(("oversample", "smote", "views"))
"""Those that add images to small classes."""
CLOSED: frozenset[Optimizer] = frozenset(("ridge", "auto"))
"""Those that begin anew, whatever head there is, and look at no validation images of their own."""
AT_ONCE: frozenset[Optimizer] = CLOSED | {"lbfgs"}
"""Those that make one softmax layer, from all images at once."""
OPTIMIZERS_WITH_EPSILON: frozenset[Optimizer] = frozenset(
    ("adam", "rmsprop", "adamax", "nadam", "adamw")
)
LBFGS_L2 = 1e-4  # without any, nothing holds back the weights of classes that are told apart
MOST_UNITS, MOST_LAYERS = 16_384, 8  # 2048 wide bottlenecks then take 134 MB of weights
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
        sampling: balanced picks a class first, then one of its images; shuffled goes through all;
            blocks does, too, in random order of blocks of neighbours, for bottlenecks on a disk.
        l2: weight decay; `l2 / 2 * sum(weights ** 2)` is added to the mean loss, biases left out.
            None for what the optimiser usually has (see `weight_decay`).
        examples_per_class: train on at most this many images of each class; None for all.
        classes: train on these classes only; None for all.
        seed: seed of everything random.
        eval_every: steps between two evaluations; lbfgs evaluates each iteration.
        patience: stop after this many evaluations without improvement; None for never.
        head: softmax, or cosine: the scores are cosines between an image and the classes, times a
            scale that is learned.
        hidden: units of each hidden layer in front of the last one; () for none.
        activation: what follows each hidden layer; gelu in its tanh form.
        dropout: share of what goes into the last layer, and of what each hidden layer says, that a
            training step leaves out; the rest is raised to make up for it.
        normalise: l2 divides each bottleneck by its length, standardise gives each of its numbers
            mean 0 and deviation 1 on the training images.
        views: train on this many distorted views of each image, too; None for all that the last
            `bottlenecks` were asked for, and for none with ridge and auto, which judge by leaving
            out single images.
        balance: what is done about classes of unequal size (docs/balance.md). None for what
            `sampling` says: none where it is shuffled, sampling where it is balanced; to say one of
            these two is to say that. With all others batches are shuffled, or in blocks.
        prior: with balance prior: uniform takes the logarithm of each class's share of training off
            its scores, natural keeps them and lets `label` do so.
        tau: with balance prior: how much of the prior counts.
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
    head: HeadKind = "softmax"
    hidden: tuple[int, ...] = ()
    activation: Activation = "relu"
    dropout: float = 0.0
    normalise: Normalise = "none"
    views: int | None = None
    balance: Balance | None = None
    prior: Prior = "uniform"
    tau: float = 1.0

    def __post_init__(self) -> None:
        self._settle_balance()
        if self.l2 == _usual_l2(self.optimizer):  # said or not, it is the same training
            object.__setattr__(self, "l2", None)

    def _settle_balance(self) -> None:
        """Say each way to balance in one way, so that equal trainings are equal settings."""
        if self.balance is None:
            return
        through_all: Sampling = "blocks" if self.sampling == "blocks" else "shuffled"
        sampling: Sampling = "balanced" if self.balance == "sampling" else through_all
        object.__setattr__(self, "sampling", sampling)
        if self.balance in ("none", "sampling"):
            object.__setattr__(self, "balance", None)

    @property
    def balancing(self) -> Balance:
        """What is done about classes of unequal size."""
        if self.balance is not None:
            return self.balance
        return "sampling" if self.sampling == "balanced" else "none"

    @property
    def learns_natural(self) -> bool:
        """Whether what is trained learns the classes' shares of training."""
        return self.balancing in ("none", "prior")

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
    def is_layered(self) -> bool:
        """Whether there is more to train than one softmax layer."""
        return bool(self.hidden or self.dropout or self.head == "cosine")

    @property
    def is_one_layer(self) -> bool:
        """Whether what is trained becomes one softmax layer of bottlenecks as they are."""
        return not self.hidden and self.head == "softmax" and self.normalise != "l2"

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
        check_views(self)
        if self.views and self.optimizer in CLOSED:
            raise ConfigError(
                f"{setting('optimizer', self.optimizer)} judges by leaving out single images, and "
                f"views of an image are alike: leave out {setting('views')}, or take "
                f"{setting('optimizer', 'adam')}"
            )
        if self.batch_size > MOST_BATCH:
            raise ConfigError(
                f"{setting('batch_size')} must be at most {MOST_BATCH}, not {self.batch_size}: "
                f"{setting('optimizer', 'lbfgs')} takes all images at once"
            )
        check_positive(self, "learning_rate", "epsilon")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ConfigError(f"{setting('l2')} must be a number of at least 0, not {self.l2}")
        self._check_percentages()
        self._check_layers()
        self._check_balance()
        if self.classes is not None and len(set(self.classes)) < 2:
            raise ConfigError(
                f"{setting('classes')} needs at least two different classes, "
                f"not {len(set(self.classes))}"
            )
        return self

    def _check_balance(self) -> None:
        if not (math.isfinite(self.tau) and self.tau >= 0):
            raise ConfigError(f"{setting('tau')} must be a number of at least 0, not {self.tau}")
        for name in ("prior", "tau"):
            value = getattr(self, name)
            if self.balance != "prior" and value != _field(name).default:
                raise ConfigError(
                    f"{setting(name, value)} goes with {setting('balance', 'prior')}: add that, or "
                    f"leave {setting(name)} out"
                )
        if self.balance in ADDING and self.optimizer in CLOSED:
            raise ConfigError(
                f"{setting('optimizer', self.optimizer)} judges by leaving out single images, and "
                f"those that {setting('balance', self.balance)} adds are like their own: take "
                f"{setting('balance', 'weights')} or {setting('balance', 'prior')}, or "
                f"{setting('optimizer', 'adam')}"
            )
        if self.balance == "views" and self.views == 0:
            raise ConfigError(
                f"{setting('balance', 'views')} fills small classes with views: leave out "
                f"{setting('views', 0)}"
            )

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

    def _check_layers(self) -> None:
        check_share(self, "dropout", with_0=True)
        if len(self.hidden) > MOST_LAYERS:
            raise ConfigError(
                f"{setting('hidden')} takes at most {MOST_LAYERS} layers, not {len(self.hidden)}"
            )
        for units in self.hidden:
            if not 1 <= units <= MOST_UNITS:
                raise ConfigError(
                    f"{setting('hidden')} takes layers of 1 to {MOST_UNITS} units, not {units}"
                )
        if not self.hidden and self.activation != _field("activation").default:
            raise ConfigError(
                f"{setting('activation')} is for hidden layers and there is none: add "
                f"{setting('hidden', 256)}, or leave it out"
            )
        if self.is_layered and self.optimizer in AT_ONCE:
            raise ConfigError(
                f"{setting('hidden')}, {setting('dropout')} and {setting('head', 'cosine')} are "
                f"learned step by step, and {setting('optimizer', self.optimizer)} makes one "
                f"softmax layer: leave them out, or take {setting('optimizer', 'adam')}"
            )

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values.

        Those of other heads than the study's are left out where they are as usual: a file says no
        more than it did before there were any.
        """
        values = dataclasses.asdict(self)
        values["classes"] = None if self.classes is None else list(self.classes)
        values["hidden"] = list(self.hidden)
        values["l2"] = self.weight_decay
        for name in LATER_SETTINGS:
            if getattr(self, name) == _field(name).default:
                del values[name]
        return values

    @property
    def make(self) -> tuple[str, ...]:
        """What a head has besides one softmax layer, in words; () for nothing."""
        parts = ["cosines"] if self.head == "cosine" else []
        if self.hidden:
            parts.append(f"hidden {','.join(map(str, self.hidden))} {self.activation}")
        if self.dropout:
            parts.append(f"dropout {self.dropout:g}")
        if self.normalise != "none":
            parts.append(f"bottlenecks {_NORMALISED[self.normalise]}")
        return tuple(parts)

    @property
    def is_usual_head(self) -> bool:
        """Whether versions that know none of the later settings would make and read this head."""
        return all(getattr(self, name) == _field(name).default for name in LATER_SETTINGS)

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
        for name in ("classes", "hidden"):
            if isinstance(given.get(name), list):
                given[name] = tuple(given[name])
        try:
            config = cls(**given)
            check_types(config)
            return config.validate()
        except TypeError as error:
            raise ConfigError(f"a training setting is of the wrong kind ({error})") from error


_NORMALISED = {"l2": "of length one", "standardise": "standardised"}
LATER_SETTINGS = (
    "head",
    "hidden",
    "activation",
    "dropout",
    "normalise",
    "views",
    "balance",
    "prior",
    "tau",
)
"""Those that the first version of runs did not have."""


def _field(name: str) -> dataclasses.Field[Any]:
    return TrainingConfig.__dataclass_fields__[name]


def _usual_l2(optimizer: str) -> float:
    return LBFGS_L2 if optimizer == "lbfgs" else 0.0


def _close(name: str, known: set[str]) -> str:
    matches = difflib.get_close_matches(name, sorted(known), n=1)
    return f", did you mean {matches[0]!r}?" if matches else ""
