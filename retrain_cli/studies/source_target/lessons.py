"""What is taught and asked in a scheme, apart from which network learns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrain_cli.checks import check_least, check_positive

Rows = NDArray[np.int64]
Heed = Callable[[], None]
"""Is called between steps; what it raises ends the training."""


@dataclass(frozen=True)
class LearningRules:
    """How a network is trained; the defaults are those of Molina et al.

    Attributes:
        epochs: how often each photo is seen.
        learning_rate: of RMSprop.
        batch_size: photos a step.
    """

    epochs: int = 5
    learning_rate: float = 1e-4
    batch_size: int = 128

    def validate(self) -> LearningRules:
        """Return self.

        Raises:
            ConfigError: a number that cannot work.
        """
        check_least(self, 1, "epochs", "batch_size")
        check_positive(self, "learning_rate")
        return self

    def batches(self, rows: Rows, generator: np.random.Generator) -> Iterator[Rows]:
        """The photos of each step, in a new order in each epoch."""
        for _ in range(self.epochs):
            order = generator.permutation(rows)
            for start in range(0, len(order), self.batch_size):
                yield order[start : start + self.batch_size]


@dataclass(frozen=True)
class SchemeScore:
    """What a network knows of the test photos.

    Attributes:
        loss: mean cross-entropy in nats.
        accuracy: share of right answers.
        n: photos.
    """

    loss: float
    accuracy: float
    n: int

    @classmethod
    def of(cls, logits: NDArray[np.floating], labels: NDArray[np.integer]) -> SchemeScore:
        """Of `(n, n_classes)` logits."""
        scores = logits.astype(np.float64)
        scores -= scores.max(axis=1, keepdims=True)
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        loss = -float(logs[np.arange(len(labels)), labels].mean())
        return cls(loss, float((scores.argmax(axis=1) == labels).mean()), len(labels))


class Pupil(Protocol):
    """A network that learns; rows are those of the dataset."""

    def learn(self, rows: Rows) -> None:
        """Train everything that is ever trained."""
        ...

    def relearn_top(self, rows: Rows) -> None:
        """Train the last two layers alone, from where they are."""
        ...

    def logits(self, rows: Rows) -> NDArray[np.float32]:
        """Scores, `(len(rows), n_classes)`."""
        ...


class School(Protocol):
    """Makes pupils that know nothing of the photos yet."""

    def pupil(self, labels: NDArray[np.int32], n_classes: int, seed: int, heed: Heed) -> Pupil:
        """A new one.

        Args:
            labels: of each row of the dataset.
            n_classes: how many they are.
            seed: of first weights and of the order of photos.
            heed: see `Heed`.
        """
        ...
