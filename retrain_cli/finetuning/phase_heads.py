"""The heads before and after the backbone is trained: a first one to start from, a last one on top.

Measured in docs/finetuning.md.
"""

from __future__ import annotations

from retrain_cli.finetuning.tuning import judge
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.training import train_head

_FIRST_STEPS = 100
_LAST_L2 = 0.03
_LAST_STEPS = 200
"""Of L-BFGS, which has mostly converged by then."""


def first_head(data: HeadData, seed: int) -> Head:
    """The head that training starts from: one that is not sure of its photos yet.

    A head that is trained to its end leaves gradients of almost nothing, whose noise adaptive
    optimisers turn into full steps.
    """
    return train_head(data, TrainingConfig(steps=_FIRST_STEPS, seed=seed)).head


def last_head(tuned: Head, data: HeadData) -> Head:
    """The head for the tuned backbone: the one that was trained with it, or a new one.

    The new one is trained alone, to its end and with weight decay; where there are validation
    photos, it has to be the better one on them.

    Args:
        tuned: the head that was trained with the backbone.
        data: with the bottlenecks of the tuned backbone.
    """
    settings = TrainingConfig(optimizer="lbfgs", l2=_LAST_L2, steps=_LAST_STEPS)
    anew = train_head(data, settings).head
    vectors, labels = data.bottlenecks[data.validation], data.labels[data.validation]
    own, other = (judge(head, vectors, labels) for head in (tuned, anew))
    return tuned if own and other and own.better_than(other) else anew
