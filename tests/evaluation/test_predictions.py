from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain_cli.errors import RunError
from retrain_cli.evaluation import predictions as module
from retrain_cli.evaluation.predictions import (
    ImageTable,
    PackedStrings,
    Predictions,
    list_misclassified,
    n_saved_classes,
    predict,
)


class Lookup:
    """A classifier that answers with the bottlenecks themselves."""

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes

    def log_probabilities(self, bottlenecks: np.ndarray) -> np.ndarray:
        return bottlenecks


def make_images(labels: list[int], paths: list[str] | None = None) -> ImageTable:
    n = len(labels)
    return ImageTable(
        np.arange(n, dtype=np.uint8) % 3,
        np.arange(16 * n, dtype=np.uint8).reshape(n, 16),
        paths or [f"cat/{i}.jpg" for i in range(n)],
        np.array(labels, np.int32),
    )


SCORES = np.log(
    np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6], [0.7, 0.2, 0.1]], np.float32)
)


def test_rank_score_and_best_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK_VALUES", 6)
    monkeypatch.setattr(module, "_FEWEST_ROWS", 1)
    made = predict(Lookup(3), SCORES, make_images([0, 2, 1, 2]))
    assert made.rank.tolist() == [1, 2, 3, 3]
    assert np.exp(made.log_probability) == pytest.approx([0.5, 0.3, 0.2, 0.1])
    assert made.top_classes.tolist() == [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]
    assert made.top_scores[0] == pytest.approx([0.5, 0.3, 0.2])


def test_rows_of_a_split() -> None:
    made = predict(Lookup(3), SCORES, make_images([0, 0, 0, 0]))
    assert [made.rows(split).tolist() for split in ("training", "validation", "test", None)] == [
        [0, 3],
        [1],
        [2],
        [0, 1, 2, 3],
    ]


def test_they_survive_saving(tmp_path: Path) -> None:
    paths = ["ναυς/1.jpg", "a\udcff b.jpg", "", "x"]
    made = predict(Lookup(3), SCORES, make_images([0, 2, 1, 2], paths))
    made.save(tmp_path / "p.npz")
    loaded = Predictions.load(tmp_path / "p.npz")
    assert list(loaded.images.paths) == paths
    assert loaded.n_classes == 3
    for name in ("rank", "log_probability", "top_classes", "top_scores"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(made, name))
    for name in ("split", "digest", "labels"):
        np.testing.assert_array_equal(getattr(loaded.images, name), getattr(made.images, name))


def test_no_images_at_all_can_be_saved(tmp_path: Path) -> None:
    predict(Lookup(3), SCORES[:0], make_images([])).save(tmp_path / "p.npz")
    assert len(Predictions.load(tmp_path / "p.npz")) == 0


@pytest.mark.parametrize("damage", ["missing", "cut", "rows", "paths"])
def test_a_damaged_file_is_a_run_error(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "p.npz"
    predict(Lookup(3), SCORES, make_images([0, 2, 1, 2])).save(path)
    arrays = dict(np.load(path))
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    elif damage == "rows":
        np.savez(path, **{**arrays, "rank": arrays["rank"][:2]})
    else:
        np.savez(path, **{**arrays, "path_offsets": arrays["path_offsets"] + 1})
    with pytest.raises(RunError, match="predictions"):
        Predictions.load(path)


def test_the_surest_mistakes_come_first() -> None:
    made = predict(Lookup(3), SCORES, make_images([0, 2, 1, 2]))
    rows = list_misclassified(made, None, ["a", "b", "c"])
    assert [(row.path, row.true, row.predicted) for row in rows] == [
        ("cat/3.jpg", "c", "a"),
        ("cat/1.jpg", "c", "b"),
        ("cat/2.jpg", "b", "c"),
    ]
    assert [row.score for row in rows] == pytest.approx([0.7, 0.6, 0.6])
    assert [row.path for row in list_misclassified(made, "test", ["a", "b", "c"])] == ["cat/2.jpg"]


@pytest.mark.parametrize(
    ("n_images", "n_classes", "k"),
    [(100, 3, 3), (100, 10_000, 100), (1_000_000, 10_000, 20), (10**8, 10_000, 5), (0, 7, 7)],
)
def test_how_many_classes_are_saved(n_images: int, n_classes: int, k: int) -> None:
    assert n_saved_classes(n_images, n_classes) == k


@given(strings=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=20))
def test_packed_strings_are_a_sequence_of_them(strings: list[str]) -> None:
    packed = PackedStrings.pack(strings)
    assert list(packed) == strings
    assert packed[1:3] == strings[1:3]
    assert not strings or packed[-1] == strings[-1]
    with pytest.raises(IndexError):
        packed[len(strings)]
