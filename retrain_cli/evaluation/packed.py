"""Many strings in two arrays, so that they can be saved without pickles and read one by one."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class PackedStrings(Sequence[str]):
    """A read-only sequence of strings.

    Attributes:
        data: the strings' bytes end to end, `uint8`: UTF-8 with surrogate escapes, which keeps
            file names that are not UTF-8.
        offsets: `(n + 1,) int64`, string i is `data[offsets[i]:offsets[i + 1]]`.
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        edges = self.offsets
        if (
            len(edges) < 1
            or edges[0] != 0
            or edges[-1] != len(self.data)
            or (edges[1:] < edges[:-1]).any()
        ):
            raise ValueError("the offsets do not fit the strings")

    @classmethod
    def pack(cls, strings: Iterable[str]) -> PackedStrings:
        """Pack the strings, in order."""
        encoded = [string.encode("utf-8", "surrogateescape") for string in strings]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(piece) for piece in encoded], out=offsets[1:])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: SupportsIndex) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = operator.index(index)
        i = i + len(self) if i < 0 else i
        if not 0 <= i < len(self):
            raise IndexError(i)
        piece = self.data[self.offsets[i] : self.offsets[i + 1]]
        return piece.tobytes().decode("utf-8", "surrogateescape")
