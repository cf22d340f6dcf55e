from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.studies.protocols.few_shot import FewShotStudy
from retrain_cli.studies.study import StudySettings
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import TrialContext

SETTINGS = StudySettings(2, TrainingConfig(steps=150, eval_every=150, batch_size=50))


def test_a_class_is_found_again(make_data: Callable[..., StudyData], conduct: Any) -> None:
    data = make_data(3, 5, per_class=30)
    result = conduct(FewShotStudy(2, (1, 5), retrain=True), data, SETTINGS)
    by_size, ranks = result.tables
    assert [row[:2] for row in by_size.rows] == [
        (1, "kept"),
        (1, "retrained"),
        (5, "kept"),
        (5, "retrained"),
    ]
    kept = {row[0]: row for row in by_size.rows if row[1] == "kept"}
    assert kept[5][2].value > 0.7
    assert kept[5][3].value >= kept[5][2].value
    # One base head a class and repeat: what it was before depends on neither size nor mode.
    assert len({row[4].value for row in by_size.rows}) == 1
    assert kept[5][5].value > kept[5][4].value - 0.1
    assert [row[1] for row in ranks.rows] == ["kept", "retrained"] * 2
    assert all(mean.value >= 1 for row in ranks.rows for mean in row[2:])
    assert len(result.charts) == 2
    json.dumps(result.to_dict(), allow_nan=False)
    assert any("validation photos, which choose each head, on top" in one for one in result.notes)


def test_what_measures_a_class_is_not_what_made_it(make_data: Callable[..., StudyData]) -> None:
    """Copies of a photo count as one: 30 files here, of which 20 are distinct."""
    data = make_data(1, 3, per_class=30)
    data.images.digest[20:30] = data.images.digest[:10]
    study = FewShotStudy(4, (1, 5))
    trials = {trial.condition: trial for trial in study.trials(data, SETTINGS)}
    outcome = study.perform(
        data, trials["class 00, others kept"], TrialContext(lambda progress: None)
    )
    assert outcome["class"] == "class 00"
    assert [len(one["ranks"]) for one in outcome["added"]] == [15, 15]
    assert outcome["added"][0]["n_classes"] == 4


def test_equal_seeds_leave_out_equal_classes(make_data: Callable[..., StudyData]) -> None:
    data = make_data(5, 5)
    one, same = (FewShotStudy(3, (1, 3)).trials(data, SETTINGS) for _ in range(2))
    assert one == same
    assert len({trial.condition for trial in one}) == 3
    assert len({trial.config.seed for trial in one}) == 2
    for trial in one:
        left = trial.condition.removesuffix(", others kept")
        assert trial.config.classes is not None
        assert left not in trial.config.classes
        assert len(trial.config.classes) == 9


def test_what_the_photos_do_not_allow(make_data: Callable[..., StudyData]) -> None:
    data = make_data(2, 2, per_class=10)
    with pytest.raises(DatasetError, match="more than 10 photos, and 0 of 4 classes"):
        FewShotStudy(2).trials(data, SETTINGS)
    with pytest.raises(DatasetError, match="leaves out 5 classes"):
        FewShotStudy(5, (1,)).trials(data, SETTINGS)
    for study in (FewShotStudy(0), FewShotStudy(2, ()), FewShotStudy(2, (0, 1))):
        with pytest.raises(ConfigError, match="at least 1"):
            study.trials(data, SETTINGS)
    assert len(data.rows("test")) == 2 * len(data.class_names)
