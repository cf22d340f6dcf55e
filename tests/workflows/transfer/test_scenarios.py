"""The four scenarios, and the record of the advice: the code says what docs/study.md shows."""

from __future__ import annotations

from collections import Counter

import pytest
from helpers import PROJECT

from retrain_cli.workflows.transfer.scenarios import ADVICE_RECORD, is_large, scenario_of

PAGE = (PROJECT / "docs" / "study.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("photos", "similar", "number", "strategy"),
    [(19, True, 1, "top"), (20, True, 2, "all"), (19, False, 3, "earlier"), (20, False, 4, "all")],
)
def test_the_scenarios_of_the_paper(
    photos: float, similar: bool, number: int, strategy: str
) -> None:
    found = scenario_of(large=is_large(photos), similar=similar)
    assert (found.number, found.strategy) == (number, strategy)


def test_the_record_is_that_of_the_docs() -> None:
    table = PAGE.partition("<!-- advice -->")[2].partition("<!-- end advice -->")[0]
    rows = [line.strip("| ").split(" | ") for line in table.strip().splitlines()[2:]]
    verdicts = Counter(row[-1] for row in rows)
    assert len(rows) == ADVICE_RECORD.cases > 0
    assert (verdicts["won"], verdicts["level"]) == (ADVICE_RECORD.won, ADVICE_RECORD.level)
    assert verdicts["lost"] == ADVICE_RECORD.lost
    assert max(float(row[1]) for row in rows) == ADVICE_RECORD.most_photos
    for row in rows:
        chosen = scenario_of(large=is_large(float(row[1])), similar=row[2] in ("1", "2"))
        assert (str(chosen.number), chosen.strategy) == (row[2], row[3])
