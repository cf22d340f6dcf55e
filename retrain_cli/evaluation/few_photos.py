"""Whether there are enough test photos of each class to say anything."""

from __future__ import annotations

from retrain_cli.evaluation.result import EvalResult

ENOUGH = 5
"""Test photos of a class; with fewer, one photo is a fifth of its accuracy or more."""


def few_test_photos(result: EvalResult) -> str | None:
    """A sentence that says so where classes have too few, and what to do; None where none has."""
    counts = [row.n_images for row in result.classes]
    few = [count for count in counts if count < ENOUGH]
    if not few:
        return None
    if len(few) < len(counts):
        who = f"{len(few)} of {len(counts)} classes have"
    else:
        who = f"all {len(counts)} classes have"
    return (
        f"{who} fewer than {ENOUGH} test photos, the least {min(few)}, so one photo moves the "
        "accuracy of a class by 20 points or more: `retrain train --cv 5` measures on all photos, "
        "`retrain train --few-shot` trains on all, too"
    )
