"""The classes that a backbone was pre-trained on: ImageNet's thousand, or those of a file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final

from retrain_cli.datasets.source_kinds import kind_of, other_numbers, words_for
from retrain_cli.datasets.text_files import read_rows, rows_of
from retrain_cli.errors import DatasetError, setting

TABLE_HEADER: Final = ("index", "wnid", "synonyms")
SYNONYM_SEPARATOR = "; "

_WNID = re.compile(r"([nvars]\d{8})[\s,]+(.+)")
_WNID_IN_NAME = re.compile(r"(?<![0-9A-Za-z])([nvars]\d{8})(?![0-9A-Za-z])", re.IGNORECASE)
_NUMBER = re.compile(
    r"(?:[nvars]\d{8}[\s._-]+|[#(\[]?\d{1,5}(?:[)\]:]+[\s._-]*|[\s._-]+)|0\d{1,4}(?=[^\W\d_]))",
    re.IGNORECASE,
)
_NUMBER_AFTER = re.compile(r"[\s._#-]*\d{1,5}\s*$")
_REMARK = re.compile(r"(.*?)[\s_-]*(?:[(\[{]([^)\]}]*)[)\]}]|,([^,]*))[\s_]*", re.DOTALL)
_REMARK_BEFORE = re.compile(r"\s*[(\[{]([^)\]}]*)[)\]}][\s_-]*(.+)", re.DOTALL)
_WORD = re.compile(r"[^\W_]+")
_SEPARATORS = re.compile(r"[\s_-]+")


@dataclass(frozen=True, slots=True)
class SourceClass:
    """One class of the backbone's own classifier.

    Attributes:
        index: its place in the classifier's output, from 0.
        wnid: its WordNet id, such as `n02317335`; in a list without ids, its first synonym.
        synonyms: its names, such as `("starfish", "sea star")`; never empty.
    """

    index: int
    wnid: str
    synonyms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceClasses:
    """All classes that a backbone was pre-trained on, found by WordNet id or by name.

    Attributes:
        name: `imagenet`, or the file they come from.
        classes: in the order of the classifier's output.
        by_wnid: each class by its id, in lower case.
        by_name: the classes that a normalised name stands for, mostly one.
    """

    name: str
    classes: tuple[SourceClass, ...]
    by_wnid: Mapping[str, SourceClass]
    by_name: Mapping[str, tuple[SourceClass, ...]]

    def lookup(self, name: str) -> tuple[SourceClass, ...]:
        """Classes that a WordNet id or a name stands for; several where the name is ambiguous.

        As datasets number their folders, a name may stand beside an id (`n02085620-Chihuahua`, by
        which it then goes) or follow a number (`012.binoculars`). What stands in brackets says
        which class is meant: `crane (bird)` is one of two, `mouse (animal)` none.
        """
        exact = self.by_wnid.get(name.strip().lower())
        if exact:
            return (exact,)
        if found := self.by_name.get(normalise_name(name)):
            return found
        labelled = {wnid.lower() for wnid in _WNID_IN_NAME.findall(name)} & self.by_wnid.keys()
        if len(labelled) == 1:
            return (self.by_wnid[labelled.pop()],)
        bare = bare_name(name)
        if found := self.by_name.get(normalise_name(bare)):
            return found
        base, remark = _split_remark(bare)
        found = self.by_name.get(normalise_name(base), ())
        return tuple(one for one in found if _agrees(one, base, remark))

    def near_matches(self, name: str) -> tuple[SourceClass, ...]:
        """Classes that a name without any may mean: by its singular or plural, without remarks."""
        bare = bare_name(name)
        base = _split_remark(bare)[0]
        spellings = [bare, base, *(_NUMBER_AFTER.sub("", spelt) for spelt in (bare, base))]
        for spelt in dict.fromkeys(spellings):
            for form in (spelt, *other_numbers(spelt)):
                if found := self.by_name.get(normalise_name(form)):
                    return found
        return ()

    def ambiguous_names(self) -> dict[str, tuple[SourceClass, ...]]:
        """Normalised names that stand for more than one class, in order."""
        return {name: found for name, found in sorted(self.by_name.items()) if len(found) > 1}


def bare_name(name: str) -> str:
    """A name without the id or number that a dataset puts before it, unless that is all."""
    number = _NUMBER.match(name.strip())
    return (number and name.strip()[number.end() :]) or name


def _split_remark(name: str) -> tuple[str, str]:
    """A name and the remark in brackets, or after a comma, that says what is meant by it."""
    if found := _REMARK.fullmatch(name):
        return found[1], found[2] or found[3] or ""
    if found := _REMARK_BEFORE.fullmatch(name):
        return found[2], found[1]
    return name, ""


def _agrees(one: SourceClass, base: str, remark: str) -> bool:
    """Whether a class may be what a remark says: another of its names, a word of one, its kind."""
    if normalise_name(remark) in map(normalise_name, one.synonyms):
        return True
    said = set(_WORD.findall(remark.casefold())) - set(_WORD.findall(base.casefold()))
    if not said or all(word.isdecimal() for word in said):
        return True  # a count or the number of a copy
    known = set(_WORD.findall(" ".join(one.synonyms).casefold())) | words_for(one.wnid)
    return bool(said & known)


def described(one: SourceClass, first: str | None = None) -> str:
    """A class for people: its id, all its names, and its kind, such as `n01608432 kite (bird)`.

    Args:
        one: the class.
        first: the name to begin with; None for its own order.
    """
    begin = one.synonyms[0] if first is None else first
    names = ", ".join(dict.fromkeys((begin, *one.synonyms)))
    kind = kind_of(one.wnid)
    # A class without a WordNet id goes by its names alone.
    start = "" if one.wnid == one.synonyms[0] else f"{one.wnid} "
    return f"{start}{names} ({kind})" if kind else f"{start}{names}"


def normalise_name(name: str) -> str:
    """Form in which names are compared: case, spaces, `_`, `-` and Unicode form do not count."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    return _SEPARATORS.sub("", folded)


def index_classes(name: str, classes: Iterable[SourceClass]) -> SourceClasses:
    """Build the two look-ups of a list of classes."""
    listed = tuple(classes)
    by_name: dict[str, tuple[SourceClass, ...]] = {}
    for one in listed:
        for synonym in dict.fromkeys(map(normalise_name, one.synonyms)):
            by_name[synonym] = (*by_name.get(synonym, ()), one)
    by_wnid = {one.wnid.lower(): one for one in listed}
    return SourceClasses(name, listed, MappingProxyType(by_wnid), MappingProxyType(by_name))


def load_source_classes(which: str) -> SourceClasses | None:
    """Load the source classes that `--source-classes` names.

    Args:
        which: `imagenet`, `none`, or a file: one class per line, its synonyms separated by commas,
            optionally after its WordNet id; or a table like the bundled one, with the columns
            index, wnid and synonyms (separated by `; `).

    Returns:
        The classes, or None for `none`.

    Raises:
        DatasetError: the file cannot be read or a line of it makes no sense.
    """
    if which == "none":
        return None
    return _load_imagenet() if which == "imagenet" else _load_file(Path(which))


@cache
def _load_imagenet() -> SourceClasses:
    """The bundled table, in the order of Keras's classifiers: sorted WordNet ids."""
    table = resources.files("retrain_cli.datasets") / "data" / "imagenet_classes.csv"
    return _parse("imagenet", rows_of(table.read_text(encoding="utf-8")))


def _load_file(path: Path) -> SourceClasses:
    """Read a user's file, UTF-8 or UTF-16."""
    rule = f"{setting('source_classes')} takes imagenet, none or a UTF-8 text file"
    return _parse(str(path), read_rows(path, rule, "give one of these"))


def _parse(name: str, lines: Iterable[list[str]]) -> SourceClasses:
    """Parse either form; duplicates and gaps are errors that name the line."""
    rows = list(enumerate(lines, start=1))
    is_table = bool(rows) and tuple(cell.strip().lower() for cell in rows[0][1]) == TABLE_HEADER
    parsed = _parse_table(name, rows[1:]) if is_table else _parse_list(rows)
    seen: dict[str, SourceClass] = {}
    for number, one in parsed:
        if one.wnid.lower() in seen or one.index != len(seen):
            raise DatasetError(
                f"source classes must be numbered 0, 1, 2 ... with an id of their own; {name} line "
                f"{number} has index {one.index} and {one.wnid!r}: correct or remove that line"
            )
        seen[one.wnid.lower()] = one
    if not seen:
        raise DatasetError(f"a file of source classes has one class per line; {name} is empty")
    return index_classes(name, seen.values())


def _parse_table(
    name: str, rows: Iterable[tuple[int, list[str]]]
) -> Iterator[tuple[int, SourceClass]]:
    """Rows of the columns index, wnid, synonyms."""
    for number, row in rows:
        if not row:
            continue
        synonyms = _stripped(row[2].split(SYNONYM_SEPARATOR.strip())) if len(row) == 3 else ()
        if not synonyms or not row[0].strip().isdecimal():
            raise DatasetError(
                f"a row of source classes is index,wnid,synonyms; {name} line {number} is "
                f"{','.join(row)!r}: correct it"
            )
        yield number, SourceClass(int(row[0]), row[1].strip() or synonyms[0], synonyms)


def _parse_list(rows: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, SourceClass]]:
    """Lines of synonyms, optionally after a WordNet id; empty lines are passed over."""
    index = 0
    for number, row in rows:
        cells = _stripped(row)
        if not cells:
            continue
        found = _WNID.fullmatch(", ".join(cells))
        synonyms = _stripped(found[2].split(", ")) if found else cells
        yield number, SourceClass(index, found[1] if found else cells[0], synonyms)
        index += 1


def _stripped(cells: Iterable[str]) -> tuple[str, ...]:
    """Cells without surrounding spaces, empty ones left out."""
    return tuple(cell.strip() for cell in cells if cell.strip())
