from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retrain_cli.errors import ConfigError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.studies.energy import find_meters
from retrain_cli.studies.protocols.cost import CostFacts, CostStudy, peak_memory
from retrain_cli.studies.study import StudySettings
from retrain_cli.studies.study_data import StudyData

FACTS = CostFacts(images=600, images_per_second=20.0, cache_bytes=3_000_000, parameters=1_000_000)
SETTINGS = StudySettings(2, TrainingConfig(steps=30, batch_size=10))


def test_measured_and_estimated_side_by_side(
    make_data: Callable[..., StudyData], conduct: Any
) -> None:
    data = make_data(3, 3)
    result = conduct(CostStudy(FACTS, epochs=10), data, SETTINGS)
    figures = result.to_dict()
    own, scratch, anew = (figures[n] for n in ("retraining", "from_scratch", "pre_training"))
    assert own["bottlenecks"] == 30.0
    assert own["training"] > 0
    assert own["time in all"] == own["bottlenecks"] + own["training"]
    assert scratch["time in all"] == pytest.approx(3 * 72 * 10 / 20)  # 72 training images
    assert anew["time in all"] == pytest.approx(3 * 1_281_167 * 100 / 20)
    assert own["disk"] == 3_000_000 + 4 * 13 * 6
    assert scratch["memory"] == 16_000_000
    assert next(row[0] for row in result.tables[0].rows) == "bottlenecks"
    assert len(result.charts[0].series[0].x) == 3


def test_what_is_not_known_is_not_made_up(
    make_data: Callable[..., StudyData], conduct: Any
) -> None:
    facts = CostFacts(600, None, 3_000_000, None)
    result = conduct(CostStudy(facts), make_data(2, 2), SETTINGS)
    cells = {row[0]: row[1:] for row in result.tables[0].rows}
    assert cells["time in all"] == ("n/a", "n/a", "n/a")
    assert cells["training"][0] != "n/a"
    assert cells["memory"][1] == "n/a"
    assert any("speed is known after" in note for note in result.notes)


def test_epochs(make_data: Callable[..., StudyData]) -> None:
    with pytest.raises(ConfigError, match="epochs"):
        CostStudy(FACTS, 0).trials(make_data(2, 2), SETTINGS)


def test_memory_is_told() -> None:
    peak = peak_memory()
    assert peak is not None
    assert 10e6 < peak < 1e12


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """Two packages as Linux shows them, one of them with a part, one that may not be read."""
    for name in ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "max_energy_range_uj").write_text("262143000000\n")
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("5000000\n")
    (tmp_path / "intel-rapl:0:0" / "energy_uj").write_text("1000000\n")
    return tmp_path


def test_packages_are_counted_once_and_wrap_around(powercap: Path) -> None:
    meters = [meter for meter in find_meters(powercap) if not meter.name.startswith("gpu")]
    assert [meter.name for meter in meters] == ["intel-rapl:0"]
    (meter,) = meters
    before = meter.read()
    assert before == 5.0
    (powercap / "intel-rapl:0" / "energy_uj").write_text("7500000\n")
    assert meter.since(before) == pytest.approx(2.5)
    (powercap / "intel-rapl:0" / "energy_uj").write_text("1000000\n")
    assert meter.since(before) == pytest.approx(262143 - 4)


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    assert [m for m in find_meters(tmp_path / "none") if not m.name.startswith("gpu")] == []
