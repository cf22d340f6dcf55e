"""Class names, compared as people read them: an accent may be one character or two.

A keyboard writes é as one character (NFC), the folders of a Mac as an e and an accent (NFD). Both
look the same, and both are the same class. A name is kept as its folder writes it.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence

from retrain_cli.errors import DatasetError


def name_key(name: str) -> str:
    """The form in which names are compared: equal for names that look equal."""
    return unicodedata.normalize("NFC", name)


def folded_name(name: str) -> str:
    """As `name_key`, and upper and lower case do not count either."""
    return name_key(name_key(name).casefold())


def same_name(one: str, other: str) -> bool:
    """Whether two names are the same, whatever their Unicode form."""
    return one == other or name_key(one) == name_key(other)


def shown_name(name: str) -> str:
    """A name as it stands among others: in double quotes where else its ends could not be seen.

    That is as `--classes` takes it.
    """
    if name.strip() == name and name and not set(name) & set(',"'):
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def listed(names: Iterable[str]) -> str:
    """Names in a row, each as `shown_name` says."""
    return ", ".join(map(shown_name, names))


class NameFinder:
    """Finds many names among many; of one alone `find_name` is enough."""

    def __init__(self, names: Iterable[str]) -> None:
        self._known = set[str]()
        self._by_key: dict[str, str] = {}
        for name in names:
            self._known.add(name)
            self._by_key.setdefault(name_key(name), name)

    def __call__(self, wanted: str) -> str | None:
        """As `find_name`."""
        return wanted if wanted in self._known else self._by_key.get(name_key(wanted))


def find_name(wanted: str, names: Iterable[str]) -> str | None:
    """The one of `names` that is meant, as it is written there; None where there is none."""
    return NameFinder(names)(wanted)


def close_names(wanted: str, names: Iterable[str], most: int = 3) -> list[str]:
    """Names that a mistyped one may stand for, the likeliest first; may be none."""
    by_key = {folded_name(name): name for name in names}
    return [by_key[key] for key in difflib.get_close_matches(folded_name(wanted), by_key, n=most)]


def check_class_names(names: Iterable[str], where: str = "") -> None:
    """Refuse a dataset of one class, or of classes that differ in case or Unicode form only.

    Args:
        names: the classes.
        where: what to do about a single one, where that is known better than here.

    Raises:
        DatasetError: naming the classes.
    """
    known: dict[str, str] = {}
    for name in names:
        folded = folded_name(name)
        if folded in known:
            raise DatasetError(_too_alike(known[folded], name))
        known[folded] = name
    if len(known) < 2:
        raise DatasetError(
            f"a classifier needs at least 2 classes; received {list(known.values())}: "
            f"{where or 'put the photos of each class into a sub-folder of its own'}"
        )


def _too_alike(one: str, other: str) -> str:
    """Message for two names that differ too little; such as look equal are spelt out."""
    if same_name(one, other):
        return (
            f"class names must differ to the eye; received two folders {one!r}, one written "
            f"{one!a} and one {other!a} (NFC and NFD, as Linux and macOS write accents): "
            "join them"
        )
    return (
        f"class names must differ in more than case; received the folders {one!r} and {other!r}: "
        "rename or join them"
    )


def first_spellings(names: Sequence[str]) -> dict[str, str]:
    """For each name the first of those that look the same, by which the class goes."""
    first: dict[str, str] = {}
    return {name: first.setdefault(name_key(name), name) for name in names}
