"""How a growing cache is measured: a straight line for the forecast, the sizes as asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.cache_size import (
    FORECAST,
    IndexSize,
    forecast,
    measure_cache,
    measure_checking,
    measure_index,
)


def test_the_forecast_is_on_the_line_through_the_sizes() -> None:
    sizes = [IndexSize(rows, 5.0 + rows / 1e6, 100.0, 0.5, 2.0) for rows in (1000, 3000, 9000)]
    said = forecast(sizes)
    assert said["insert"] == pytest.approx(5.0 + FORECAST / 1e6)
    assert said["bytes"] == pytest.approx(100.0)
    assert said["read"] == pytest.approx(2.0)


def test_the_cache_and_the_index_grow_as_told(tmp_path: Path) -> None:
    grown = measure_cache(tmp_path / "cache.sqlite", (10_000, 11_000), "float16")
    assert [one.rows for one in grown] == [10_000, 11_000]
    assert all(2560 < one.bytes < 2900 for one in grown)
    assert measure_checking(tmp_path / "cache.sqlite").rows == 11_000
    assert [one.rows for one in measure_index(tmp_path / "index.sqlite", (2000,))] == [2000]
