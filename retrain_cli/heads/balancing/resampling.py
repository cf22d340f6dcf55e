"""Training data in which all classes have as many images as the largest.

What is added are copies (oversample), distorted views (views) or mixtures (smote) of the training
images of the class; validation images stay what and how many they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.dataset import rows_of_classes
from retrain_cli.errors import ConfigError, setting
from retrain_cli.heads.balancing.smote import add_mixtures
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData


def resampled(data: HeadData, config: TrainingConfig, memory_limit: int | None) -> HeadData:
    """The data that a head is trained on, its views among the training images.

    Args:
        data: as it is; every class has a training image.
        config: the training settings.
        memory_limit: as of `train_head`.

    Raises:
        ConfigError: views are asked for and there are none, or memory does not hold the mixtures.
        MissingExtraError: SMOTE without imbalanced-learn.
    """
    if config.balance == "views":
        return _with_views_of_small_classes(data, config.seed)
    data = data.with_views()
    if config.balance == "oversample":
        return replace(data, training=_with_copies(data, config.seed))
    if config.balance == "smote":
        return add_mixtures(data, config.seed, memory_limit)
    return data


def _with_copies(data: HeadData, seed: int) -> NDArray[np.int64]:
    """The training rows, those of small classes again and again, each as often but for one."""
    generator = np.random.default_rng([seed, 0xBA1A])
    rows = [data.training]
    for own, missing in _classes(data):
        rows.append(np.resize(generator.permutation(own), missing))
    return np.concatenate(rows)


def _with_views_of_small_classes(data: HeadData, seed: int) -> HeadData:
    """Small classes filled with the first view of each image, then the second, and so on.

    Where that is not enough the images come again, and then their views.
    """
    if data.views is None:
        raise ConfigError(
            f"{setting('balance', 'views')} fills small classes with distorted views of their "
            f"photos, and none was computed: run `retrain bottlenecks` with {setting('views', 8)} "
            "first"
        )
    n_images = len(data.labels)
    generator = np.random.default_rng([seed, 0xBA1A])
    rows = [data.training]
    for own, missing in _classes(data):
        order = [*range(1, data.n_views + 1), 0]
        cycle = [generator.permutation(own) + view * n_images for view in order]
        rows.append(np.resize(np.concatenate(cycle), missing))
    return replace(data.with_views(), training=np.concatenate(rows))


def _classes(data: HeadData) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Training rows of each class, and how many it lacks to have as many as the largest."""
    labels = data.labels[data.training]
    classes = rows_of_classes(labels, data.n_classes)
    largest = max(map(len, classes))
    for rows in classes:
        yield data.training[rows], largest - len(rows)
