"""Test photos that training has seen, exactly or nearly: what `check` saw is what others tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.dataset import Dataset
from retrain_cli.datasets.splits import SPLITS
from retrain_cli.errors import CacheError
from retrain_cli.evaluation.predictions import ImageTable
from retrain_cli.similarity.photo_facts import PhotoFacts
from retrain_cli.workflows.shared.duplicates import DuplicateGroup
from retrain_cli.workspace import Workspace


def remember_duplicates(
    dataset: Dataset, groups: Sequence[DuplicateGroup], workspace: Workspace
) -> None:
    """Keep which photos are nearly the same, for evaluations and reports of them."""
    firsts = {digest: digest for digest in dataset.digests}
    for group in groups:
        digests = [dataset.digests[row] for row in group.rows]
        if group.kind == "near":
            firsts.update(dict.fromkeys(digests, min(digests)))
    with PhotoFacts(workspace.photos_path) as facts:
        facts.remember_alike(firsts)


def known_alike(workspace: Workspace) -> dict[bytes, bytes]:
    """For each photo that was checked the first of those nearly the same; empty without a check."""
    if not workspace.photos_path.is_file():
        return {}
    try:
        with PhotoFacts(workspace.photos_path) as facts:
            return facts.alike()
    except CacheError:  # a damaged file is told by `check`; an evaluation does without
        return {}


def count_unchecked(images: ImageTable, alike: Mapping[bytes, bytes]) -> int:
    """How many photos of a run no check has compared with others: of these copies alone are known.

    Args:
        images: the photos of a run.
        alike: what `known_alike` gives.
    """
    return sum(row.tobytes() not in alike for row in images.digest)


def leaked_rows(images: ImageTable, alike: Mapping[bytes, bytes]) -> NDArray[np.int64]:
    """Rows of the test photos of which training or validation holds a copy or a near duplicate.

    Args:
        images: the photos of a run.
        alike: what `known_alike` gives; a photo that is not in it stands for itself.
    """
    digests = [row.tobytes() for row in images.digest]
    firsts = [alike.get(digest, digest) for digest in digests]
    is_test = (images.split == SPLITS.index("test")).tolist()
    seen = {first for first, test in zip(firsts, is_test, strict=True) if not test}
    rows = [row for row, test in enumerate(is_test) if test and firsts[row] in seen]
    return np.array(rows, np.int64)
