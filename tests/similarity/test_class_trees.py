"""Trees of classes against SciPy's own cut, and what keeps groups whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import cdist, cosine

from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.similarity.class_trees import (
    Clustering,
    cosine_distance,
    distance_of_means,
    grow_tree,
    majority,
    mean_distance,
)

HOW = Clustering()


def clouds(*sizes: int, seed: int = 0) -> Any:
    """Photos in two pairs of clouds, the pairs far from each other, `(n, 8) float32`."""
    generator = np.random.default_rng(seed)
    centres = [0.0, 10.0, 100.0, 112.0]
    return np.concatenate(
        [
            centre + generator.normal(size=(size, 8))
            for centre, size in zip(centres, sizes, strict=False)
        ]
    ).astype(np.float32)


def parts_of(labels: Any) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == one).tolist()) for one in set(labels.tolist())}


@pytest.mark.parametrize("method", ["ward", "average", "complete", "weighted", "single"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "correlation", "cityblock"])
def test_the_first_level_is_scipys_cut_into_two(method: Any, metric: Any) -> None:
    if method == "ward" and metric != "euclidean":
        pytest.skip("ward is Euclidean")
    vectors = np.random.default_rng(5).normal(size=(40, 6)).astype(np.float32) + 1
    tree = grow_tree("ant", np.arange(40), vectors, Clustering(method, metric))
    cut = fcluster(linkage(vectors.astype(float), method, metric), 2, "maxclust")
    assert {frozenset(node.rows.tolist()) for node in tree.first} == parts_of(cut)
    assert len(tree.first[0].rows) >= len(tree.first[1].rows)


def test_the_second_level_divides_each_node_of_the_first() -> None:
    vectors = clouds(20, 9, 6, 4)
    tree = grow_tree("ant", np.arange(100, 139), vectors, HOW)
    assert [node.name for node in tree.second] == ["ant 1", "ant 2", "ant 3", "ant 4"]
    for number, node in enumerate(tree.first):
        below = tree.second[2 * number : 2 * number + 2]
        assert sorted(np.concatenate([one.rows for one in below])) == node.rows.tolist()
        assert len(below[0].rows) >= len(below[1].rows)
    cut = fcluster(linkage(vectors.astype(float), "ward"), 4, "maxclust")  # clouds are clear
    assert {frozenset((one.rows - 100).tolist()) for one in tree.second} == parts_of(cut)


def test_a_node_of_one_photo_has_no_nodes_below_it() -> None:
    tree = grow_tree("ant", np.arange(8), clouds(7, 1), HOW)
    assert [len(node.rows) for node in tree.first] == [7, 1]
    assert [node.name for node in tree.second] == ["ant 1", "ant 2", "ant 3"]


def test_a_group_stands_whole_where_more_of_its_photos_are() -> None:
    vectors, groups = clouds(10, 5), np.arange(15)
    groups[[7, 8, 9, 10]] = 7  # three in the larger cloud, one in the smaller
    tree = grow_tree("ant", np.arange(15), vectors, HOW, groups)
    assert tree.first[0].rows.tolist() == [*range(11)]
    below = [set(node.rows.tolist()) for node in tree.second]
    assert any({7, 8, 9, 10} <= one for one in below)
    assert sorted(row for one in below for row in one) == [*range(15)]


def test_a_class_of_one_group_is_not_cut() -> None:
    with pytest.raises(DatasetError, match=r"all of ant stay in one.*\n?"):
        grow_tree("ant", np.arange(9), clouds(5, 4), HOW, np.zeros(9, int))


def test_one_photo_is_not_cut() -> None:
    with pytest.raises(DatasetError, match="ant has 1 photo"):
        grow_tree("ant", np.arange(1), clouds(1), HOW)


def test_more_distances_than_memory_holds_are_refused() -> None:
    with pytest.raises(DatasetError, match="MiB"):
        grow_tree("ant", np.arange(50), clouds(50), HOW, room=1000)


def test_a_bottleneck_of_zeros_has_no_cosine() -> None:
    vectors = clouds(5, 4)
    vectors[2] = 0
    with pytest.raises(DatasetError, match="bottleneck of zeros"):
        grow_tree("ant", np.arange(9), vectors, Clustering("average", "cosine"))


@pytest.mark.parametrize(
    ("linkage", "metric"), [("ward", "cosine"), ("centroid", "euclidean"), ("ward", "manhattan")]
)
def test_what_does_not_go_together_is_refused(linkage: Any, metric: Any) -> None:
    with pytest.raises(ConfigError):
        Clustering(linkage, metric).validate()


def test_equal_photos_can_be_cut() -> None:
    tree = grow_tree("ant", np.arange(6), np.ones((6, 3), np.float32), HOW)
    assert sum(len(node.rows) for node in tree.first) == 6


def test_distances_are_those_of_scipy() -> None:
    generator = np.random.default_rng(2)
    a, b = (generator.random((n, 7)).astype(np.float32) for n in (30, 12))
    assert cosine_distance(a[0], b[0]) == pytest.approx(cosine(a[0], b[0]))
    assert distance_of_means(a, b) == pytest.approx(cosine(a.mean(axis=0), b.mean(axis=0)))
    assert mean_distance(a, b) == pytest.approx(cdist(a, b, "cosine").mean())


def test_a_vector_of_zeros_is_as_far_as_can_be() -> None:
    ones = np.ones((3, 4), np.float32)
    assert mean_distance(ones, np.vstack([ones[:1], 0 * ones[:1]])) == pytest.approx(0.5)


def test_of_equal_sides_a_group_takes_the_first() -> None:
    side, groups = np.array([1, 0, 1, 1, 0]), np.array([4, 4, 9, 9, 9])
    assert majority(side, groups).tolist() == [0, 0, 1, 1, 1]
