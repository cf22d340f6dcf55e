"""Which images each class has, all in one pass: one for each class would be quadratic."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rows_of_classes(labels: NDArray[np.integer], n_classes: int) -> list[NDArray[np.int64]]:
    """Rows of the images of each class, ascending.

    Args:
        labels: `(n_images,)`, from 0 to n_classes - 1.
        n_classes: number of classes, those without images included.

    Returns:
        `n_classes` arrays, some of them perhaps empty.
    """
    ends = np.cumsum(np.bincount(labels, minlength=n_classes))
    return np.split(np.argsort(labels, kind="stable"), ends[:-1])
