"""A backbone above its freeze point with a head on top, as Keras trains it on any engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.runtimes.keras_model import pool_features, scale_pixels
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.table import find_backbone
from retrain_cli.engine import float32_by_default, load_keras
from retrain_cli.finetuning.freeze_points import FreezePoint, LayerPlace, stages_of
from retrain_cli.finetuning.tuning_config import RateSchedule, TuningConfig
from retrain_cli.heads.head import Head

Arrays = list[NDArray[Any]]
"""What the network is given for a batch: activations, with their scales where they are uint8; or
8-bit pixels."""

_MOMENTUM = 0.9


@dataclass(frozen=True)
class Schedule:
    """How the learning rate goes: up to its peak in a line, then down to zero or on.

    Attributes:
        peak: the highest learning rate.
        steps: of the whole training.
        warm_up: those of them in which the rate climbs.
        kind: how it goes after that.
    """

    peak: float
    steps: int
    warm_up: int
    kind: RateSchedule = "cosine"

    @classmethod
    def of(cls, config: TuningConfig, peak: float, steps: int) -> Schedule:
        """As the settings say, for so many steps."""
        return cls(peak, steps, round(config.warm_up * steps), config.schedule)

    def rates(self) -> Any:
        """As Keras's own schedule; the rate that stays is one that falls to all of its peak."""
        return load_keras().optimizers.schedules.CosineDecay(
            initial_learning_rate=self.peak / (self.warm_up + 1),
            decay_steps=max(1, self.steps - self.warm_up),
            alpha=0.0 if self.kind == "cosine" else 1.0,
            warmup_target=self.peak,
            warmup_steps=self.warm_up,
        )


class TunedNetwork:
    """What is trained: layers above the freeze point, and the softmax on their bottlenecks.

    Args:
        network: the bare network of the backbone, whose layers are trained in place.
        spec: the backbone, resolved.
        point: what is trained, and where the activations come from.
        head: where the softmax starts.
        config: the settings.
    """

    def __init__(
        self,
        network: Any,
        spec: BackboneSpec,
        point: FreezePoint,
        head: Head,
        config: TuningConfig,
    ) -> None:
        keras = load_keras()
        self.network, self._config, self._labels = network, config, head.labels
        stages = stages_of(network)
        _choose_trainable(stages, point, config)
        with float32_by_default():
            inputs, start = _inputs(keras, network, spec, point, config)
            tail = network if point.cut is None else _tail(keras, network, stages, point.cut)
            features = keras.ops.cast(tail(start), "float32")
            vectors = pool_features(keras.ops, features, spec.pooling, spec.layer)
            self._softmax = keras.layers.Dense(head.n_classes, name="head", dtype="float32")
            kept = vectors
            if config.dropout:
                kept = keras.layers.Dropout(config.dropout, seed=config.seed)(vectors)
            logits = self._softmax(kept)
            self._vectors = keras.Model(inputs, vectors)
            self._model = _model_class(keras, config.l2_sp, self._penalty)(inputs, logits)
        self.set_head(head)
        self.width = int(vectors.shape[-1])
        self._start = [np.array(one.numpy()) for one in self._tail_kernels()]

    @property
    def _penalty(self) -> float:
        """Weight decay that is part of the loss; AdamW does its own."""
        return 0.0 if self._config.optimizer == "adamw" else self._config.weight_decay

    @property
    def trained_numbers(self) -> int:
        """How many numbers are trained."""
        return sum(int(np.prod(one.shape)) for one in self._model.trainable_variables)

    def _tail_kernels(self) -> list[Any]:
        own = {id(one) for one in self._softmax.weights}
        return [one for one in _kernels(self._model) if id(one) not in own]

    def compile(self, schedule: Schedule) -> None:
        """Make ready to train, from a fresh optimiser.

        TensorFlow's XLA is left off: on a processor it makes these steps ten times as slow.
        """
        keras, config = load_keras(), self._config
        settings: dict[str, Any] = {"learning_rate": schedule.rates()}
        if config.optimizer == "adamw":
            settings["weight_decay"] = config.weight_decay
        if config.optimizer == "sgd":
            settings["momentum"] = _MOMENTUM
        self._model.start = self._start
        with float32_by_default():
            optimizer = keras.optimizers.get({"class_name": config.optimizer, "config": settings})
            if config.optimizer == "adamw":
                optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
            optimizer.build(self._model.trainable_variables)
            self._model.compile(
                optimizer=optimizer,
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                metrics=["accuracy"],
                jit_compile="auto" if keras.backend.backend() == "jax" else False,
            )

    def train(self, arrays: Arrays, labels: NDArray[np.int32]) -> tuple[float, float]:
        """Take a step; the loss and the share of right answers of the batch."""
        self._model.reset_metrics()  # Keras before 3.13 goes on with those of the last batch
        told = self._model.train_on_batch(_as_input(arrays), labels, return_dict=True)
        return float(told["loss"]), float(told["accuracy"])

    def vectors(self, arrays: Arrays) -> NDArray[np.float32]:
        """Bottlenecks of a batch as the network is now, `(n, width) float32`."""
        return np.asarray(self._vectors.predict_on_batch(_as_input(arrays)), np.float32)

    def head(self) -> Head:
        """A copy of the head as it is now."""
        weights, bias = (np.array(one.numpy()) for one in self._softmax.weights)
        return Head(self._labels, weights, bias)

    def set_head(self, head: Head) -> None:
        """Let the softmax be this head."""
        self._softmax.set_weights([head.weights, head.bias])

    def weights(self) -> Arrays:
        """Copies of everything that training changes, but the optimiser's state."""
        return [np.array(one.numpy()) for one in self._model.variables_to_keep()]

    def set_weights(self, weights: Sequence[NDArray[Any]]) -> None:
        """Go back to what `weights` gave."""
        for variable, value in zip(self._model.variables_to_keep(), weights, strict=True):
            variable.assign(value)

    def optimizer_state(self) -> Arrays:
        """Copies of the optimiser's variables."""
        return [np.array(one.numpy()) for one in self._model.optimizer.variables]

    def set_optimizer_state(self, state: Sequence[NDArray[Any]]) -> None:
        """Go back to what `optimizer_state` gave."""
        for variable, value in zip(self._model.optimizer.variables, state, strict=True):
            variable.assign(value)


def _as_input(arrays: Arrays) -> Any:
    return arrays[0] if len(arrays) == 1 else arrays


def _kernels(model: Any) -> list[Any]:
    """Variables that weight decay pulls at: no biases, and nothing of batch normalisation."""
    return [one for one in model.trainable_variables if len(one.shape) > 1]


def _choose_trainable(stages: list[LayerPlace], point: FreezePoint, config: TuningConfig) -> None:
    for stage in stages:
        is_norm = type(stage.operation).__name__ == "BatchNormalization"
        frozen = is_norm and config.batch_norm == "frozen"
        if stage.has_weights:
            stage.operation.trainable = stage.name in point.trained and not frozen


def _tail(keras: Any, network: Any, stages: list[LayerPlace], cut: str) -> Any:
    output = next(stage.operation.output for stage in stages if stage.name == cut)
    return keras.Model(output, network.output)


def _inputs(
    keras: Any, network: Any, spec: BackboneSpec, point: FreezePoint, config: TuningConfig
) -> tuple[list[Any], Any]:
    """The inputs, and the first numbers that the layers above the freeze point see."""
    if point.cut is None or config.stream:
        pixels = keras.Input((spec.input_size, spec.input_size, 3), dtype="uint8")
        scaled = scale_pixels(keras.ops, pixels, find_backbone(spec.name).scaling)
        return [pixels], scaled if point.cut is None else _prefix(keras, network, point)(scaled)
    codes = keras.Input(point.shape, dtype=config.activations)
    values = keras.ops.cast(codes, "float32")
    if config.activations == "float16":
        return [codes], values
    scales = keras.Input((2, point.shape[-1]), dtype="float32")
    shape = (-1, 1, 1, point.shape[-1])
    step, lowest = (keras.ops.reshape(scales[:, part], shape) for part in (0, 1))
    return [codes, scales], lowest + values * step


def _prefix(keras: Any, network: Any, point: FreezePoint) -> Any:
    cut = next(stage.operation for stage in stages_of(network) if stage.name == point.cut)
    return keras.Model(network.inputs, cut.output)


def _model_class(keras: Any, l2_sp: float, l2: float) -> Any:
    """A Keras model with our loss; made here, for Keras is imported late."""

    class Tuned(keras.Model):  # type: ignore[misc]
        start: Sequence[NDArray[Any]] = ()

        def variables_to_keep(self) -> list[Any]:
            """What training changes."""
            fixed = {id(one) for one in self._frozen()}
            return [one for one in self.variables if id(one) not in fixed]

        def _frozen(self) -> list[Any]:
            kept = [self.optimizer, *self._metrics] if getattr(self, "optimizer", None) else []
            return [one for part in kept for one in part.variables]

        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
            """Cross-entropy, weight decay, and the distance to the start."""
            loss = super().compute_loss(*args, **kwargs)
            kernels = _kernels(self)
            if l2:
                loss += l2 / 2 * sum(keras.ops.sum(keras.ops.square(one)) for one in kernels)
            if l2_sp:
                loss += (l2_sp / 2) * sum(
                    keras.ops.sum(keras.ops.square(one - before))
                    for one, before in zip(kernels, self.start, strict=False)
                )
            return loss

    return Tuned
