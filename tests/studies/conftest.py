"""A dataset of vectors without photos: classes are clouds that overlap a little."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.datasets.splits import SplitItem
from retrain_cli.evaluation.predictions import ImageTable
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.studies.split_draws import SplitDraws
from retrain_cli.studies.study import StudySettings
from retrain_cli.studies.study_data import StudyData

WIDTH = 12

QUICK = StudySettings(2, TrainingConfig(steps=30, eval_every=15, batch_size=20))


@pytest.fixture
def make_data() -> Callable[..., StudyData]:
    """So many INT and EXT classes of so many images: 60% training, 20% validation, 20% test.

    With `draw` each repeat has a split of its own.
    """

    def make(
        n_int: int, n_ext: int, per_class: int = 20, spread: float = 0.6, draw: bool = False
    ) -> StudyData:
        generator = np.random.default_rng(3)
        n_classes = n_int + n_ext
        labels = np.repeat(np.arange(n_classes, dtype=np.int32), per_class)
        centres = generator.normal(size=(n_classes, WIDTH))
        noise = generator.normal(size=(len(labels), WIDTH))
        vectors = (centres[labels] + spread * noise).astype(np.float32)
        place = np.tile(np.arange(per_class) / per_class, n_classes)
        split = np.select([place < 0.6, place < 0.8], [0, 1], 2).astype(np.uint8)
        names = tuple(f"class {number:02}" for number in range(n_classes))
        digest = generator.integers(0, 256, (len(labels), 16)).astype(np.uint8)
        paths = [f"{names[label]}/{row}.jpg" for row, label in enumerate(labels)]
        training, validation = (np.flatnonzero(split == code) for code in (0, 1))
        items = [
            SplitItem(one.tobytes(), int(label), None, None)
            for one, label in zip(digest, labels, strict=True)
        ]
        return StudyData(
            HeadData(vectors, labels, names, training, validation),
            ImageTable(split, digest, paths, labels),
            tuple(
                ClassOrigin(name, "INT" if number < n_int else "EXT")
                for number, name in enumerate(names)
            ),
            SplitDraws(items, 20, 20) if draw else None,
        )

    return make


@pytest.fixture
def conduct() -> Any:
    """Run a study from start to end without a workspace."""

    def run(study: Any, data: Any, settings: Any = QUICK) -> Any:
        from retrain_cli.studies.trial import TrialContext, TrialRecord

        context = TrialContext(lambda progress: None)
        groups: dict[str, list[TrialRecord]] = {}
        for trial in study.trials(data, settings):
            outcome = study.perform(data, trial, context)
            groups.setdefault(trial.condition, []).append(TrialRecord.of(trial, 0.1, outcome))
        result = study.result(data, settings, groups)
        assert "\\u0000" not in json.dumps(result.to_dict())  # the marks of an error's settings
        return result

    return run
