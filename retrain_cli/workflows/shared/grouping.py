"""Near duplicates as split groups: found once, remembered by content, never torn apart."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from retrain_cli.cache.store import BottleneckStore
from retrain_cli.datasets.dataset import Dataset
from retrain_cli.errors import DatasetError
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.similarity.near_duplicates import GROUPING, find_founders, join, near_duplicates
from retrain_cli.similarity.photo_facts import PhotoFacts
from retrain_cli.similarity.survey import Told, survey
from retrain_cli.workspace import Workspace


@dataclass(frozen=True)
class GroupCounts:
    """How many groups of near duplicates there are, and how many distinct photos are in them."""

    groups: int
    photos: int

    @classmethod
    def of(cls, dataset: Dataset) -> GroupCounts:
        """Count the groups of more than one photo."""
        sizes = Counter(dataset.founders[digest] for digest in set(dataset.digests))
        several = [size for size in sizes.values() if size > 1]
        return cls(len(several), sum(several))


def group_photos(
    dataset: Dataset,
    store: BottleneckStore,
    workspace: Workspace,
    settings: ExtractionSettings,
    on_progress: Told = lambda done, total: None,
) -> Dataset:
    """The dataset with its groups of near duplicates; nothing is computed where all are known.

    A photo that cannot be looked at any more keeps the group that it has, or is alone.
    """
    digests = sorted(set(dataset.digests))
    with PhotoFacts(workspace.photos_path) as facts:
        known = facts.founders()
        if not known.keys() >= set(digests):
            looks = survey(
                dataset, facts, settings.reader_count, on_progress, settings.photo_timeout
            )
            seen = [digest for digest in digests if digest in looks]
            pairs = near_duplicates(store.read(seen), [looks[digest] for digest in seen])
            found = find_founders(seen, join(len(seen), pairs), known)
            facts.remember_founders(found)
            known = known | found
    return _grouped(dataset, known)


def with_groups(dataset: Dataset, group: str | None, workspace: Workspace) -> Dataset:
    """The dataset with the groups that are remembered, or as it is where none are wanted.

    Raises:
        DatasetError: what is remembered is gone.
    """
    if group is None:
        return dataset
    if not workspace.photos_path.is_file():
        raise _no_groups(dataset, workspace)
    with PhotoFacts(workspace.photos_path) as facts:
        founders = facts.founders()
    if founders.keys().isdisjoint(dataset.digests):  # it was made anew, without groups
        raise _no_groups(dataset, workspace)
    return _grouped(dataset, founders)


def _no_groups(dataset: Dataset, workspace: Workspace) -> DatasetError:
    return DatasetError(
        f"the groups of near duplicates should be in {workspace.photos_path} and are not: run "
        f"`retrain bottlenecks {dataset.root} --group {GROUPING}` again"
    )


def _grouped(dataset: Dataset, founders: dict[bytes, bytes]) -> Dataset:
    return replace(
        dataset, founders={digest: founders.get(digest, digest) for digest in dataset.digests}
    )
