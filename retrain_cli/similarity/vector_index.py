"""An index for nearest photos among more than a million, kept beside the cache; an extra.

USearch: HNSW, Y. Malkov and D. Yashunin, "Efficient and robust approximate nearest neighbor search
using Hierarchical Navigable Small World graphs", IEEE TPAMI 42, 2020. It is approximate: now and
then one of the nearest is missed. Vectors are kept in 16 bits.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import MissingExtraError
from retrain_cli.similarity.neighbours import Neighbours
from retrain_cli.workspace import replacing, writing_to


class VectorIndex:
    """Nearest rows of a large matrix by cosine, approximately.

    Args:
        path: the index's file.
    """

    def __init__(self, path: Path) -> None:
        self._index: Any = _usearch().restore(str(path), view=True)

    @classmethod
    def build(cls, path: Path, blocks: Iterable[NDArray[np.float32]], width: int) -> VectorIndex:
        """Index the rows of some blocks, `(n, width) float32` each, in order, and keep the file.

        Raises:
            MissingExtraError: the package is not installed.
            WorkspaceError: the file cannot be written.
        """
        index = _usearch()(ndim=width, metric="cos", dtype="f16")
        for block in blocks:
            index.add(np.arange(len(index), len(index) + len(block)), block)
        with writing_to(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft:
            index.save(str(draft))
        return cls(path)

    def nearest(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """As `neighbours.nearest`, save that it is approximate."""
        k = min(k, len(self._index))
        found = self._index.search(queries, k)
        keys = np.asarray(found.keys, np.int64).reshape(len(queries), k)
        distances = np.asarray(found.distances, np.float32).reshape(len(queries), k)
        return Neighbours(keys, 1 - distances)


def _usearch() -> Any:
    try:
        from usearch.index import Index
    except ImportError as error:
        raise MissingExtraError("searches with an index", "index") from error
    return Index
