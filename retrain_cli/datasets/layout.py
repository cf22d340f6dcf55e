"""What the folders of a dataset mean: classes, or given splits with the classes below them.

    photos/cat/*.jpg                  classes; a folder of photos called `test` is one of them
    photos/train/cat/*.jpg            given splits, known by their names and by what they hold
    photos/val/cat/*.jpg

Folders that are called like splits and hold class folders are splits, and what stands beside them
is no part of the dataset. Where that cannot be told for sure, nothing is guessed: the dataset is
refused, and the message says which commands settle it.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final, Literal, get_args

from retrain_cli.checks import not_one_of
from retrain_cli.datasets.class_names import first_spellings, listed, name_key
from retrain_cli.datasets.entries import Contents, ids_of
from retrain_cli.datasets.sources.trees import DiskTree, Tree
from retrain_cli.datasets.split_names import split_folders
from retrain_cli.datasets.splits import Split
from retrain_cli.errors import ConfigError, DatasetError, setting

LayoutChoice = Literal["auto", "classes", "splits"]
"""What the first level of a dataset is; `auto` looks at names and contents."""

_MOST_LOOKED_INTO: Final = 20
"""Class folders that are searched for a dataset of their own: one that lies a level too high has
few folders beside it."""
_NAMED: Final = 4


@dataclass(frozen=True)
class ClassFolder:
    """A folder whose photos, at any depth, are of one class.

    Attributes:
        path: relative to the dataset's root, such as `train/cat`.
        class_name: the class, `cat`.
        given_split: the split that the first level gives, or None.
    """

    path: str
    class_name: str
    given_split: Split | None = None


@dataclass(frozen=True)
class Layout:
    """The class folders of a dataset.

    Attributes:
        root: the dataset's folder.
        kind: what its first level is.
        folders: the class folders, sorted by path.
        above: folders above them, whose own photos belong to no class; relative to the root.
        warnings: what is left out, and why; each a sentence for people.
        advice: what to do where there are too few classes; empty where nothing is known.
    """

    root: PurePath
    kind: Literal["classes", "splits"]
    folders: tuple[ClassFolder, ...]
    above: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    advice: str = ""

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, sorted."""
        return sorted({folder.class_name for folder in self.folders})


def read_layout(root: Path, ignore: Collection[Path] = (), choice: LayoutChoice = "auto") -> Layout:
    """Tell what the folders of a dataset mean, from their names and from those of their files.

    Args:
        root: the dataset's folder.
        ignore: files or folders that are no part of it, such as the workspace.
        choice: what the first level is, where the user says so.

    Raises:
        ConfigError: an unknown choice.
        DatasetError: the root is missing, no folder, unreadable or without class folders, or its
            first level could be both classes and splits.
    """
    return layout_of(DiskTree(root, ids_of(ignore)), choice)


def layout_of(tree: Tree, choice: LayoutChoice) -> Layout:
    """The same of a tree, wherever its folders are."""
    if choice not in get_args(LayoutChoice):
        raise ConfigError(not_one_of(setting("layout"), get_args(LayoutChoice), choice))
    return _Reader(tree).read(choice)


@dataclass(frozen=True)
class _Shape:
    """What a folder of the first level holds.

    Attributes:
        n_flat: photos directly in it, by their names.
        inner: its sub-folders that hold photos, at any depth.
    """

    n_flat: int
    inner: tuple[str, ...]


@dataclass
class _Reader:
    """Reads one layout; what was looked at is remembered."""

    tree: Tree
    shapes: dict[str, _Shape] = field(default_factory=dict)

    @property
    def root(self) -> PurePath:
        """The dataset's folder."""
        return self.tree.root

    def read(self, choice: LayoutChoice) -> Layout:
        """The layout, or a refusal."""
        contents = self.tree.contents("")
        tops = contents.folders
        if not tops:
            raise DatasetError(
                _no_classes(self.root, contents, self.tree.count_photos("", contents))
            )
        splits = split_folders(tops) if choice != "classes" else {}
        if choice == "splits":
            self._check_splits(splits)
            return self._splits(splits, tops)
        with_classes = [name for name in splits if self.shape(name).inner]
        if with_classes and self._are_splits(splits, with_classes, tops):
            return self._splits(splits, tops)
        if splits:
            self._refuse_flat_splits(splits, with_classes, tops)
        return self._classes(tops, told=choice == "classes")

    def shape(self, path: str) -> _Shape:
        """What a folder holds."""
        if path not in self.shapes:
            try:
                contents = self.tree.contents(path)
            except DatasetError:
                contents = Contents((), ())  # the walk says what is wrong with it
            self.shapes[path] = _Shape(
                self.tree.count_photos(path, contents),
                tuple(one for one in contents.folders if self.tree.holds_photos(f"{path}/{one}")),
            )
        return self.shapes[path]

    def _others(self, splits: Iterable[str], tops: Sequence[str]) -> list[str]:
        """Folders of the first level that are called like no split and hold photos."""
        rest = [name for name in tops if name not in set(splits)]
        return [name for name in rest if self.tree.holds_photos(name)]

    # -- splits or not ---------------------------------------------------------------------------

    def _are_splits(
        self, splits: dict[str, Split], with_classes: list[str], tops: Sequence[str]
    ) -> bool:
        """Whether folders that are called like splits, and hold folders, are splits.

        Raises:
            DatasetError: they could be both.
        """
        others = self._others(splits, tops)
        if "training" in {splits[name] for name in with_classes}:
            if len(set(splits.values())) > 1 or not others:
                return True
            (name, *_) = with_classes
            inner, beside = _named(self.shape(name).inner), _named(others)
            raise self._ambiguous(
                f"{name}/ is called like a split and holds folders ({inner}), and beside it there "
                f"is {beside}",
                [f"retrain bottlenecks {_quoted(self.root / name)}", *self._both(with_classes)],
            )
        below = {name_key(one) for name in with_classes for one in self.shape(name).inner}
        known = [name for name in others if name_key(name) in below]
        if known or len({splits[name] for name in with_classes}) > 1:
            what = f"{_named(with_classes)} called like a split, but no folder for training"
            if known:
                advice = f"move {_named(known)} into a new folder {self.root / 'train'}"
            else:
                advice = "call the folder with the training photos train"
            raise self._ambiguous(what, [advice, *self._both([])])
        return False

    def _refuse_flat_splits(
        self, splits: dict[str, Split], with_classes: list[str], tops: Sequence[str]
    ) -> None:
        """Refuse folders that are called like splits and hold photos, but no class folders."""
        flat = [name for name in splits if self.shape(name).n_flat]
        others = self._others(splits, tops)
        kinds = {splits[name] for name in flat}
        alone = flat and not with_classes and not others
        beside_a_dataset = len(others) == 1 and not self.shape(others[0]).n_flat
        if flat and not with_classes and beside_a_dataset and len(self.shape(others[0]).inner) > 1:
            inner = _named(self.shape(others[0]).inner)
            raise self._ambiguous(
                f"{_named(flat)} is called like a split, and the only other folder, {others[0]}/, "
                f"holds folders itself ({inner})",
                [f"retrain bottlenecks {_quoted(self.root / others[0])}", *self._both([])],
            )
        if alone or (len(kinds) > 1 and "training" in kinds):
            raise self._ambiguous(
                f"{_named(flat)} are called like splits and hold photos, but no class folders",
                ["put the photos of each class into a folder such as train/CLASS", *self._both([])],
            )

    def _check_splits(self, splits: dict[str, Split]) -> None:
        if "training" not in splits.values():
            raise DatasetError(
                f"{setting('layout', 'splits')} needs a folder of training photos called train, "
                f"with a folder for each class; received {self.root} without one: call it so"
            )

    def _both(self, with_classes: list[str]) -> list[str]:
        """The flags that settle it."""
        flags = [f"{setting('layout', 'classes')} if every folder there is a class"]
        splits = f"{setting('layout', 'splits')} if it is a split"
        return [*([splits] if with_classes else []), *flags]

    def _ambiguous(self, what: str, remedies: Sequence[str]) -> DatasetError:
        return DatasetError(
            "the folders of a dataset must be either its classes, or splits that hold the classes; "
            f"in {self.root} {what}: {'; or '.join(remedies)}"
        )

    # -- the two layouts -------------------------------------------------------------------------

    def _classes(self, tops: Sequence[str], *, told: bool) -> Layout:
        folders = tuple(ClassFolder(name, name) for name in tops)
        warnings = () if told else self._split_inside(tops)
        return Layout(self.root, "classes", folders, ("",), warnings, self._advice(tops))

    def _split_inside(self, tops: Sequence[str]) -> tuple[str, ...]:
        """Look for splits below the first level: a dataset a level too high, or splits of classes.

        Raises:
            DatasetError: one of several folders is a dataset of its own.
        """
        if len(tops) > _MOST_LOOKED_INTO:
            return ()
        inside: list[str] = []
        for name in tops:
            inner = split_folders(self.shape(name).inner)
            if len(set(inner.values())) < 2 or "training" not in inner.values():
                continue
            if any(self.shape(f"{name}/{one}").inner for one in inner) and len(tops) > 1:
                raise self._ambiguous(
                    f"{name}/ holds splits ({_named(inner)}) with folders in them, so it is a "
                    "dataset itself",
                    [f"retrain bottlenecks {_quoted(self.root / name)}", *self._both([])],
                )
            inside.append(name)
        if not inside:
            return ()
        splits = _named(split_folders(self.shape(inside[0]).inner))
        return (
            f"{_named(inside)}: the folders called like splits inside of a class ({splits}) are "
            "taken for its photos alone, and the splits are drawn anew; for given splits put them "
            f"above the classes, as in train/{inside[0]}",
        )

    def _advice(self, tops: Sequence[str]) -> str:
        """Where the classes lie, if the folder is one level too high, or several."""
        if len(tops) > _MOST_LOOKED_INTO:
            return ""
        path, names = "", [name for name in tops if self.tree.holds_photos(name)]
        while len(names) == 1:
            path = f"{path}/{names[0]}".lstrip("/")
            shape = self.shape(path)
            if shape.n_flat:
                return ""
            names = list(shape.inner)
        if not path or not names:
            return ""
        where = self.root / path
        command = f"retrain bottlenecks {_quoted(where)}"
        return f"they seem to lie in {where} ({_named(names)}): run `{command}`"

    def _splits(self, splits: dict[str, Split], tops: Sequence[str]) -> Layout:
        # Training first: its spelling of a class's name is the one that counts.
        order = sorted(splits, key=lambda name: (splits[name] != "training", name))
        names = [(top, name) for top in order for name in self._inside(top)]
        spelling = first_spellings([name for _, name in names])
        trained = {spelling[name] for top, name in names if splits[top] == "training"}
        if not trained:
            raise DatasetError(
                f"each class needs a folder in the training split; received {self.root} with none "
                f"in {_named(splits)}: put the photos into folders such as {order[0]}/CLASS"
            )
        kept = [
            ClassFolder(f"{top}/{name}", spelling[name], splits[top])
            for top, name in names
            if spelling[name] in trained
        ]
        warnings = [
            *self._warn_of_unknown(names, {name: spelling[name] in trained for _, name in names}),
            *self._warn_of_flat(splits),
            *self._warn_of_others(self._others(splits, tops)),
        ]
        advice = self._split_advice(sorted(trained), order[0])
        above = ("", *(name for name in order if self.shape(name).inner))
        folders = tuple(sorted(kept, key=lambda folder: folder.path))
        return Layout(self.root, "splits", folders, above, tuple(warnings), advice)

    def _inside(self, top: str) -> tuple[str, ...]:
        return self.tree.contents(top).folders

    def _split_advice(self, trained: list[str], top: str) -> str:
        """What to do where training has a single folder, which may hold the classes itself."""
        if len(trained) > 1:
            return ""
        path = f"{top}/{trained[0]}"
        inner = self.shape(path).inner if trained[0] in self._inside(top) else ()
        if len(inner) > 1:
            return (
                f"they seem to lie a level deeper, in {self.root / path} ({_named(inner)}): move "
                f"them up into {self.root / top}"
            )
        return f"put the photos of each class into a folder such as {top}/CLASS"

    # -- what is left out ------------------------------------------------------------------------

    def _warn_of_unknown(
        self, names: list[tuple[str, str]], known: dict[str, bool]
    ) -> Iterable[str]:
        """Classes that training does not have: nothing can learn them."""
        for top in dict.fromkeys(top for top, _ in names):
            inner = [name for one, name in names if one == top and name in self.shape(top).inner]
            unknown = [name for name in inner if not known[name]]
            if not unknown:
                continue
            if len(unknown) == len(inner):
                yield (
                    f"{top}/ is left out: of its folder(s) {_named(unknown)} none is a class of "
                    f"the training photos; to use it, sort its photos into folders {top}/CLASS "
                    "that are called like those, else the split is drawn from the training photos"
                )
            else:
                yield (
                    f"{top}/: left out {_named(unknown)}, which the training photos do not have: "
                    "rename such a folder like its class in training, or add photos there"
                )

    def _warn_of_flat(self, splits: dict[str, Split]) -> Iterable[str]:
        for name in splits:
            count = self.shape(name).n_flat
            if count and not self.shape(name).inner:
                yield (
                    f"{name}/ is left out: its {count} photo(s) lie in no class folder, so their "
                    f"classes are not known; `retrain label {_quoted(self.root / name)}` names "
                    "them once there is a run"
                )

    def _warn_of_others(self, others: list[str]) -> Iterable[str]:
        if others:
            yield (
                f"{_named(others)} beside the splits left out: give --layout classes if every "
                "folder there is a class"
            )


def _no_classes(root: PurePath, contents: Contents, n_loose: int) -> str:
    """Message for a root without class folders, with the photos that lie in it directly, if any."""
    if any(name.lower().endswith(".tar") for name in contents.files):
        shards = _quoted(root / "*.tar")
        return (
            f"photos must be in one sub-folder per class, or in shards that are named; received "
            f"the folder {root} of tar files: run `retrain bottlenecks {shards}`"
        )
    received = f"{n_loose} photos directly in it" if n_loose else "no sub-folder"
    return (
        f"photos must be in one sub-folder per class; received {root} with {received}: "
        "make a sub-folder for each class and move its photos there"
    )


def _named(names: Iterable[str]) -> str:
    """`a/, b/ and 7 more`."""
    folders = [f"{name}/" for name in names]
    more = f" and {len(folders) - _NAMED} more" if len(folders) > _NAMED else ""
    return listed(folders[:_NAMED]) + more


def _quoted(path: PurePath) -> str:
    return shlex.quote(str(path))
