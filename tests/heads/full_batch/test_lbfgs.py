from __future__ import annotations

from pathlib import Path

import pytest
from threadpoolctl import ThreadpoolController

from retrain_cli.heads.full_batch.lbfgs import scipy_on_one_thread


def blas_threads() -> dict[str, int]:
    """Threads of each BLAS in this process, by its file."""
    import scipy.linalg  # noqa: F401  (brings its own)

    libraries = ThreadpoolController().info()
    return {one["filepath"]: one["num_threads"] for one in libraries if one["user_api"] == "blas"}


def test_threads_of_scipy_leave_the_processors_to_numpy() -> None:
    before = blas_threads()
    own = {file for file in before if "scipy.libs" in Path(file).parts}
    if len(before) < 2 or not own:
        pytest.skip("NumPy and SciPy share one BLAS here")
    with scipy_on_one_thread():
        assert {file: threads for file, threads in blas_threads().items() if file in own} == (
            dict.fromkeys(own, 1)
        )
        assert {file: threads for file, threads in blas_threads().items() if file not in own} == {
            file: threads for file, threads in before.items() if file not in own
        }
    assert blas_threads() == before
