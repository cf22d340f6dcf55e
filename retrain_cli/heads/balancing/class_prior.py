"""Logit adjustment: how likely each class was in training, taken off the scores afterwards.

A softmax that is trained on photos as they come learns `P(class | photo)` for photos that come in
the shares of training, in which Bayes' rule has these shares as a factor. Divided by them, it is
that of photos of which each class is as likely:

    argmax_y  f_y(x) - tau * log(share of y in training)

A. K. Menon, S. Jayasumana, A. S. Rawat, H. Jain, A. Veit and S. Kumar, "Long-tail learning via
logit adjustment", ICLR 2021 (arXiv 2020), equation 9; tau is 1 where the softmax means what it
says. So a temperature is fitted first, to photos in their own shares, and then comes the prior: the
other way round, the shares would be taken off scores that do not mean what they say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from retrain_cli.evaluation.arrays import checked

PRIOR_PREFIX = "prior_"
"""Of the array of a saved head; the prior that its scores are for follows."""

Prior = Literal["uniform", "natural"]
"""For which photos scores are: of each class as many, or in the shares of training."""


@dataclass(frozen=True, eq=False)
class ClassPrior:
    """The prior that a head has learned, and whether its scores are without it.

    Attributes:
        logs: `(n_classes,) float32`, tau times the logarithm of each class's share of training.
        scores: for which prior the head's scores are; for `uniform`, `logs` is off its biases.
    """

    logs: NDArray[np.float32]
    scores: Prior

    @classmethod
    def of(cls, labels: NDArray[np.integer], n_classes: int, tau: float) -> ClassPrior:
        """The prior of training images of these classes, in natural scores.

        Args:
            labels: `(n_training,)` class of each; every class has one at least.
            n_classes: number of classes.
            tau: how much of the prior counts; 1 for all of it.
        """
        shares = np.bincount(labels, minlength=n_classes) / len(labels)
        return cls((tau * np.log(shares)).astype(np.float32), "natural")

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], n_classes: int) -> ClassPrior | None:
        """The prior among the arrays of a saved head; None where there is none.

        Raises:
            ValueError: it is damaged.
        """
        for scores in get_args(Prior):
            name = PRIOR_PREFIX + scores
            if name in arrays:
                return cls(checked(arrays[name], name, "f", n_classes).astype(np.float32), scores)
        return None
