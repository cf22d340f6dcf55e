"""How vectors come to the engine."""

from __future__ import annotations

import numpy as np
import pytest

from retrain_cli.engine import list_gpus, load_keras
from retrain_cli.heads.rows import on_device, read_rows


@pytest.mark.parametrize("offset", [0, 1, 3, 5])
def test_rows_are_gathered_from_memory_however_it_is_aligned(offset: int) -> None:
    flat = np.random.default_rng(0).normal(size=20 * 7 + offset).astype(np.float32)
    matrix = flat[offset:].reshape(20, 7)
    gathered = load_keras().ops.take(on_device(matrix), [3, 19, 3], axis=0)
    np.testing.assert_array_equal(np.asarray(gathered), matrix[[3, 19, 3]])


@pytest.mark.parametrize("kind", ["read-only", "strided", "empty"])
def test_what_cannot_be_taken_as_it_lies_is_copied(kind: str) -> None:
    matrix = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    matrix = {"read-only": matrix, "strided": matrix[:, ::2], "empty": matrix[:0]}[kind]
    matrix.flags.writeable = kind != "read-only"
    tensor = on_device(matrix)
    np.testing.assert_array_equal(np.asarray(tensor), matrix)


def test_an_aligned_matrix_is_not_copied() -> None:
    keras = load_keras()
    if keras.backend.backend() != "tensorflow" or list_gpus():
        pytest.skip("TensorFlow on a processor takes it as it lies")
    matrix = read_rows(np.ones((30, 5), np.float32), np.arange(20))
    tensor = on_device(matrix)
    matrix[7] = 3  # nobody may do that; it shows whose memory it is
    assert np.asarray(tensor)[7].tolist() == [3] * 5


def test_a_matrix_lives_as_long_as_its_tensor() -> None:
    tensor = on_device(np.full((1000, 100), 7, np.float32))
    ballast = [np.zeros((1000, 100), np.float32) for _ in range(20)]
    gathered = load_keras().ops.take(tensor, list(range(1000)), axis=0)
    assert (np.asarray(gathered) == 7).all()
    assert len(ballast) == 20
