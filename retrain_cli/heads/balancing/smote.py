"""SMOTE: images of small classes that are mixtures of two of their bottlenecks.

N. V. Chawla, K. W. Bowyer, L. O. Hall and W. P. Kegelmeyer, "SMOTE: synthetic minority
over-sampling technique", JAIR 16, 2002, by imbalanced-learn: a new vector lies at random between a
bottleneck and one of its 5 nearest neighbours in the class.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import ConfigError, MissingExtraError, setting
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.memory import fits
from retrain_cli.heads.rows import check_finite, read_rows

NEIGHBOURS = 5
"""Of those that a mixture is made with; of a class of 5 images or fewer, all others."""

FloatArray = NDArray[np.float32]


def add_mixtures(data: HeadData, seed: int, memory_limit: int | None) -> HeadData:
    """The data with mixtures among the training images, so that all classes have as many.

    Args:
        data: what to train on; every class has a training image.
        seed: equal seeds give equal mixtures.
        memory_limit: bytes that vectors may take; None for half of what is available.

    Raises:
        ConfigError: memory does not hold the vectors.
        MissingExtraError: imbalanced-learn is not installed.
    """
    sampler = _load()
    labels = data.labels[data.training]
    n_training, n_validation = len(labels), len(data.validation)
    full = int(np.bincount(labels).max()) * data.n_classes
    if not fits(full + n_validation, data.width, copies=3, memory_limit=memory_limit):
        raise ConfigError(
            f"{setting('balance', 'smote')} makes its mixtures in memory, which does not hold "
            f"{full:,} bottlenecks of width {data.width}: take {setting('balance', 'weights')}, or "
            f"raise {setting('memory_limit')}"
        )
    vectors = read_rows(data.bottlenecks, data.training)
    check_finite(vectors)
    mixtures, of_classes = _mixtures(sampler, vectors, labels, seed)
    chosen_by = read_rows(data.bottlenecks, data.validation)
    n_trained_on = n_training + len(mixtures)
    return replace(
        data,
        bottlenecks=np.concatenate([vectors, mixtures, chosen_by]),
        labels=np.concatenate([labels, of_classes, data.labels[data.validation]]),
        training=np.arange(n_trained_on),
        validation=np.arange(n_trained_on, n_trained_on + n_validation),
        spare=np.empty(0, np.int64),
        groups=None,
    )


def _mixtures(
    sampler: Any, vectors: FloatArray, labels: NDArray[np.int32], seed: int
) -> tuple[FloatArray, NDArray[np.int32]]:
    """New vectors and their classes: those of large classes first, as imbalanced-learn has them."""
    sizes = np.bincount(labels)
    most = int(sizes.max())
    made, of_classes = [vectors[:0]], [labels[:0]]
    for size in [None, *range(2, NEIGHBOURS + 1)]:  # None: all that have neighbours enough
        own = sizes > NEIGHBOURS if size is None else sizes == size
        wanted = dict.fromkeys(np.flatnonzero(own & (sizes < most)).tolist(), most)
        if wanted:
            smote = sampler(
                sampling_strategy=wanted,
                k_neighbors=NEIGHBOURS if size is None else size - 1,
                random_state=seed,
            )
            more, classes = smote.fit_resample(vectors, labels)
            made.append(more[len(vectors) :])
            of_classes.append(classes[len(labels) :])
    if most > 1:
        lonely = np.flatnonzero(sizes[labels] == 1)  # nothing to mix with: copies
        lonely = lonely[np.argsort(labels[lonely])]
        made.append(np.repeat(vectors[lonely], most - 1, axis=0))
        of_classes.append(np.repeat(labels[lonely], most - 1))
    return np.concatenate(made).astype(np.float32), np.concatenate(of_classes).astype(np.int32)


def _load() -> Any:
    """Imbalanced-learn's SMOTE.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        from imblearn.over_sampling import SMOTE
    except ImportError as error:
        raise MissingExtraError("mixtures by SMOTE", "balance") from error
    return SMOTE
