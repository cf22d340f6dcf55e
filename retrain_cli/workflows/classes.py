"""`retrain classes`: the user's classes, INT or EXT, and what the backbone sees in them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.cache.store import open_to_read
from retrain_cli.checks import check_share
from retrain_cli.datasets.dataset import Dataset, load_dataset
from retrain_cli.datasets.file_index import FileIndex
from retrain_cli.datasets.origins import PROPOSED_SHARE, ClassOrigin, ruled_classes
from retrain_cli.datasets.source_classes import SourceClasses, load_source_classes
from retrain_cli.heads.surgery.source_head import read_source_head
from retrain_cli.paths import StrPath, as_path
from retrain_cli.workflows.shared.last_used import LastUsed, used_cache
from retrain_cli.workspace import Workspace, replacing

_SHOWN = 3
"""How many source classes are shown for each class."""

_DOUBTED_SHARE = 0.1
"""A name is doubted where fewer of its photos are seen as the source class of that name."""

_FEWEST_TO_DOUBT = 5
"""Photos; with fewer, one or two of them would do it."""


@dataclass(frozen=True)
class SuggestRequest:
    """How to suggest INT and EXT.

    Attributes:
        top: weights file of the backbone with its own classifier; None for the backbone's own.
        least_share: a source class is proposed where it is seen in at least this share of photos.
    """

    top: StrPath | None = None
    least_share: float = PROPOSED_SHARE

    def __post_init__(self) -> None:
        check_share(self, "least_share", with_1=True)


@dataclass(frozen=True)
class SeenClass:
    """A source class, and the share of a class's photos that the backbone names so, 0 to 1."""

    wnid: str
    name: str
    share: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"wnid": self.wnid, "name": self.name, "share": self.share}


@dataclass(frozen=True)
class ClassInfo:
    """One class of the user's.

    Attributes:
        origin: INT or EXT, and why.
        images: its usable photos.
        seen: what the backbone sees in them, most first; empty where nobody asked.
        proposal: the source class to rule in an override file, or None where the name decides.
        doubt: the share of its photos that is seen as the source class of its name, where that is
            so small that the name may mean something else; None where it is not, or nobody asked.
    """

    origin: ClassOrigin
    images: int
    seen: tuple[SeenClass, ...] = ()
    proposal: SeenClass | None = None
    doubt: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "class": self.origin.class_name,
            "origin": self.origin.origin,
            "wnids": list(self.origin.wnids),
            "matched": self.origin.matched,
            "hint": self.origin.hint,
            "images": self.images,
            "seen": [seen.to_dict() for seen in self.seen],
            "proposal": self.proposal.wnid if self.proposal else None,
            "doubt": self.doubt,
        }


def list_class_infos(
    workspace: Workspace, suggest: SuggestRequest | None = None
) -> list[ClassInfo]:
    """The classes of the dataset last used.

    Args:
        workspace: where its bottlenecks are.
        suggest: also look at the photos through the backbone's own classifier.

    Raises:
        RetrainError: no bottlenecks, or no such classifier.
    """
    used = LastUsed.load(workspace)
    with FileIndex.to_read(workspace.index_path) as index:
        dataset = load_dataset(index, used.image_dir)
    counts = np.bincount(dataset.labels, minlength=len(dataset.class_names))
    origins = used.origins(dataset.class_names)
    infos = [ClassInfo(*pair) for pair in zip(origins, counts.tolist(), strict=True)]
    if suggest is None:
        return infos
    source = load_source_classes(used.source_classes)
    votes = _votes(workspace, used, source, dataset, suggest.top)
    assert source is not None  # else there is no classifier
    ruled = ruled_classes(used.int_ext, dataset.class_names)
    seen = [
        replace(info, seen=_seen(row, source), doubt=_doubt(info, row, source, ruled))
        for info, row in zip(infos, votes, strict=True)
    ]
    return _with_proposals(seen, suggest.least_share)


def _votes(
    workspace: Workspace,
    used: LastUsed,
    source: SourceClasses | None,
    dataset: Dataset,
    top: StrPath | None,
) -> NDArray[np.float64]:
    """Share of each class's photos that go to each source class, `(n_classes, n_source)`."""
    head = read_source_head(used.backbone, source, None if top is None else as_path(top))
    with open_to_read(used_cache(workspace, used)) as store:
        bottlenecks = store.read(dataset.digests)
    best = head.top_k(bottlenecks, 1)[0][:, 0]
    votes = np.zeros((len(dataset.class_names), head.n_classes))
    np.add.at(votes, (dataset.labels, best), 1)
    shares: NDArray[np.float64] = votes / votes.sum(axis=1, keepdims=True)
    return shares


def _seen(shares: NDArray[np.float64], source: SourceClasses) -> tuple[SeenClass, ...]:
    order = np.argsort(-shares, kind="stable")[:_SHOWN].tolist()
    return tuple(
        SeenClass(source.classes[i].wnid, source.classes[i].synonyms[0], float(shares[i]))
        for i in order
        if shares[i] > 0
    )


def _doubt(
    info: ClassInfo, shares: NDArray[np.float64], source: SourceClasses, ruled: frozenset[str]
) -> float | None:
    """The share that is seen as the name says, where something else is seen far more often."""
    origin = info.origin
    if not origin.wnids or origin.class_name in ruled or info.images < _FEWEST_TO_DOUBT:
        return None
    named = [source.by_wnid[wnid.lower()].index for wnid in origin.wnids]
    own = float(shares[named].sum())
    return own if own < _DOUBTED_SHARE and shares.max() >= 2 * own else None


def _with_proposals(infos: Sequence[ClassInfo], least_share: float) -> list[ClassInfo]:
    """Propose each source class once: where its name stands, else where it is seen most."""
    taken = {info.origin.wnids[0] for info in infos if len(info.origin.wnids) == 1}
    proposals: dict[str, SeenClass] = {}
    by_share = sorted(infos, key=lambda info: -info.seen[0].share if info.seen else 0)
    for info in by_share:
        found = _proposal(info, least_share)
        if found is not None and found.wnid not in taken:
            taken.add(found.wnid)
            proposals[info.origin.class_name] = found
    return [replace(info, proposal=proposals.get(info.origin.class_name)) for info in infos]


def _proposal(info: ClassInfo, least_share: float) -> SeenClass | None:
    """The source class to propose: none for a name that fits one, the most seen of several."""
    origin = info.origin
    if origin.ambiguous:
        return next((seen for seen in info.seen if seen.wnid in origin.wnids), None)
    if origin.wnids or not info.seen or info.seen[0].share < least_share:
        return None
    return info.seen[0]


def write_override(infos: Sequence[ClassInfo], path: StrPath) -> int:
    """Write the proposals as a file for `--int-ext`, with a column of remarks for its reader.

    A class whose name is doubted is proposed to be EXT.

    Returns:
        How many lines there are.

    Raises:
        WorkspaceError: the file cannot be written.
    """
    rows = [row for info in infos if (row := _ruling(info)) is not None]
    with replacing(as_path(path)) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("class", "wnid", "remark"))
        writer.writerows(rows)
    return len(rows)


def _ruling(info: ClassInfo) -> tuple[str, str, str] | None:
    """The line of an override file for a class; None where its name decides and is not doubted."""
    if info.doubt is not None:
        remark = f"its name says {info.origin.matched}, seen in {info.doubt:.0%} of the photos"
        return info.origin.class_name, "ext", remark
    if info.proposal is None:
        return None
    remark = f"seen as {info.proposal.name} in {info.proposal.share:.0%} of the photos"
    return info.origin.class_name, info.proposal.wnid, remark
