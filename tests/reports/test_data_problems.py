"""Data problems: each one is found, and clean data has none."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from retrain_cli.evaluation.predictions import ImageTable
from retrain_cli.reports.data_problems import MOST_ITEMS, find_problems


def table(rows: Any) -> ImageTable:
    """Rows of (path, content, label, split)."""
    digests = b"".join(
        hashlib.blake2b(str(row[1]).encode(), digest_size=16).digest() for row in rows
    )
    return ImageTable(
        np.array([row[3] for row in rows], np.uint8),
        np.frombuffer(digests, np.uint8).reshape(len(rows), 16),
        [row[0] for row in rows],
        np.array([row[2] for row in rows], np.int32),
    )


def clean(n_classes: int = 2, n: int = 25) -> Any:
    return [
        (f"{label}/{number}.jpg", (label, number), label, 2 if number < 3 else 0)
        for label in range(n_classes)
        for number in range(n)
    ]


def found(rows: Any, bad: Any = ()) -> dict[str, tuple[int, tuple[str, ...]]]:
    problems = find_problems(table(rows), ["ant", "bee", "cat"][: rows[-1][2] + 1], bad)
    return {problem.title: (problem.count, problem.items) for problem in problems}


def test_clean_data_has_no_problem() -> None:
    assert found(clean()) == {}


def test_a_copy_in_another_split() -> None:
    rows = [*clean(), ("0/copy.jpg", (0, 0), 0, 0)]
    rows.sort(key=lambda row: row[2])
    assert found(rows) == {
        "photos that stand in more than one split": (1, ("0/0.jpg (test) = 0/copy.jpg (training)",))
    }


def test_a_copy_in_another_class_and_one_in_place() -> None:
    rows = [*clean(), ("1/copy.jpg", (0, 9), 1, 0), ("1/again.jpg", (1, 9), 1, 0)]
    problems = found(rows)
    assert problems["photos that stand in more than one class"][0] == 1
    assert problems["photos that are there more than once"][0] == 1
    assert len(problems) == 2


def test_small_uneven_and_untested_classes() -> None:
    rows = [*clean(), *[(f"2/{n}.jpg", (2, n), 2, 0) for n in range(2)]]
    problems = found(rows)
    assert problems["classes with fewer than 20 training photos"] == (1, ("cat: 2",))
    assert problems["classes without test photos"] == (1, ("cat",))
    assert problems["classes of very different size"] == (1, ("ant: 22 against cat: 2",))


def test_bad_files_are_counted_beyond_those_that_are_named() -> None:
    bad = [(f"ant/\udcff{n}.jpg", "0 bytes") for n in range(MOST_ITEMS + 7)]
    count, items = found(clean(), bad)["files that could not be used"]
    assert (count, len(items)) == (MOST_ITEMS + 7, MOST_ITEMS)
    assert items[0] == "ant/\\udcff0.jpg: 0 bytes"
