from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.datasets.source_classes import SourceClass, index_classes
from retrain_cli.errors import DatasetError
from retrain_cli.heads.head import Head
from retrain_cli.studies.protocols.stock import StockStudy
from retrain_cli.studies.study_data import StudyData

N_SOURCE = 6


@pytest.fixture
def source() -> Any:
    return index_classes("test", [SourceClass(i, f"n{i}", (f"s{i}",)) for i in range(N_SOURCE)])


@pytest.fixture
def known(make_data: Callable[..., StudyData]) -> Any:
    """Three INT classes, the last of which stands for two source classes; two EXT classes."""
    data = make_data(3, 2, per_class=20, spread=0.4)
    wnids = [("n0",), ("n1",), ("n2", "n3"), (), ()]
    origins = tuple(
        ClassOrigin(name, "INT" if own else "EXT", own)
        for name, own in zip(data.class_names, wnids, strict=True)
    )
    return replace(data, origins=origins)


def nearest_centre(data: Any, places: list[int]) -> Head:
    """A head whose class `places[i]` has the logits of the dataset's class i; others lose."""
    labels, vectors = data.data.labels, data.data.bottlenecks
    weights = np.zeros((vectors.shape[1], N_SOURCE), np.float32)
    bias = np.full(N_SOURCE, -100, np.float32)
    for label, place in enumerate(places):
        centre = vectors[labels == label].mean(axis=0)
        weights[:, place], bias[place] = centre, -(centre @ centre) / 2
    return Head(tuple(f"n{i}" for i in range(N_SOURCE)), weights, bias)


def test_a_backbone_that_knows_the_classes(known: Any, source: Any, conduct: Any) -> None:
    """Of the two source classes of the third class either counts."""
    for third in (2, 3):
        result = conduct(StockStudy(nearest_centre(known, [0, 1, third]), source), known)
        main, classes = result.tables
        assert [row[1] for row in main.rows] == [N_SOURCE, 5, 3, 3]
        assert main.rows[0][2].value == pytest.approx(1, abs=0.1)
        assert main.rows[2][3] is None  # top-5 of three classes
        assert {row[0] for row in classes.rows} == {"class 00", "class 01", "class 02"}
        for _, photos, own, head, gain in classes.rows:
            assert photos == 4
            assert gain == pytest.approx(head - own)


def test_a_backbone_that_confuses_them_with_a_class_that_is_not_there(
    known: Any, source: Any, conduct: Any
) -> None:
    """Among all classes it is wrong on the first; among the INT classes alone it is right."""
    head = nearest_centre(known, [0, 1, 2])
    head.weights[:, 5], head.bias[5] = head.weights[:, 0], head.bias[0] + 1
    main, classes = conduct(StockStudy(head, source), known).tables
    assert main.rows[0][2].value == pytest.approx(2 / 3, abs=0.1)
    assert main.rows[2][2].value == pytest.approx(1, abs=0.1)
    assert classes.rows[0][0] == "class 00"
    assert classes.rows[0][2] == 0


def test_without_int_classes(
    make_data: Callable[..., StudyData], source: Any, conduct: Any
) -> None:
    data = make_data(0, 3)
    study = StockStudy(nearest_centre(data, [0, 1, 2]), source)
    with pytest.raises(DatasetError, match="none of the classes is INT"):
        conduct(study, data)
