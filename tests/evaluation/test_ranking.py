from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from retrain_cli.evaluation import ranking
from retrain_cli.evaluation.ranking import rank_of, top_k

# Few distinct values, so that ties are common; many classes, so that both ways to sort are used.
score_tables = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.sampled_from([2, 3, 7, 129, 200])),
    elements=st.sampled_from([-1.5, 0.0, 0.25, 3.0]),
)


def in_order(row: np.ndarray) -> list[int]:
    return sorted(range(len(row)), key=lambda index: (-row[index], index))


@given(scores=score_tables, data=st.data())
def test_the_best_come_first_and_of_equals_the_lower_index(
    scores: np.ndarray, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, scores.shape[1]))
    found = top_k(scores, k)
    assert found.dtype == np.int32
    assert found.tolist() == [in_order(row)[:k] for row in scores]


@given(scores=score_tables, data=st.data())
def test_a_rank_is_the_place_in_that_order(scores: np.ndarray, data: st.DataObject) -> None:
    classes = data.draw(hnp.arrays(np.int32, len(scores), elements=st.integers(0, 1)))
    expected = [in_order(row).index(c) + 1 for row, c in zip(scores, classes, strict=True)]
    assert rank_of(scores, classes).tolist() == expected


def test_partitioning_agrees_with_sorting_on_many_classes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = np.random.default_rng(0).standard_normal((50, 1000))
    monkeypatch.setattr(ranking, "_CACHED_SCORES", 7000)  # seven images at a time
    assert scores.shape[1] > ranking._FULL_SORT_CLASSES
    assert (top_k(scores, 5) == np.argsort(-scores, axis=1)[:, :5]).all()
