"""INT or EXT: which of the user's classes the backbone was pre-trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

from retrain_cli.checks import check_types
from retrain_cli.datasets.class_names import NameFinder, close_names, find_name
from retrain_cli.datasets.source_classes import (
    SourceClass,
    SourceClasses,
    bare_name,
    described,
    normalise_name,
)
from retrain_cli.datasets.text_files import read_rows
from retrain_cli.errors import DatasetError, setting

Origin = Literal["INT", "EXT"]

_ORIGINS: Final[dict[str, Origin]] = {"int": "INT", "ext": "EXT"}
PROPOSED_SHARE: Final = 0.3
"""A source class that the backbone sees in this share of a class's photos is worth proposing."""

_HEADERS: Final = frozenset({"origin", "wnid", "int_ext", "int-ext", "int/ext", "int|ext"})


@dataclass(frozen=True, slots=True)
class ClassOrigin:
    """Whether a class of the user's is also a source class.

    Attributes:
        class_name: the user's class.
        origin: INT, EXT, or None where the source classes are not known.
        wnids: the source classes that its name stands for; empty for EXT.
        matched: these for people, with all their names and their kind, such as `n02317335 starfish,
            sea star (echinoderm)`; empty where `wnids` is.
        hint: for a class that is EXT by its name, what it may mean, in the form of `matched`.
    """

    class_name: str
    origin: Origin | None
    wnids: tuple[str, ...] = ()
    matched: str = ""
    hint: str = ""

    @property
    def ambiguous(self) -> bool:
        """Whether the name stands for several source classes; it is then INT, but never guessed."""
        return len(self.wnids) > 1

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "class": self.class_name,
            "origin": self.origin,
            "wnids": list(self.wnids),
            "matched": self.matched,
            "hint": self.hint,
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> ClassOrigin:
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError: something is missing or of the wrong kind.
        """
        wnids = row["wnids"]
        if not isinstance(wnids, list):
            raise TypeError(f"wnids is {wnids!r:.60}")
        origin = cls(row["class"], row["origin"], tuple(wnids), row["matched"], row.get("hint", ""))
        check_types(origin)
        return origin


@dataclass(frozen=True, slots=True)
class _Ruling:
    """One line of an override file.

    Attributes:
        line: its number in the file, from 1.
        class_name: the user's class.
        verdict: `int`, `ext` or a WordNet id, as written.
    """

    line: int
    class_name: str
    verdict: str


def match_origins(
    class_names: Sequence[str], source: SourceClasses | None, override: Path | None
) -> list[ClassOrigin]:
    """Tell INT from EXT for every class.

    A class is INT when its name is, or begins with, the WordNet id of a source class or, normalised
    (see `normalise_name`), equals one of a source class's synonyms; a number before it is no part
    of the name.

    Args:
        class_names: the user's classes.
        source: what the backbone was pre-trained on; None where that is not known.
        override: a CSV file of `class,int|ext` or `class,wnid`, optional header and column of
            remarks, that goes first.

    Returns:
        One origin per class, in the order of `class_names`.

    Raises:
        DatasetError: the override file cannot be read, or a line of it makes no sense.
    """
    origins = {name: _match(name, source) for name in class_names}
    if override is not None:
        origins |= _overrides(override, origins, source)
    return [origins[name] for name in class_names]


def _match(class_name: str, source: SourceClasses | None) -> ClassOrigin:
    """Origin of a class by its name alone."""
    if source is None:
        return ClassOrigin(class_name, None)
    found = source.lookup(class_name)
    if found:
        return _internal(class_name, found)
    hint = " | ".join(described(one) for one in source.near_matches(class_name))
    return ClassOrigin(class_name, "EXT", hint=hint)


def _internal(class_name: str, found: Sequence[SourceClass]) -> ClassOrigin:
    """An INT class and the source classes it stands for, under the synonym that matched first."""
    wanted = {normalise_name(class_name), normalise_name(bare_name(class_name))}
    first = [
        next((name for name in one.synonyms if normalise_name(name) in wanted), None)
        for one in found
    ]
    matched = " | ".join(described(one, name) for one, name in zip(found, first, strict=True))
    return ClassOrigin(class_name, "INT", tuple(one.wnid for one in found), matched)


def _overrides(
    path: Path, origins: Mapping[str, ClassOrigin], source: SourceClasses | None
) -> dict[str, ClassOrigin]:
    """Origins that an override file gives, each line checked."""
    given: dict[str, ClassOrigin] = {}
    find = NameFinder(origins)
    for ruling in _read_rulings(path, origins):
        name = find(ruling.class_name)
        if name is None:
            near = close_names(ruling.class_name, origins, 1)
            hint = f"did you mean {near[0]!r}?" if near else "correct or remove that line"
            said = f"names the class {ruling.class_name!r}, which is not there"
            _refuse(path, ruling.line, f"{said}: {hint}")
        if name in given:
            _refuse(path, ruling.line, f"names the class {name!r} again: remove one of its lines")
        given[name] = _rule(path, replace(ruling, class_name=name), origins[name], source)
    return given


def ruled_classes(path: Path | None, class_names: Sequence[str]) -> frozenset[str]:
    """The classes that an override file rules, as their folders write them; none without a file.

    Raises:
        DatasetError: the file cannot be read, or a line of it makes no sense.
    """
    if path is None:
        return frozenset()
    names = {name: ClassOrigin(name, None) for name in class_names}
    find = NameFinder(names)
    found = (find(ruling.class_name) for ruling in _read_rulings(path, names))
    return frozenset(name for name in found if name is not None)


def _rule(
    path: Path, ruling: _Ruling, matched: ClassOrigin, source: SourceClasses | None
) -> ClassOrigin:
    """Apply one line: `int` keeps what the name matched, a WordNet id replaces it."""
    origin = _ORIGINS.get(ruling.verdict.lower())
    if origin == "EXT":
        return ClassOrigin(ruling.class_name, "EXT")
    if origin == "INT":
        return ClassOrigin(ruling.class_name, "INT", matched.wnids, matched.matched)
    if source is None:
        said = f"says {ruling.verdict!r}, but the backbone's source classes are not known"
        _refuse(path, ruling.line, f"{said}: write int or ext, or give {setting('source_classes')}")
    found = source.by_wnid.get(ruling.verdict.lower())
    if found is None:
        said = f"says {ruling.verdict!r} for {ruling.class_name!r}"
        _refuse(path, ruling.line, f"{said}: write int, ext or the id of a class of {source.name}")
    return _internal(ruling.class_name, [found])


def _read_rulings(path: Path, class_names: Mapping[str, ClassOrigin]) -> Iterator[_Ruling]:
    """Lines of an override file, its header and empty lines left out."""
    rule = f"{setting('int_ext')} takes a UTF-8 CSV file of class,int|ext or class,wnid"
    rows = read_rows(path, rule, "check the path and the encoding")
    most = 2
    for number, row in enumerate(rows, start=1):
        cells = [cell.strip() for cell in row]
        if number == 1 and _is_header(cells, class_names):
            most = len(cells)  # it may announce a column of remarks
            continue
        if not any(cells):
            continue
        if not 2 <= len(cells) <= most or not all(cells[:2]):
            _refuse(
                path, number, f"is {','.join(row)!r}: write class,int or class,ext or class,wnid"
            )
        yield _Ruling(number, *cells[:2])


def _is_header(cells: Sequence[str], class_names: Mapping[str, ClassOrigin]) -> bool:
    """Whether a first line names the columns; a class that is called "class" is no header."""
    return (
        len(cells) > 1
        and cells[0].lower() == "class"
        and (find_name(cells[0], class_names) is None or cells[1].lower() in _HEADERS)
    )


def _refuse(path: Path, line: int, what: str) -> NoReturn:
    """Raise the error for one line of an override file."""
    raise DatasetError(
        f"each line of an {setting('int_ext')} file rules one class; {path} line {line} {what}"
    )
