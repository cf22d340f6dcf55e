"""Two heads on one bottleneck joined into one, their logits brought to one scale.

Heads that were trained apart are each right about their own classes, but nothing says how a logit
of the one compares with a logit of the other. Two numbers settle it: the logits of the second head
are multiplied by a scale and moved by an offset, those that make the joined softmax fit photos of
both sides best. It is Platt's scaling (J. Platt, "Probabilistic outputs for support vector
machines", 1999) for a block of classes, a convex problem in two unknowns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import DatasetError, setting
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head

FloatVector = NDArray[np.float64]

_LEAST_SCALE = 1e-3
_RIDGE = 1e-4
"""On the squared scale: it keeps the scale finite where both sides are told apart completely."""


@dataclass(frozen=True)
class LogitAlignment:
    """What brings the logits of the second head to the scale of the first.

    Attributes:
        scale: factor, above 0.
        offset: added after it.
    """

    scale: float
    offset: float

    def apply(self, head: Head) -> Head:
        """The second head on the scale of the first."""
        weights = (head.weights * self.scale).astype(np.float32)
        bias = (head.bias * self.scale + self.offset).astype(np.float32)
        return Head(head.labels, weights, bias)


@dataclass(frozen=True, eq=False)
class AlignmentSet:
    """What two heads say about photos of both sides.

    Attributes:
        first: `(n_photos,)` log-sum-exp of the first head's logits.
        second: `(n_photos, n_second)` logits of the second head.
        target: `(n_photos,)` true class in the second head; -1 for photos of the first side.
        weight: `(n_photos,)` weight of each photo, adding up to one.
    """

    first: FloatVector
    second: FloatVector
    target: NDArray[np.int64]
    weight: FloatVector

    def loss(self, parameters: FloatVector) -> tuple[float, FloatVector]:
        """Negative log-likelihood of the joined softmax, and its gradient.

        The part that no parameter changes is left out: which class of its own side a photo of the
        first side belongs to.

        Args:
            parameters: scale and offset.
        """
        scale, offset = parameters
        logits = scale * self.second + offset
        second = log_sum_exp(logits)
        both = np.logaddexp(self.first, second)
        is_second = self.target >= 0
        own = self.second[np.arange(len(self.target)), np.maximum(self.target, 0)]
        fit = np.where(is_second, scale * own + offset, self.first)
        share = np.exp(second - both)  # of the second side
        mean = (np.exp(logits - second[:, None]) * self.second).sum(axis=1)
        slopes = np.stack([share * mean - is_second * own, share - is_second])
        gradient = slopes @ self.weight + np.array([2 * _RIDGE * scale, 0])
        return float(self.weight @ (both - fit)) + _RIDGE * scale**2, gradient


def log_sum_exp(logits: NDArray[np.floating]) -> FloatVector:
    """`log(sum(exp(logits)))` of each row, `(n_rows,) float64`."""
    most = logits.max(axis=1)
    total = np.exp(logits - most[:, None]).sum(axis=1, dtype=np.float64)
    result: FloatVector = most + np.log(total)
    return result


def align_logits(photos: AlignmentSet) -> LogitAlignment:
    """The scale and the offset of the least loss; both sides must have photos."""
    from scipy.optimize import minimize

    found = minimize(
        photos.loss,
        np.array([1.0, 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(_LEAST_SCALE, None), (None, None)],
    )
    return LogitAlignment(float(found.x[0]), float(found.x[1]))


def join_heads(first: Head, second: Head) -> Head:
    """One softmax over the classes of both, the first's in front; no label may be in both."""
    return Head(
        first.labels + second.labels,
        np.concatenate([first.weights, second.weights], axis=1),
        np.concatenate([first.bias, second.bias]),
    )


TrainPart = Callable[[HeadData], Head]
"""Trains the head of some of the classes, with the settings of the run."""

_STAY_RIGHT = 0.95


@dataclass(frozen=True, eq=False)
class JoinedHeads:
    """What `join_with_source_head` made.

    Attributes:
        head: the user's classes, then the source classes that are left, named as in the source
            head.
        kept: indices of those source classes.
        alignment: scale and offset of the user's classes.
        without_int: the source head joined with that of the EXT classes alone, on the same scale;
            None where there is none.
    """

    head: Head
    kept: NDArray[np.int64]
    alignment: LogitAlignment
    without_int: Head | None


def join_with_source_head(
    source_head: Head,
    head: Head,
    data: HeadData,
    columns: Sequence[NDArray[np.int64]],
    train: TrainPart,
) -> JoinedHeads:
    """Join a trained head with the backbone's own.

    Args:
        source_head: the head of the source classes.
        head: the trained head of the user's classes.
        data: what it was trained on.
        columns: for each of the user's classes the source classes that it is; none for EXT.
        train: how to train the head of the EXT classes.

    Raises:
        DatasetError: there are no validation photos.
    """
    if not len(data.validation):
        raise DatasetError(
            f"{setting('keep_source_classes')} weighs source classes and new ones on validation "
            f"photos, and there are none: raise {setting('validation_percentage')}"
        )
    merged = np.concatenate([np.empty(0, np.int64), *columns])
    kept = np.setdiff1d(np.arange(source_head.n_classes), merged)
    rest = _only(source_head, kept)
    is_ext = np.array([not len(own) for own in columns])
    outside = _of_classes(data, is_ext)
    without_int = None
    if _can_compare(data, is_ext):
        ext_head = train(outside)
        alignment = _by_int_photos(source_head, ext_head, data, outside)
        without_int = join_heads(source_head, alignment.apply(ext_head))
    else:
        alignment = _by_staying_right(rest, head, data)
    return JoinedHeads(join_heads(alignment.apply(head), rest), kept, alignment, without_int)


def _only(head: Head, classes: NDArray[np.int64]) -> Head:
    labels = tuple(head.labels[index] for index in classes.tolist())
    return Head(labels, head.weights[:, classes], head.bias[classes])


def _of_classes(data: HeadData, taken: NDArray[np.bool_]) -> HeadData:
    """Some of the classes; no vector is copied."""
    new_index = np.where(taken, np.cumsum(taken) - 1, -1).astype(np.int32)
    labels = new_index[data.labels]
    names = tuple(name for name, is_in in zip(data.class_names, taken, strict=True) if is_in)
    training, validation = (rows[labels[rows] >= 0] for rows in (data.training, data.validation))
    return HeadData(
        data.bottlenecks, labels, names, training, validation, layer_widths=data.layer_widths
    )


def _can_compare(data: HeadData, is_ext: NDArray[np.bool_]) -> bool:
    """Whether there are EXT classes to train, and validation photos of both sides."""
    sides = is_ext[data.labels[data.validation]]
    return bool(is_ext.sum() >= 2 and sides.any() and not sides.all())


def _by_int_photos(
    source_head: Head, ext_head: Head, data: HeadData, outside: HeadData
) -> LogitAlignment:
    vectors = data.bottlenecks[data.validation]
    target = outside.labels[data.validation].astype(np.int64)
    n_ext = int((target >= 0).sum())
    return align_logits(
        AlignmentSet(
            log_sum_exp(source_head.logits(vectors)),
            ext_head.logits(vectors).astype(np.float64),
            target,
            np.where(target >= 0, 0.5 / n_ext, 0.5 / (len(target) - n_ext)),
        )
    )


def _by_staying_right(rest: Head, head: Head, data: HeadData) -> LogitAlignment:
    vectors, labels = data.bottlenecks[data.validation], data.labels[data.validation]
    logits = head.logits(vectors)
    own = logits[np.arange(len(labels)), labels]
    right = own >= logits.max(axis=1)
    behind = rest.logits(vectors).max(axis=1) - own
    return LogitAlignment(
        1.0, float(np.quantile(behind[right if right.any() else ~right], _STAY_RIGHT))
    )
