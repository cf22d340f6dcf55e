"""Folder names that stand for a split: `train`, `Validation`, `test_set`, `val2017`, `seg_test`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from retrain_cli.datasets.splits import Split

_WORDS: Final[dict[str, Split]] = {
    **dict.fromkeys(("train", "training", "trn", "trainval"), "training"),
    **dict.fromkeys(
        ("val", "valid", "vali", "validate", "validation", "dev", "devel", "development"),
        "validation",
    ),
    **dict.fromkeys(("eval", "evaluation"), "validation"),
    **dict.fromkeys(("test", "testing", "tests", "tst", "holdout", "heldout"), "test"),
}
# fmt: off
_FILLERS: Final = frozenset({
    "set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "photo",
    "photos", "picture", "pictures", "pic", "pics", "split", "splits", "folder", "dir", "sample",
    "samples", "example", "examples", "subset", "part", "the", "my", "our", "new", "full", "all",
    "final", "raw", "v",
})
# fmt: on
_HELD_OUT = re.compile(r"h[eo]ld[\W_]*out")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NO_LETTERS = re.compile(r"[\W_\d]+")
_GLUED = re.compile(
    rf"({'|'.join(sorted(_WORDS, key=len, reverse=True))})"
    rf"({'|'.join(sorted(_FILLERS, key=len, reverse=True))})"
)

_Parsed = tuple[Split, tuple[str, ...]]
"""The split that a name speaks of, and its other words."""


def split_folders(names: Iterable[str]) -> dict[str, Split]:
    """Those of the names of some sibling folders that stand for splits, with the split of each.

    A name does, in any case and with any number, that says nothing but the split (`train`,
    `Test-Set`, `val2017`, `trainingData`). One with more words does where a sibling has the same
    words about another split, and one of them is for training: `seg_train` beside `seg_test`, but
    not `test tube` alone.
    """
    parsed = {name: found for name in names if (found := _parse(name)) is not None}
    families: dict[tuple[str, ...], set[Split]] = {}
    for split, rest in parsed.values():
        families.setdefault(rest, set()).add(split)
    return {
        name: split
        for name, (split, rest) in parsed.items()
        if not rest or (len(families[rest]) > 1 and "training" in families[rest])
    }


def _parse(name: str) -> _Parsed | None:
    words = _words(name)
    splits = {_WORDS[word] for word in words if word in _WORDS}
    if splits == {"training", "validation"}:  # train_val: all that is not for test
        splits = {"training"}
    if len(splits) != 1:
        return None
    rest = tuple(word for word in words if word not in _WORDS and word not in _FILLERS)
    at_an_end = words[0] in _WORDS or words[-1] in _WORDS or not rest
    return (splits.pop(), rest) if at_an_end else None


def _words(name: str) -> list[str]:
    """The words of a name in lower case, numbers left out; `trainingset` is two."""
    text = _HUMP.sub(" ", unicodedata.normalize("NFKC", name)).casefold()
    found: list[str] = []
    for word in _NO_LETTERS.split(_HELD_OUT.sub(" holdout ", text)):
        glued = _GLUED.fullmatch(word) if word not in _WORDS else None
        found += [*glued.groups()] if glued else [word] * bool(word)
    return found
