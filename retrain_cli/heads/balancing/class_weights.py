"""How much an image of each class counts in the loss, so that all classes count alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def balanced_class_weights(labels: NDArray[np.integer], n_classes: int) -> NDArray[np.float32]:
    """The weight of an image of each class, `(n_classes,) float32`, 1 in the mean over the images.

    `n_images / (n_classes * images of the class)`: G. King and L. Zeng, "Logistic regression in
    rare events data", 2001, as scikit-learn's `compute_class_weight("balanced")` has it.

    Args:
        labels: `(n_images,)` class of each; every class has one at least.
        n_classes: number of classes.
    """
    sizes = np.bincount(labels, minlength=n_classes)
    weights: NDArray[np.float32] = (len(labels) / (n_classes * sizes)).astype(np.float32)
    return weights
