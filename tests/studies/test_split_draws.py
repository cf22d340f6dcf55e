"""The split of each repeat of a study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from retrain_cli.datasets.splits import SPLITS, SplitItem, assign_splits
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.studies.means import interval_name
from retrain_cli.studies.split_draws import SplitDraws
from retrain_cli.studies.study_data import StudyData


def items(count: int = 60) -> list[SplitItem]:
    return [SplitItem(bytes([number] * 16), number % 3, None, None) for number in range(count)]


def test_each_seed_has_its_own_split_and_seed_0_that_of_training() -> None:
    draws = SplitDraws(items(), 20, 20)
    expected = [SPLITS.index(split) for split in assign_splits(items(), 20, 20)]
    assert draws.codes(0).tolist() == expected
    assert draws.codes(1).tolist() != expected
    assert draws.codes(1) is draws.codes(1)
    assert draws.vary_test


def test_test_photos_that_a_folder_gives_stay() -> None:
    given = [replace(one, given="test" if place < 9 else None) for place, one in enumerate(items())]
    draws = SplitDraws(given, 20, 20)
    assert not draws.vary_test
    tests = [np.flatnonzero(draws.codes(seed) == 2).tolist() for seed in range(3)]
    assert tests == [list(range(9))] * 3
    assert draws.codes(0).tolist() != draws.codes(1).tolist()  # validation is drawn


def test_the_fingerprint_knows_groups_and_no_order() -> None:
    plain = SplitDraws(items(), 20, 20).fingerprint()
    assert SplitDraws(items()[::-1], 20, 20).fingerprint() == plain
    for change in ({"group": "a"}, {"founder": b"f" * 16}, {"given": "training"}):
        changed = [*items()[:-1], replace(items()[-1], **change)]
        assert SplitDraws(changed, 20, 20).fingerprint() != plain


def test_a_repeat_trains_and_tests_on_its_own_split(make_data: Callable[..., StudyData]) -> None:
    data = make_data(3, 3, draw=True)
    parts = [data.select(TrainingConfig(seed=seed)) for seed in (0, 1)]
    tests = [set(part.rows("test").tolist()) for part in parts]
    assert tests[0] != tests[1]
    for part, test in zip(parts, tests, strict=True):
        others = (*part.data.training.tolist(), *part.data.validation.tolist())
        assert not test & set(others)
        assert len(test) + len(others) == len(data.data.labels)
        assert len(part.test_images()) == len(test)
    assert data.varies_test
    assert not make_data(3, 3).varies_test


@pytest.mark.parametrize(("varies", "says"), [(True, "other splits"), (False, "same test photos")])
def test_intervals_are_named_for_what_they_are(
    make_data: Callable[..., StudyData], conduct: Any, varies: bool, says: str
) -> None:
    from retrain_cli.studies.protocols.int_ext import IntExtStudy

    result = conduct(IntExtStudy(2, 2), make_data(3, 3, draw=varies))
    named = replace(result, varies_test=varies).to_dict()
    assert says in named["interval"]
    assert named["interval"] == interval_name(varies)
