from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from retrain_cli.errors import RunError
from retrain_cli.evaluation import predictions
from retrain_cli.heads.head import Head
from retrain_cli.heads.layered.body import Body, DenseLayer, Scaling


def make_head(n_classes: int = 5, width: int = 8, seed: int = 0) -> Head:
    generator = np.random.default_rng(seed)
    weights = generator.standard_normal((width, n_classes), dtype=np.float32)
    bias = generator.standard_normal(n_classes, dtype=np.float32)
    return Head(tuple(f"class {i}" for i in range(n_classes)), weights, bias)


def make_bottlenecks(n_images: int = 20, width: int = 8) -> np.ndarray:
    return np.random.default_rng(9).standard_normal((n_images, width), dtype=np.float32)


def test_probabilities_are_the_softmax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "_CHUNK_VALUES", 15)
    monkeypatch.setattr(predictions, "_FEWEST_ROWS", 1)
    head, vectors = make_head(), make_bottlenecks()
    logits = vectors @ head.weights + head.bias
    np.testing.assert_allclose(head.probabilities(vectors), softmax(logits, axis=1), rtol=1e-5)
    np.testing.assert_allclose(
        head.log_probabilities(vectors), log_softmax(logits, axis=1), rtol=1e-5, atol=1e-6
    )


def test_huge_logits_do_not_overflow() -> None:
    head = Head(("a", "b"), np.eye(2, dtype=np.float32) * 1e4, np.zeros(2, np.float32))
    assert head.probabilities(np.eye(2, dtype=np.float32)).tolist() == [[1, 0], [0, 1]]
    assert np.isfinite(head.log_probabilities(np.eye(2, dtype=np.float32))).all()


def test_top_k_is_best_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "_CHUNK_VALUES", 15)
    monkeypatch.setattr(predictions, "_FEWEST_ROWS", 1)
    head, vectors = make_head(), make_bottlenecks()
    indices, scores = head.top_k(vectors, 3)
    probabilities = head.probabilities(vectors)
    assert (indices == np.argsort(-probabilities, axis=1)[:, :3]).all()
    np.testing.assert_allclose(scores, np.take_along_axis(probabilities, indices, 1), rtol=1e-5)


def test_more_than_all_classes_is_all() -> None:
    assert make_head().top_k(make_bottlenecks(), 99)[0].shape == (20, 5)


def test_bottlenecks_of_another_width_are_refused() -> None:
    with pytest.raises(RunError, match="8 wide"):
        make_head().logits(np.zeros((2, 7), np.float32))


def test_the_initial_head_is_small_and_the_same_each_time() -> None:
    first, second = (Head.initial(("a", "b"), 500, seed=4) for _ in range(2))
    assert (first.weights == second.weights).all()
    assert np.abs(first.weights).max() <= 0.002
    assert 0.0007 < first.weights.std() < 0.0011
    assert (first.weights != Head.initial(("a", "b"), 500, seed=5).weights).any()


def test_a_head_survives_saving(tmp_path: Path) -> None:
    head = Head(("γάτα", "犬 2"), np.ones((3, 2), np.float32), np.zeros(2, np.float32))
    head.save(tmp_path / "head.npz")
    loaded = Head.load(tmp_path / "head.npz")
    assert loaded.labels == head.labels
    assert (loaded.weights == head.weights).all()
    assert loaded.weights.dtype == loaded.bias.dtype == np.float32


@pytest.mark.parametrize("damage", ["missing", "cut", "text", "empty", "other", "shape"])
def test_a_damaged_file_is_a_run_error(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "head.npz"
    make_head().save(path)
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    elif damage == "other":
        np.savez(path, something=np.zeros(3))
    elif damage == "shape":
        np.savez(path, labels=["a"], weights=np.zeros((3, 2)), bias=np.zeros(2))
    else:
        path.write_text("not a head" if damage == "text" else "")
    with pytest.raises(RunError, match="train it again"):
        Head.load(path)


def test_an_object_array_is_not_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "head.npz"
    np.savez(path, labels=np.array(["a", "b"], object), weights=np.zeros((1, 2)), bias=np.zeros(2))
    with pytest.raises(RunError):
        Head.load(path)


def test_known_classes_keep_their_weights_and_new_ones_start_neutral() -> None:
    head = make_head(3)
    extended = head.extended_to(("class 2", "new", "class 0"))
    assert (extended.weights[:, 0] == head.weights[:, 2]).all()
    assert (extended.weights[:, 2] == head.weights[:, 0]).all()
    assert extended.bias[[0, 2]].tolist() == head.bias[[2, 0]].tolist()
    np.testing.assert_allclose(extended.weights[:, 1], head.weights.mean(axis=1), rtol=1e-5)
    assert head.extended_to(head.labels) is head


def test_a_head_that_knows_none_of_the_classes_is_refused() -> None:
    with pytest.raises(RunError, match="init_from"):
        make_head().extended_to(("x", "y"))


def test_a_head_is_extended_to_the_same_names_in_another_unicode_form() -> None:
    head = replace(make_head(2), labels=("caf\u00e9", "owl"))
    extended = head.extended_to(("cafe\u0301", "owl"))
    np.testing.assert_array_equal(extended.weights, head.weights)
    assert extended.labels == ("cafe\u0301", "owl")


def make_layered_head() -> Head:
    generator = np.random.default_rng(2)

    def numbers(*shape: int) -> np.ndarray:
        return generator.standard_normal(shape, dtype=np.float32)

    hidden = (DenseLayer(numbers(8, 6), numbers(6)), DenseLayer(numbers(6, 4), numbers(4)))
    body = Body(unit_length=True, hidden=hidden, activation="gelu", cosine=True)
    return Head(("a", "b", "c"), numbers(4, 3), numbers(3), body)


def test_a_head_of_several_layers_survives_saving(tmp_path: Path) -> None:
    scaling = Scaling(np.arange(8, dtype=np.float32), np.arange(1, 9, dtype=np.float32))
    only_cosine = Head(("a",), np.ones((8, 1), np.float32), np.zeros(1, np.float32))
    for head in (
        make_layered_head(),
        replace(only_cosine, body=Body(scaling=scaling, cosine=True)),
        replace(only_cosine, body=Body(unit_length=True)),
    ):
        head.save(tmp_path / "head.npz")
        loaded = Head.load(tmp_path / "head.npz")
        assert head.width == loaded.width == 8
        vectors = make_bottlenecks()
        assert (loaded.logits(vectors) == head.logits(vectors)).all()


def test_a_plain_head_is_the_file_that_it_always_was(tmp_path: Path) -> None:
    make_head().save(tmp_path / "head.npz")
    with np.load(tmp_path / "head.npz") as arrays:
        assert sorted(arrays.files) == ["bias", "labels", "weights"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("body_activation", np.array("step")),
        ("body_activation", np.array(3)),
        ("body_flags", np.array(["other"])),
        ("body_weights_1", np.ones((8, 5), np.float32)),
        ("body_weights_1", np.full((8, 6), np.nan, np.float32)),
        ("body_weights_2", np.ones((7, 4), np.float32)),
        ("body_bias_2", np.ones(3, np.float32)),
        ("body_bias_2", None),
        ("body_flags", None),
        ("body_mean", np.ones(8, np.float32)),
        ("body_weights_3", np.ones((4, 4), np.float32)),
        ("body_later", np.ones(4, np.float32)),
    ],
)
def test_layers_that_do_not_fit_are_a_run_error(tmp_path: Path, name: str, value: object) -> None:
    path = tmp_path / "head.npz"
    make_layered_head().save(path)
    with np.load(path) as file:
        arrays = dict(file)
    arrays.pop(name, None)
    if value is not None:
        arrays[name] = np.asarray(value)
    np.savez(path, **arrays)
    with pytest.raises(RunError, match="train it again"):
        Head.load(path)


def test_temperature_and_classes_leave_the_layers_before_alone() -> None:
    head, vectors = make_layered_head(), make_bottlenecks()
    np.testing.assert_allclose(
        head.at_temperature(2).logits(vectors), head.logits(vectors) / 2, rtol=1e-5, atol=1e-6
    )
    other = head.extended_to(("c", "new", "a"))
    assert other.body is head.body
    np.testing.assert_array_equal(other.logits(vectors)[:, [0, 2]], head.logits(vectors)[:, [2, 0]])
    last = head.last_layer.logits(head.features(vectors))
    np.testing.assert_array_equal(last, head.logits(vectors))


def test_wide_layers_are_computed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    head, vectors = make_layered_head(), make_bottlenecks()
    whole = head.probabilities(vectors)
    monkeypatch.setattr(predictions, "_CHUNK_VALUES", 12)
    monkeypatch.setattr(predictions, "_FEWEST_ROWS", 1)  # two images by the widest layer
    assert max(len(vectors[rows]) for rows in head._chunks(len(vectors))) == 2
    np.testing.assert_allclose(head.probabilities(vectors), whole, rtol=1e-5)
