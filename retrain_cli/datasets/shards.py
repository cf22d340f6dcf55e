"""One of N parts of a dataset, for machines that know nothing of each other.

A photo is in a part by its path below the dataset's root, so that every machine comes to the same
part without asking, wherever the folder lies there.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass, replace

from retrain_cli.datasets.folders import FoundFolder
from retrain_cli.errors import ConfigError, setting

MOST_SHARDS = 100_000


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of a dataset.

    Attributes:
        number: which one, from 1 to `count`.
        count: how many there are.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """`3/16` as the third of sixteen parts.

        Raises:
            ConfigError: it is no such text.
        """
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip(), re.ASCII)
        shard = cls(int(found[1]), int(found[2])) if found else cls(0, 0)
        if not 1 <= shard.number <= shard.count <= MOST_SHARDS:
            raise ConfigError(
                f"{setting('shard')} takes a part and the number of parts, such as 3/16, from 1/16 "
                f"to 16/16 and at most {MOST_SHARDS:,} parts, not {text!r}"
            )
        return shard

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def holds(self, path: str) -> bool:
        """Whether a photo is in this part.

        Args:
            path: relative to the dataset's root, with `/`; both ways to write an accent are one,
                for systems differ in that.
        """
        name = unicodedata.normalize("NFC", path).encode("utf-8", "surrogateescape")
        digest = hashlib.blake2b(name, digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.number - 1

    def part_of(self, folder: FoundFolder) -> FoundFolder:
        """A folder with those of its files that are in this part; maybe none."""
        files = tuple(file for file in folder.files if self.holds(f"{folder.path}/{file.name}"))
        return replace(folder, files=files)
