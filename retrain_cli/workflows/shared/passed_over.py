"""Files of a dataset that are no image we read: how many of which kind, and what can be done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from retrain_cli.datasets.file_index import FileIndex
from retrain_cli.images.unread import Unread, unread_kind


@dataclass(frozen=True)
class PassedOver:
    """What lies among the photos and was not read.

    Attributes:
        kinds: how many files of each kind, pictures first, then by number.
        classes: classes that hold such files only, so that none of them is in the dataset.
    """

    kinds: tuple[tuple[Unread, int], ...] = ()
    classes: tuple[str, ...] = ()

    @property
    def files(self) -> int:
        """How many."""
        return sum(count for _, count in self.kinds)

    @staticmethod
    def of(index: FileIndex, dataset: int) -> PassedOver:
        """Count those of a dataset that was walked and read."""
        folders = index.folders(dataset)
        counts: Counter[Unread] = Counter()
        only: dict[str, bool] = {}
        for file in index.files(dataset):
            class_name = folders[file.folder].class_name
            is_passed_over = file.digest is None and file.problem is None
            if is_passed_over:
                counts[unread_kind(file.name)] += 1
            only[class_name] = only.get(class_name, True) and is_passed_over
        kinds = sorted(counts.items(), key=lambda item: (not item[0].is_picture, -item[1]))
        return PassedOver(tuple(kinds), tuple(sorted(name for name in only if only[name])))

    def in_words(self, most: int = 3) -> str:
        """The kinds in one line, such as "3 x video (.mp4)"."""
        listed = ", ".join(f"{count:,} x {unread.kind}" for unread, count in self.kinds[:most])
        return listed + (", and more" if len(self.kinds) > most else "")
