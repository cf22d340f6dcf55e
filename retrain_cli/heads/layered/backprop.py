"""Loss and gradients of a head of several layers, in NumPy or on any engine.

Dense layers, each followed by an activation and, in training, by dropout; then the last layer and
the softmax cross-entropy. D. E. Rumelhart, G. E. Hinton, R. J. Williams, "Learning representations
by back-propagating errors", Nature 323, 1986; dropout: N. Srivastava et al., JMLR 15, 2014.

Cosine: the score of class c is `scale * <x / |x|, w_c / |w_c|>`, the scale being learned, as in
S. Gidaris and N. Komodakis, "Dynamic few-shot visual learning without forgetting", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.layered.activations import Activation, activate, slope

Tensor = Any

_ONE, _ZERO = np.float32(1), np.float32(0)
_TINY = np.float32(1e-12)  # a square of a length: what is 0 stays finite


@dataclass(frozen=True, eq=False)
class Backprop:
    """How the layers of a head are computed, forwards and backwards.

    Its parameters are a list: weights and biases of each hidden layer, the weights of the last
    layer, and its biases or, with cosines, its scale in an array of one number.

    Attributes:
        ops: `numpy` or `keras.ops`.
        n_classes: number of classes.
        n_hidden: number of hidden layers.
        activation: what follows each of them.
        cosine: whether the last layer scores by cosines.
        dropout: share that a training step leaves out.
        l2: weight decay, of all weights but those whose length counts for nothing.
        class_weights: `(n_classes,)`, of an image of each class in the loss; None for equal ones.
    """

    ops: Any
    n_classes: int
    n_hidden: int
    activation: Activation
    cosine: bool
    dropout: float
    l2: float
    class_weights: NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls,
        ops: Any,
        config: TrainingConfig,
        n_classes: int,
        class_weights: NDArray[np.float32] | None = None,
    ) -> Backprop:
        """By the training settings."""
        return cls(
            ops,
            n_classes,
            len(config.hidden),
            config.activation,
            config.head == "cosine",
            config.dropout,
            config.weight_decay,
            class_weights,
        )

    def log_probabilities(self, parameters: Sequence[Tensor], vectors: Tensor) -> Tensor:
        """`(n, n_classes)` of `(n, width)` vectors; nothing is left out."""
        features, _ = self._hidden(parameters, vectors, None)
        return self._log_softmax(self._scores(parameters, features)[0])

    def step(
        self, parameters: Sequence[Tensor], vectors: Tensor, labels: Tensor, kept: Tensor | None
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Mean loss, number of right answers, and the gradient of each parameter.

        Args:
            parameters: as above.
            vectors: `(n, width) float32`.
            labels: `(n,) int32`.
            kept: `(n, n_dropped) bool`, what dropout keeps of the outputs of all hidden layers side
                by side, of the vectors where there is none; None for all.
        """
        ops, n_images = self.ops, np.float32(vectors.shape[0])
        features, below = self._hidden(parameters, vectors, kept)
        scores, seen = self._scores(parameters, features)
        logs = self._log_softmax(scores)
        is_true = ops.equal(labels[:, None], np.arange(self.n_classes, dtype=np.int32)[None])
        truth = ops.where(is_true, _ONE, _ZERO)
        weight = _ONE if self.class_weights is None else self._weight_of(truth)
        loss = -ops.sum(logs * truth * weight) / n_images
        right = ops.equal(ops.argmax(logs, axis=1), labels)
        hits = ops.sum(ops.where(right, _ONE, _ZERO))
        error = (ops.exp(logs) - truth) * weight / n_images
        last, behind = self._scores_back(parameters, features, seen, error)
        gradients = [*self._hidden_back(parameters, below, behind), *last]
        if self.l2:
            for place in self._decayed():
                loss = loss + np.float32(self.l2 / 2) * ops.sum(ops.square(parameters[place]))
                gradients[place] = gradients[place] + parameters[place] * np.float32(self.l2)
        return loss, hits, gradients

    def _weight_of(self, truth: Tensor) -> Tensor:
        """The weight of each image, `(n, 1)`, by its one-hot class."""
        return self.ops.sum(truth * self.class_weights, 1, keepdims=True)

    def _decayed(self) -> range:
        return range(0, 2 * self.n_hidden + (not self.cosine), 2)

    def _hidden(
        self, parameters: Sequence[Tensor], vectors: Tensor, kept: Tensor | None
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor, Tensor | None]]]:
        """Features, and of each layer what went in, its sums, and what dropout kept."""
        if not self.n_hidden:
            return self._drop(vectors, kept), []
        features, below, start = vectors, [], 0
        for layer in range(self.n_hidden):
            weights, bias = parameters[2 * layer], parameters[2 * layer + 1]
            sums = self.ops.matmul(features, weights) + bias
            end = start + weights.shape[1]
            own = None if kept is None else kept[:, start:end]
            below.append((features, sums, own))
            features = self._drop(activate(self.ops, self.activation, sums), own)
            start = end
        return features, below

    def _drop(self, values: Tensor, kept: Tensor | None) -> Tensor:
        if kept is None:
            return values
        return self.ops.where(kept, values * np.float32(1 / (1 - self.dropout)), _ZERO)

    def _hidden_back(
        self,
        parameters: Sequence[Tensor],
        below: Sequence[tuple[Tensor, Tensor, Tensor | None]],
        behind: Tensor,
    ) -> list[Tensor]:
        """Gradients of the hidden layers, from that of the features."""
        ops, gradients = self.ops, []
        for layer in reversed(range(self.n_hidden)):
            inputs, sums, kept = below[layer]
            error = self._drop(behind, kept) * slope(ops, self.activation, sums)
            gradients += [ops.sum(error, axis=0), ops.matmul(ops.transpose(inputs), error)]
            if layer:
                behind = ops.matmul(error, ops.transpose(parameters[2 * layer]))
        return gradients[::-1]

    def _scores(self, parameters: Sequence[Tensor], features: Tensor) -> tuple[Tensor, Any]:
        """Logits, and what the way back needs of a cosine layer."""
        weights, last = parameters[-2:]
        if not self.cosine:
            return self.ops.matmul(features, weights) + last, None
        unit, length = self._unit(features, 1)
        columns, lengths = self._unit(weights, 0)
        cosines = self.ops.matmul(unit, columns)
        return cosines * last, (unit, length, columns, lengths, cosines)

    def _scores_back(
        self, parameters: Sequence[Tensor], features: Tensor, seen: Any, error: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Gradients of the last layer's parameters, and that of the features."""
        ops, (weights, last) = self.ops, parameters[-2:]
        if not self.cosine:
            own = [ops.matmul(ops.transpose(features), error), ops.sum(error, axis=0)]
            return own, self._behind(error, weights)
        unit, length, columns, lengths, cosines = seen
        of_scale = ops.reshape(ops.sum(error * cosines), (1,))
        of_cosines = error * last
        of_columns = ops.matmul(ops.transpose(unit), of_cosines)
        of_weights = self._unit_back(columns, lengths, of_columns, 0)
        of_unit = self._behind(of_cosines, columns)
        behind = None if of_unit is None else self._unit_back(unit, length, of_unit, 1)
        return [of_weights, of_scale], behind

    def _behind(self, error: Tensor, weights: Tensor) -> Tensor:
        """The gradient of what a layer took; nobody asks for that of the bottlenecks."""
        return self.ops.matmul(error, self.ops.transpose(weights)) if self.n_hidden else None

    def _unit(self, values: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        length = self.ops.sqrt(self.ops.sum(self.ops.square(values), axis, keepdims=True) + _TINY)
        return values / length, length

    def _unit_back(self, unit: Tensor, length: Tensor, error: Tensor, axis: int) -> Tensor:
        along = self.ops.sum(unit * error, axis, keepdims=True)
        return (error - unit * along) / length

    def _log_softmax(self, scores: Tensor) -> Tensor:
        scores = scores - self.ops.max(scores, axis=1, keepdims=True)
        return scores - self.ops.log(self.ops.sum(self.ops.exp(scores), axis=1, keepdims=True))
