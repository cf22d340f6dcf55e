"""Which images go into which batch, and which of them take part in training at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.class_names import NameFinder, close_names, listed
from retrain_cli.errors import ConfigError, setting
from retrain_cli.heads.config import Sampling

BLOCK_IMAGES = 32
"""Neighbours that are read together: 64 to 256 kB, which a disk reads as fast as any stretch."""
MIXED_BLOCKS = 512
"""Blocks that are shuffled together: 16,384 images, 84 MB of 1,280 numbers each."""


class Sampler(Protocol):
    """Draws batches, the same ones however many are asked for at a time."""

    def draw(self, n_steps: int, batch_size: int) -> NDArray[np.int64]:
        """The next batches, `(n_steps, batch_size) int64`, as positions among the images."""


class BalancedSampler:
    """A class first, each as likely, then one of its images, each as likely; as in the original.

    Args:
        labels: `(n_images,)` class of each image; classes without images are never drawn.
        seed: equal seeds draw equal batches.
    """

    def __init__(self, labels: NDArray[np.integer], seed: int) -> None:
        self._order = np.argsort(labels, kind="stable")
        _, self._starts, self._sizes = np.unique(
            labels[self._order], return_index=True, return_counts=True
        )
        self._generator = np.random.default_rng(seed)

    def draw(self, n_steps: int, batch_size: int) -> NDArray[np.int64]:
        """See `Sampler`."""
        # Two numbers for each image, in the order of the images: blocks of any size agree.
        chance = self._generator.random((n_steps, batch_size, 2))
        classes = (chance[..., 0] * len(self._sizes)).astype(np.int64)
        within = (chance[..., 1] * self._sizes[classes]).astype(np.int64)
        positions: NDArray[np.int64] = self._order[self._starts[classes] + within]
        return positions


class ShuffledSampler:
    """All images in random order, then all again in another.

    Args:
        n_images: how many there are.
        seed: equal seeds draw equal batches.
    """

    def __init__(self, n_images: int, seed: int) -> None:
        self._n_images = n_images
        self._waiting = np.empty(0, np.int64)
        self._generator = np.random.default_rng(seed)

    def draw(self, n_steps: int, batch_size: int) -> NDArray[np.int64]:
        """See `Sampler`; a batch may end one round and begin the next."""
        wanted = n_steps * batch_size
        rounds = [self._waiting]
        missing = wanted - len(self._waiting)
        for _ in range(-(-missing // self._n_images)):
            rounds.append(self._generator.permutation(self._n_images))
        drawn = np.concatenate(rounds)
        self._waiting = drawn[wanted:]
        return drawn[:wanted].reshape(n_steps, batch_size)


class BlockSampler:
    """All images once a round, in random order of short blocks of neighbours.

    Vectors that lie on a disk are read some dozen at a time then, in place of one here and there.
    So that batches are mixed, many blocks drawn at random are shuffled together before any of their
    images are shown, as programs do that read files of records: files in random order, and a buffer
    (https://www.tensorflow.org/api_docs/python/tf/data/Dataset#shuffle).

    Args:
        n_images: how many there are.
        seed: equal seeds draw equal batches.
    """

    def __init__(self, n_images: int, seed: int) -> None:
        self._n_images = n_images
        self._blocks = np.empty(0, np.int64)  # of this round, those still to come
        self._waiting = np.empty(0, np.int64)
        self._generator = np.random.default_rng(seed)

    def draw(self, n_steps: int, batch_size: int) -> NDArray[np.int64]:
        """See `Sampler`; a batch may end one round and begin the next."""
        wanted, parts = n_steps * batch_size, [self._waiting]
        while sum(map(len, parts)) < wanted:
            parts.append(self._next_mixture())
        drawn = np.concatenate(parts)
        self._waiting = drawn[wanted:]
        return drawn[:wanted].reshape(n_steps, batch_size)

    def _next_mixture(self) -> NDArray[np.int64]:
        if not len(self._blocks):
            self._blocks = self._generator.permutation(-(-self._n_images // BLOCK_IMAGES))
        some, self._blocks = self._blocks[:MIXED_BLOCKS], self._blocks[MIXED_BLOCKS:]
        images = (BLOCK_IMAGES * some[:, None] + np.arange(BLOCK_IMAGES)).reshape(-1)
        return self._generator.permutation(images[images < self._n_images])


def make_sampler(sampling: Sampling, labels: NDArray[np.integer], seed: int) -> Sampler:
    """The sampler of this name for images of these classes."""
    if sampling == "balanced":
        return BalancedSampler(labels, seed)
    if sampling == "blocks":
        return BlockSampler(len(labels), seed)
    return ShuffledSampler(len(labels), seed)


def select_training(
    labels: NDArray[np.integer], training: NDArray[np.int64], per_class: int | None, seed: int
) -> NDArray[np.int64]:
    """At most so many training images of each class.

    The choice is nested: with the same seed, the 5 images of a class are among its 10.

    Args:
        labels: `(n_images,)` class of every image.
        training: `(n_training,)` rows to choose from.
        per_class: how many of each class; None for all.
        seed: equal seeds choose equally.

    Returns:
        The chosen rows, in the order of `training`.
    """
    if per_class is None:
        return training
    order = np.random.default_rng(seed).permutation(len(training))
    order = order[np.argsort(labels[training[order]], kind="stable")]
    classes = labels[training[order]]
    # The place of each image among those of its class: its own place less that of the first.
    place = np.arange(len(order)) - np.searchsorted(classes, classes)
    return training[np.sort(order[place < per_class])]


def deal_evenly(
    labels: NDArray[np.integer], groups: NDArray[np.int64], n_folds: int, seed: Sequence[int]
) -> NDArray[np.int64]:
    """The fold of each image, `(n_images,)`: groups stay together, classes are dealt out evenly.

    Args:
        labels: `(n_images,)` class of each image.
        groups: `(n_images,)`, images of equal number are in one fold.
        n_folds: how many folds.
        seed: equal seeds deal equally.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold_of: dict[int, int] = {}
    for group in groups[order].tolist():
        fold_of.setdefault(group, len(fold_of) % n_folds)
    return np.array([fold_of[group] for group in groups.tolist()], np.int64)


def select_classes(
    labels: NDArray[np.integer], class_names: Sequence[str], wanted: Sequence[str]
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Keep some classes only.

    Args:
        labels: `(n_images,)` index into `class_names`.
        class_names: all classes.
        wanted: those to keep.

    Returns:
        New labels, `(n_images,) int32`, -1 for images of the other classes; and the names of the
        classes that were kept, in the order of `class_names`.

    Raises:
        ConfigError: a wanted class does not exist, or fewer than two are wanted.
    """
    find = NameFinder(class_names)
    found = {name: find(name) for name in wanted}
    for name, known in found.items():
        if known is None:
            close = close_names(name, class_names) or list(class_names[:3])
            quotes = " (a name with a comma stands in double quotes)" * any(
                "," in name for name in class_names
            )
            raise ConfigError(
                f"{setting('classes')} takes names of classes; {name!r} is none, but "
                f"{listed(close)} is{quotes}"
            )
    chosen = set(found.values())
    kept = tuple(name for name in class_names if name in chosen)
    if len(kept) < 2:
        raise ConfigError(
            f"{setting('classes')} needs at least two different classes, not {len(kept)}"
        )
    position = {name: index for index, name in enumerate(kept)}
    new_index = np.array([position.get(name, -1) for name in class_names], np.int32)
    return new_index[labels], kept
