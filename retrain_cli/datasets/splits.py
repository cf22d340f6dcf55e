"""Which set an image belongs to, decided by its content and stable when the dataset changes.

Each image has a position in [0, 1) that is derived from its digest (or from its `_nohash_` group),
never from its path. The first `validation_percentage` of that line is validation, the next
`testing_percentage` is test, the rest is training, as in TensorFlow's original retrain script.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import ConfigError

Split = Literal["training", "validation", "test"]
SPLITS: Final[tuple[Split, ...]] = get_args(Split)

_TRAINING, _VALIDATION, _TEST = range(3)
_CODES: Final[dict[Split | None, int]] = {None: -1, "training": 0, "validation": 1, "test": 2}
_MIN_DISTINCT = 3  # below this a class cannot have an image in each of three sets
_NOHASH = "_nohash_"


@dataclass(frozen=True, slots=True)
class SplitItem:
    """One image, as far as its split is concerned.

    Attributes:
        digest: digest of the file's bytes; equal digests always share a split.
        label: index of its class, >= 0.
        group: its `_nohash_` group within the class (see `nohash_group`), or None.
        given: the split that its folder (`train/`, `val/`, `test/`) gives it, or None.
        founder: digest of the photo whose place its group of near duplicates has, across classes;
            None where near duplicates are not grouped.
    """

    digest: bytes
    label: int
    group: str | None
    given: Split | None
    founder: bytes | None = None


def nohash_group(file_name: str) -> str | None:
    """Name of the group that a file belongs to: what stands before `_nohash_` in its name.

    Frames of one video are kept in one split by naming them `rose_nohash_0.jpg`,
    `rose_nohash_1.jpg` (group `rose`). None where the name has no `_nohash_`.
    """
    group, mark, _ = file_name.partition(_NOHASH)
    return group if mark else None


def check_percentages(validation_percentage: float, testing_percentage: float) -> None:
    """Refuse percentages that leave nothing for training.

    Raises:
        ConfigError: one is negative or not a number, or both together reach 100.
    """
    both = (validation_percentage, testing_percentage)
    if all(part >= 0 for part in both) and sum(both) < 100:
        return
    raise ConfigError(
        "validation and testing percentages must be at least 0 and together less than 100; "
        f"received {validation_percentage:g} and {testing_percentage:g}: lower one of them"
    )


def assign_splits(
    items: Sequence[SplitItem],
    validation_percentage: float,
    testing_percentage: float,
    draw: int = 0,
) -> list[Split]:
    """Assign every item to a split; the result depends on the items as a set, not on their order.

    Items of equal digest, and items of one class and `_nohash_` group, move together (as connected
    components). A class always has a component in training and, from three distinct components
    on, one in each set whose percentage is above 0; where chance left a set empty, the component
    nearest to it on the line moves there. A component that stands in several classes moves only
    where this takes from none of them what it is owed, so such classes may stay short.

    Given splits are used as given, even where a duplicate stands in two of them (`straddling`
    counts these). A set that is given nowhere is carved out of the given training items.

    Args:
        items: the images, in any order.
        validation_percentage: share of the line for validation, in percent.
        testing_percentage: share of the line for test, in percent.
        draw: number of the line, at least 0. Each has its own positions; all commands but studies
            use line 0.

    Returns:
        One split per item, in the order of `items`.

    Raises:
        ConfigError: see `check_percentages`.
    """
    check_percentages(validation_percentage, testing_percentage)
    if not items:
        return []
    given = np.array([_CODES[item.given] for item in items])
    component, positions = find_components(items, draw)
    pin = np.full(len(positions), -1)
    np.maximum.at(pin, component, given)
    intervals = _intervals(validation_percentage, testing_percentage, set(given.tolist()))
    places = _place(positions, intervals)
    labels = np.array([item.label for item in items])
    movable = pin[component] <= _TRAINING
    _guarantee(places, positions, intervals, labels[movable], component[movable])
    pinned = np.where(given >= 0, given, pin[component])
    codes = np.where(movable, places[component], pinned)
    return [SPLITS[code] for code in codes.tolist()]


def straddling(items: Sequence[SplitItem], splits: Sequence[Split]) -> int:
    """Count the distinct images that stand in more than one split; only given splits cause any."""
    seen: dict[bytes, Split] = {}
    torn = {
        item.digest
        for item, split in zip(items, splits, strict=True)
        if seen.setdefault(item.digest, split) != split
    }
    return len(torn)


def _intervals(validation: float, testing: float, given: set[int]) -> NDArray[np.float64]:
    """Stretch of the line of each split, `(3, 2) float64`; empty for a set that is given."""
    low, high = validation / 100, (validation + testing) / 100
    lines = np.array([[high, 1.0], [0.0, low], [low, high]])
    for code in (_VALIDATION, _TEST):
        if code in given:
            lines[code, 1] = lines[code, 0]
    return lines


def _place(positions: NDArray[np.float64], intervals: NDArray[np.float64]) -> NDArray[np.int64]:
    """Split code of each component by its position alone."""
    places = np.full(len(positions), _TRAINING)
    for code in (_VALIDATION, _TEST):
        low, high = intervals[code]
        places[(positions >= low) & (positions < high)] = code
    return places


def find_components(
    items: Sequence[SplitItem], draw: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Component of each item, `(n_items,) int64`, and position of each, `(n_components,) float64`.

    Items of equal digest, of one class and group, or of one founder are in one component. It is
    numbered by its smallest digest: numbers break ties and must not depend on the items' order.
    `draw` is the line's number, see `assign_splits`.
    """
    digests = sorted({item.digest for item in items})
    index = {digest: number for number, digest in enumerate(digests)}
    roots, keys = _join_groups(items, index)
    positions = np.array([_position(keys.get(number, digests[number]), draw) for number in roots])
    of_item = np.array([index[item.digest] for item in items])
    return np.asarray(roots)[of_item], positions


def _join_groups(
    items: Sequence[SplitItem], index: dict[bytes, int]
) -> tuple[list[int], dict[int, bytes]]:
    """Union-find over groups: the root of each digest, and the key of the place of each root."""
    parents = list(range(len(index)))
    first: dict[_Mark, int] = {}
    for item in items:
        number = index[item.digest]
        for mark in _marks(item):
            pair = (_root(parents, number), _root(parents, first.setdefault(mark, number)))
            parents[max(pair)] = min(pair)
    marks: dict[int, _Mark] = {}
    for mark, number in first.items():
        root = _root(parents, number)
        marks[root] = min(marks.get(root, mark), mark, key=lambda one: (one.kind, one.key))
    roots = [_root(parents, number) for number in parents] if first else parents
    return roots, {root: mark.key for root, mark in marks.items()}


class _Mark(NamedTuple):
    """What items of a group share (`_nohash_`: one class, too); the smallest gives the place."""

    kind: int
    label: int
    key: bytes


def _marks(item: SplitItem) -> Iterator[_Mark]:
    if item.group is not None:
        yield _Mark(0, item.label, _group_key(item.group))
    if item.founder is not None:
        yield _Mark(1, 0, item.founder)


def _root(parents: list[int], number: int) -> int:
    """Root of a node, halving the path on the way."""
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number


def _group_key(name: str) -> bytes:
    """Bytes of a group name, valid Unicode or not."""
    return b"group:" + name.encode("utf-8", "surrogatepass")


def _position(key: bytes, draw: int) -> float:
    """Position in [0, 1): the leading 53 bits of the key's BLAKE2b hash as a fraction.

    The line's number is the salt; zero bytes of salt are the same as none.
    """
    salt = (draw % 2**128).to_bytes(hashlib.blake2b.SALT_SIZE, "little")
    digest = hashlib.blake2b(key, digest_size=8, person=b"retrain-split", salt=salt).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


@dataclass(frozen=True, slots=True)
class _Census:
    """Which components stand in which class, and how many each class has and is owed per split.

    Attributes:
        labels: class of each (class, component) pair, sorted, `(n_pairs,) int64`.
        components: component of each pair, `(n_pairs,) int64`.
        counts: components per class and split, `(n_classes, 3) int64`; kept up to date by moves.
        owed: the least that each may have, `(n_classes, 3) int64`, 0 or 1.
        shared: the classes of those components that stand in more than one.
    """

    labels: NDArray[np.int64]
    components: NDArray[np.int64]
    counts: NDArray[np.int64]
    owed: NDArray[np.int64]
    shared: dict[int, list[int]]

    def members(self, label: int) -> NDArray[np.int64]:
        """Components of a class in ascending order."""
        low, high = np.searchsorted(self.labels, [label, label + 1])
        return self.components[low:high]

    def missing(self) -> Iterator[tuple[int, int]]:
        """The (class, split) pairs that are owed a component and have none, as of each step."""
        for label, split in np.argwhere(self.counts < self.owed).tolist():
            if self.counts[label, split] < self.owed[label, split]:
                yield label, split

    def can_leave(self, component: int, label: int, split: int) -> bool:
        """Whether a component can leave its split without any of its classes falling short."""
        classes = self.shared.get(component, [label])
        return bool(np.all(self.counts[classes, split] > self.owed[classes, split]))

    def move(self, component: int, label: int, old: int, new: int) -> None:
        """Count a component in its new split."""
        classes = self.shared.get(component, [label])
        self.counts[classes, old] -= 1
        self.counts[classes, new] += 1


def _take_census(
    labels: NDArray[np.int64],
    component: NDArray[np.int64],
    places: NDArray[np.int64],
    wanted: NDArray[np.bool_],
) -> _Census:
    """Count the distinct components of each class per split and what each class is owed."""
    n_classes = int(labels.max()) + 1
    pairs = np.unique(labels * len(places) + component)
    of_class, of_component = np.divmod(pairs, len(places))
    counts = np.bincount(of_class * 3 + places[of_component], minlength=n_classes * 3)
    counts = counts.reshape(n_classes, 3)
    distinct = counts.sum(axis=1, keepdims=True)
    owed = ((distinct >= _MIN_DISTINCT) & wanted).astype(np.int64)
    owed[:, _TRAINING] = distinct[:, 0] > 0
    order = np.argsort(of_component, kind="stable")
    ordered = of_component[order]
    repeated = np.flatnonzero(np.bincount(ordered, minlength=1) > 1)
    shared = {int(one): of_class[of_component == one].tolist() for one in repeated}
    return _Census(of_class, of_component, counts, owed, shared)


def _guarantee(
    places: NDArray[np.int64],
    positions: NDArray[np.float64],
    intervals: NDArray[np.float64],
    labels: NDArray[np.int64],
    component: NDArray[np.int64],
) -> None:
    """Move, in `places`, the nearest component into each set that a class is owed but lacks."""
    if not len(labels):
        return
    wanted = intervals[:, 1] > intervals[:, 0]
    census = _take_census(labels, component, places, wanted)
    for label, split in census.missing():
        members = census.members(label)
        low, high = intervals[split]
        distance = np.maximum(low - positions[members], positions[members] - high)
        for one in members[np.argsort(distance, kind="stable")].tolist():
            old = int(places[one])
            if census.can_leave(one, label, old):
                census.move(one, label, old, split)
                places[one] = split
                break
