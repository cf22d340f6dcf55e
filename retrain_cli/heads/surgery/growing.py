"""A head with one class more: the known ones kept as they are, or all trained again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrain_cli.evaluation.ranking import rank_of
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import ProgressListener, TrainedHead
from retrain_cli.heads.surgery.imprinting import KnownPhotos, imprint_features
from retrain_cli.heads.training import ignore_progress, train_head

FloatArray = NDArray[np.float32]

_MOST_LEFT_OUT = 20


def retrain_with(
    known: HeadData,
    name: str,
    photos: FloatArray,
    config: TrainingConfig,
    *,
    on_progress: ProgressListener = ignore_progress,
    memory_limit: int | None = None,
) -> TrainedHead:
    """Train a head for the known classes and the new one, from the start.

    Args:
        known: the known classes.
        name: of the new class.
        photos: `(n_photos, width)` bottlenecks of the new class; all are for training.
        config: the training settings.
        on_progress: as of `train_head`.
        memory_limit: as of `train_head`.
    """
    rows = np.arange(len(known.labels), len(known.labels) + len(photos))
    data = HeadData(
        np.concatenate([known.bottlenecks, photos]),
        np.append(known.labels, np.full(len(photos), known.n_classes, np.int32)),
        (*known.class_names, name),
        np.append(known.training, rows),
        known.validation,
        layer_widths=known.layer_widths,
    )
    return train_head(data, config, on_progress=on_progress, memory_limit=memory_limit)


def new_class_ranks(head: Head, photos: FloatArray) -> tuple[int, ...]:
    """Rank of the last class of a head for each of its photos, `(n_photos, width)`."""
    classes = np.full(len(photos), head.n_classes - 1)
    return tuple(rank_of(head.logits(photos), classes).tolist())


def left_out_ranks(head: Head, known: HeadData, name: str, photos: FloatArray) -> tuple[int, ...]:
    """Rank of a new class for photos that it was not made of: each is left out in turn.

    Args:
        head: the head before the class is added.
        known: the known classes.
        name: of the new class.
        photos: `(n_photos, width)`; of many, the first are left out. One photo tells nothing.
    """
    if len(photos) < 2:
        return ()
    ranks: list[int] = []
    beside, photos, last = KnownPhotos.of(head, known), head.features(photos), head.last_layer
    for row in range(min(len(photos), _MOST_LEFT_OUT)):
        grown = imprint_features(last, beside, name, np.delete(photos, row, axis=0))
        ranks += new_class_ranks(grown, photos[[row]])
    return tuple(ranks)
