"""Warnings of classes with so few photos that their figures say little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from retrain_cli.datasets.class_names import shown_name
from retrain_cli.reports.text import printable

LEAST_IMAGES: Final = 20
"""As in TensorFlow's retrain script: a folder with fewer images "may cause issues"."""
LEAST_TEST: Final = 5
IMBALANCE: Final = 10
"""A class is told of where the largest class has this many times its photos."""

_NAMED = 4


def warn_of_few(
    names: Sequence[str], images: Sequence[int], test: Sequence[int]
) -> tuple[str, ...]:
    """What is to be said of classes with few photos, with numbers and what to do; often nothing.

    Args:
        names: the classes.
        images: photos of each.
        test: test photos of each; none where nothing is to be said of these.
    """
    small = _below(dict(zip(names, images, strict=True)), LEAST_IMAGES)
    warnings = []
    if small:
        warnings.append(
            f"{_classes(small)} fewer than {LEAST_IMAGES} photos ({_listed(small)}): add some, for "
            "what is learnt from so few seldom holds"
        )
    if test:
        warnings += warn_of_small_tests(dict(zip(names, test, strict=True)))
    return tuple(warnings)


def warn_of_small_tests(test: Mapping[str, int]) -> tuple[str, ...]:
    """The same of classes whose accuracy stands on a photo or two; nothing where none is for test.

    Args:
        test: test photos of each class.
    """
    untested = _below(test, LEAST_TEST) if any(test.values()) else {}
    if not untested:
        return ()
    worth = f", one photo being {_points(untested)}" if any(untested.values()) else ""
    return (
        f"{_classes(untested)} fewer than {LEAST_TEST} test photos ({_listed(untested)})"
        f"{worth}: `retrain train --cv 5` tests on every photo, `retrain train --few-shot` trains "
        "on every photo, too",
    )


def _below(counts: Mapping[str, int], least: int) -> dict[str, int]:
    """The classes with fewer, the smallest first."""
    few = [(count, name) for name, count in counts.items() if count < least]
    return {name: count for count, name in sorted(few)}


def _classes(counts: Mapping[str, int]) -> str:
    return "1 class has" if len(counts) == 1 else f"{len(counts):,} classes have"


def _listed(counts: Mapping[str, int]) -> str:
    named = [
        f"{printable(shown_name(name))} {count}" for name, count in list(counts.items())[:_NAMED]
    ]
    more = [f"{len(counts) - _NAMED:,} more"] if len(counts) > _NAMED else []
    return ", ".join([*named, *more])


def _points(counts: Mapping[str, int]) -> str:
    """What one photo changes of a class's accuracy, at the least."""
    return f"{100 / max(counts.values()):.0f} points or more of its accuracy"
