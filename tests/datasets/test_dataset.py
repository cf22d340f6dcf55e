"""Rows of each class against the plain way."""

from __future__ import annotations

import numpy as np

from retrain_cli.datasets.dataset import rows_of_classes


def test_each_class_gets_its_rows_in_order_and_some_get_none() -> None:
    labels = np.random.default_rng(0).integers(0, 40, 60)
    found = rows_of_classes(labels, 45)
    assert len(found) == 45
    for label, rows in enumerate(found):
        assert rows.tolist() == np.flatnonzero(labels == label).tolist()
    assert [rows.tolist() for rows in rows_of_classes(labels[:0], 2)] == [[], []]
