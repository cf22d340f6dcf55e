"""A head that knows the source classes and the user's: the stock head joined with a trained one.

The user's classes stand in front; a source class that is also the user's (INT) gives its place to
the user's. What is left to find is how the logits of the two compare, and that takes photos of
source classes. The user has those of INT classes. So a second head is trained, of the EXT classes
alone, which has never seen an INT photo. It is joined with the whole stock head: an INT photo of
validation should now go to its source class, an EXT photo to its own. The scale and the offset that
fit these best, both sides weighing the same, are taken over.

Where there are no such photos, the offset is the least with which 95% of the validation photos that
the user's head gets right stay right: the source classes lose as little as that allows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import DatasetError
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.joining import (
    Calibration,
    CalibrationSet,
    calibrate,
    join_heads,
    log_sum_exp,
)

TrainPart = Callable[[HeadData], Head]
"""Trains the head of some of the classes, with the settings of the run."""

_STAY_RIGHT = 0.95


@dataclass(frozen=True, eq=False)
class JoinedHeads:
    """What `join_with_stock` made.

    Attributes:
        head: the user's classes, then the source classes that are left, named as the stock head is.
        kept: indices of those source classes.
        calibration: scale and offset of the user's classes.
        without_int: the stock head joined with that of the EXT classes alone, on the same scale;
            None where there is none.
    """

    head: Head
    kept: NDArray[np.int64]
    calibration: Calibration
    without_int: Head | None


def join_with_stock(
    stock: Head,
    head: Head,
    data: HeadData,
    columns: Sequence[NDArray[np.int64]],
    train: TrainPart,
) -> JoinedHeads:
    """Join a trained head with the backbone's own.

    Args:
        stock: the head of the source classes.
        head: the trained head of the user's classes.
        data: what it was trained on.
        columns: for each of the user's classes the source classes that it is; none for EXT.
        train: how to train the head of the EXT classes.

    Raises:
        DatasetError: there are no validation photos.
    """
    if not len(data.validation):
        raise DatasetError(
            "--keep-source-classes weighs source classes and new ones on validation photos, and "
            "there are none: raise --validation-percentage"
        )
    merged = np.concatenate([np.empty(0, np.int64), *columns])
    kept = np.setdiff1d(np.arange(stock.n_classes), merged)
    rest = _only(stock, kept)
    is_ext = np.array([not len(own) for own in columns])
    outside = _of_classes(data, is_ext)
    without_int = None
    if _can_compare(data, is_ext):
        ext_head = train(outside)
        calibration = _by_int_photos(stock, ext_head, data, outside)
        without_int = join_heads(stock, calibration.apply(ext_head))
    else:
        calibration = _by_staying_right(rest, head, data)
    return JoinedHeads(join_heads(calibration.apply(head), rest), kept, calibration, without_int)


def _only(head: Head, classes: NDArray[np.int64]) -> Head:
    labels = tuple(head.labels[index] for index in classes.tolist())
    return Head(labels, head.weights[:, classes], head.bias[classes])


def _of_classes(data: HeadData, taken: NDArray[np.bool_]) -> HeadData:
    """Some of the classes; no vector is copied."""
    new_index = np.where(taken, np.cumsum(taken) - 1, -1).astype(np.int32)
    labels = new_index[data.labels]
    names = tuple(name for name, is_in in zip(data.class_names, taken, strict=True) if is_in)
    training, validation = (rows[labels[rows] >= 0] for rows in (data.training, data.validation))
    return HeadData(data.bottlenecks, labels, names, training, validation)


def _can_compare(data: HeadData, is_ext: NDArray[np.bool_]) -> bool:
    """Whether there are EXT classes to train, and validation photos of both sides."""
    sides = is_ext[data.labels[data.validation]]
    return bool(is_ext.sum() >= 2 and sides.any() and not sides.all())


def _by_int_photos(stock: Head, ext_head: Head, data: HeadData, outside: HeadData) -> Calibration:
    vectors = data.bottlenecks[data.validation]
    target = outside.labels[data.validation].astype(np.int64)
    n_ext = int((target >= 0).sum())
    return calibrate(
        CalibrationSet(
            log_sum_exp(stock.logits(vectors)),
            ext_head.logits(vectors).astype(np.float64),
            target,
            np.where(target >= 0, 0.5 / n_ext, 0.5 / (len(target) - n_ext)),
        )
    )


def _by_staying_right(rest: Head, head: Head, data: HeadData) -> Calibration:
    vectors, labels = data.bottlenecks[data.validation], data.labels[data.validation]
    logits = head.logits(vectors)
    own = logits[np.arange(len(labels)), labels]
    right = own >= logits.max(axis=1)
    behind = rest.logits(vectors).max(axis=1) - own
    return Calibration(
        1.0, float(np.quantile(behind[right if right.any() else ~right], _STAY_RIGHT))
    )
