"""The tree of a class as a panel of a figure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.reports.charts import TreeChart, TreeLink
from retrain_cli.similarity.class_trees import ClassTree, Clustering

_LEAVES = 20
"""Clusters at the foot of a panel; what is below them is told as a number of photos."""
_NO_BRANCH = -1


def tree_chart(tree: ClassTree, how: Clustering) -> TreeChart:
    """The last links of a tree, in the colours of its two nodes."""
    from scipy.cluster.hierarchy import dendrogram

    n = len(tree.rows)
    branch = _branches(tree.merges)
    drawn = dendrogram(
        tree.merges,
        truncate_mode="lastp",
        p=min(_LEAVES, n),
        no_plot=True,
        link_color_func=lambda node: f"C{branch[node]}",
    )
    links = [
        TreeLink(tuple(x), tuple(y), int(colour[1:]))
        for x, y, colour in zip(drawn["icoord"], drawn["dcoord"], drawn["color_list"], strict=True)
    ]
    texts = [_count(text) for text in drawn["ivl"]]
    ticks = [(5.0 + 10.0 * place, text) for place, text in enumerate(texts)]  # where SciPy has them
    larger, smaller = (len(node.rows) for node in tree.first)
    return TreeChart(
        f"{tree.name}, {n:,} photos",
        f"{how.linkage} linkage, {how.metric}",
        links,
        ticks,
        (f"A, source: {larger:,}", f"B, target: {smaller:,}"),
    )


def _count(text: str) -> str:
    """Photos below a foot: SciPy writes `(12)`, and the number of the photo for one alone."""
    return text[1:-1] if text.startswith("(") else "1"


def _branches(merges: NDArray[np.float64]) -> dict[int, int]:
    """For each node whether it is of the larger child of the root, 0, or of the smaller, 1."""
    n = len(merges) + 1
    root: Any = merges[-1, :2].astype(int).tolist()
    sizes = [1 if child < n else int(merges[child - n, 3]) for child in root]
    order = root if sizes[0] >= sizes[1] else root[::-1]
    found = dict.fromkeys(range(2 * n - 1), _NO_BRANCH)
    for number, top in enumerate(order):
        open_nodes = [top]
        while open_nodes:
            node = open_nodes.pop()
            found[node] = number
            if node >= n:
                open_nodes += merges[node - n, :2].astype(int).tolist()
    return found
