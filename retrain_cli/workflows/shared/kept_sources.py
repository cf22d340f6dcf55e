"""`retrain train --keep-source-classes`: the classes of the backbone beside the user's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrain_cli import interrupts
from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.datasets.source_classes import SourceClass, SourceClasses, load_source_classes
from retrain_cli.datasets.splits import SPLITS
from retrain_cli.evaluation.intervals import Estimate, share_estimate
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.surgery.joining import JoinedHeads, join_with_source_head
from retrain_cli.heads.surgery.source_head import read_source_head, source_columns
from retrain_cli.heads.training import train_head
from retrain_cli.paths import StrPath, as_path
from retrain_cli.runs.joined_sources import JoinedSources
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.shared.training_set import TrainingSet


@dataclass(frozen=True, eq=False)
class SourceHead:
    """The backbone's own classifier and the names of its classes."""

    head: Head
    source: SourceClasses


@dataclass(frozen=True, eq=False)
class KeptSources:
    """A head of the user's classes and the source classes.

    Attributes:
        head: the user's classes first.
        origins: of all its classes.
        report: how they were joined and what it costs.
    """

    head: Head
    origins: list[ClassOrigin]
    report: JoinedSources


def load_source_head(used: LastUsed, top: StrPath | None) -> SourceHead:
    """The own classifier of the backbone last used, before any work is done.

    Raises:
        RetrainError: there is none, or its classes are not known.
    """
    source = load_source_classes(used.source_classes)
    head = read_source_head(used.backbone, source, None if top is None else as_path(top))
    assert source is not None  # else there is no classifier
    return SourceHead(head, source)


def keep_sources(
    source_head: SourceHead, head: Head, training_set: TrainingSet, config: TrainingConfig
) -> KeptSources:
    """Join a trained head with the backbone's own.

    Args:
        source_head: the backbone's own.
        head: the trained head.
        training_set: what it was trained on.
        config: how it was trained; a head of the EXT classes is trained likewise.

    Raises:
        DatasetError: there are no validation photos.
        KeyboardInterrupt: Ctrl-C came before the head of the EXT classes was trained.
    """
    data, columns = training_set.data, source_columns(training_set.origins, source_head.source)

    def train(part: HeadData) -> Head:
        trained = train_head(part, config)
        if trained.stopped_by == "interrupt":
            raise interrupts.interruption()
        return trained.head

    joined = join_with_source_head(source_head.head, head, data, columns, train)
    classes = [source_head.source.classes[index] for index in joined.kept.tolist()]
    origins = [*training_set.origins, *source_origins(classes, data.class_names)]
    named = replace(joined.head, labels=tuple(origin.class_name for origin in origins))
    report = _report(joined, source_head.head, head, training_set, columns)
    return KeptSources(named, origins, report)


def source_origins(classes: Sequence[SourceClass], taken: Sequence[str]) -> list[ClassOrigin]:
    """Source classes under their first name; where another class has it, with the WordNet id."""
    count = Counter([one.synonyms[0].casefold() for one in classes])
    count.update(name.casefold() for name in taken)
    return [
        ClassOrigin(
            one.synonyms[0]
            if count[one.synonyms[0].casefold()] == 1
            else f"{one.synonyms[0]} ({one.wnid})",
            "INT",
            (one.wnid,),
            f"{one.wnid} {one.synonyms[0]}",
        )
        for one in classes
    ]


def _report(
    joined: JoinedHeads,
    source_head: Head,
    head: Head,
    training_set: TrainingSet,
    columns: Sequence[NDArray[np.int64]],
) -> JoinedSources:
    rows = np.flatnonzero(training_set.images.split == SPLITS.index("test"))
    rows = rows[training_set.data.labels[rows] >= 0]
    labels, vectors = training_set.data.labels[rows], training_set.data.bottlenecks[rows]
    own = [np.array([index]) for index in range(head.n_classes)]
    report = JoinedSources(
        classes_kept=len(joined.kept),
        classes_merged=source_head.n_classes - len(joined.kept),
        scale=joined.alignment.scale,
        offset=joined.alignment.offset,
        calibrated_on="INT and EXT photos" if joined.without_int else "95% stay right",
        test_images=len(rows),
        own_top1_before=_share(head, vectors, labels, own),
        own_top1_after=_share(joined.head, vectors, labels, own),
    )
    is_int = np.array([len(found) > 0 for found in columns])[labels]
    if joined.without_int is None or not is_int.any():
        return report
    some, true = vectors[is_int], labels[is_int]
    return replace(
        report,
        source_images=int(is_int.sum()),
        source_top1_before=_share(source_head, some, true, columns),
        source_top1_after=_share(joined.without_int, some, true, columns),
    )


def _share(
    head: Head,
    vectors: NDArray[np.float32],
    labels: NDArray[np.int32],
    columns: Sequence[NDArray[np.int64]],
) -> Estimate | None:
    """Share of photos whose best class is one of those that count for their true one."""
    if not len(labels):
        return None
    best = head.top_k(vectors, 1)[0][:, 0].tolist()
    pairs = zip(best, labels.tolist(), strict=True)
    hits = sum(found in columns[label] for found, label in pairs)
    return share_estimate(hits, len(labels))
