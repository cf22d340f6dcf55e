"""Arrays of several photos with what it takes to read them: float32, float16, or uint8 with scales.

Eight bits hold a number as the nearest of 256 equal steps between the lowest and the highest of its
channel: `value = lowest + code * step`, as affine quantisation does it (Jacob et al. 2018,
https://arxiv.org/abs/1712.05877), with the lowest value itself in place of a zero point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import CacheError

MOST_DIMENSIONS = 4
LARGEST_ARRAY = (1 << 26) - (1 << 20)
"""Bytes of one array, scales included."""

DTYPES = {name: np.dtype(code) for name, code in (("float32", "<f4"), ("float16", "<f2"))}
DTYPES["uint8"] = np.dtype("u1")
SCALE_TYPE = np.dtype("<f4")
_STEPS = 255


@dataclass(frozen=True, eq=False)
class ArrayBatch:
    """Arrays of one shape and one dtype, one for each of `n` photos or views of photos.

    Attributes:
        data: `(n, *shape)`, `shape` of 1 to 4 dimensions; float32, float16 or uint8.
        scales: `(n, 2, channels) float32` with uint8, else None: the step and the lowest value of
            each channel, which is the last dimension, or of all (`channels` 1).
    """

    data: NDArray[Any]
    scales: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            CacheError: another dtype or number of dimensions, scales that do not fit, or values
                that are not finite.
        """
        data, scales = self.data, self.scales
        if data.dtype.name not in DTYPES or not 1 <= data.ndim - 1 <= MOST_DIMENSIONS:
            raise CacheError(
                f"a cache keeps arrays of 1 to {MOST_DIMENSIONS} dimensions of {', '.join(DTYPES)}"
                f", not {data.ndim - 1} of {data.dtype}: convert them first"
            )
        if 0 in data.shape[1:] or self.bytes_each > LARGEST_ARRAY:
            raise CacheError(
                f"an array in a cache has 1 to {LARGEST_ARRAY:,} bytes, and one of shape "
                f"{data.shape[1:]} has {self.bytes_each:,}: keep a later layer or fewer bits"
            )
        if (scales is not None) != (data.dtype == np.uint8):
            raise CacheError(
                f"uint8 has scales and floating point has none, not {data.dtype} "
                f"{'without' if scales is None else 'with'} them: see ArrayBatch.quantised"
            )
        if scales is not None and scales.shape not in [
            (len(data), 2, channels) for channels in (1, data.shape[-1])
        ]:
            raise CacheError(
                f"the scales of arrays {data.shape} are {(len(data), 2, data.shape[-1])} or "
                f"{(len(data), 2, 1)}, not {scales.shape}: see ArrayBatch.quantised"
            )
        if not np.isfinite(data if scales is None else scales).all():
            raise CacheError(
                "arrays must be finite numbers and some are not (float16 ends at 65,504): check "
                "the weights file, or keep them as float32"
            )

    def __len__(self) -> int:
        return len(self.data)

    @property
    def bytes_each(self) -> int:
        """What one array takes, its scales included."""
        scales = 0 if self.scales is None else 2 * self.scales.shape[-1] * SCALE_TYPE.itemsize
        return int(np.prod(self.data.shape[1:], dtype=np.int64)) * self.data.itemsize + scales

    @classmethod
    def quantised(cls, values: NDArray[Any], *, per_channel: bool = True) -> ArrayBatch:
        """Numbers in eight bits, each within half a step of what it was.

        Args:
            values: `(n, *shape)`, finite, float32 or float16.
            per_channel: a scale for each place of the last dimension; else one for each array.

        Raises:
            CacheError: values that cannot be kept; see the class.
        """
        exact = cls(values.astype(np.float32)).data.astype(np.float64)
        axes = tuple(range(1, exact.ndim - 1 if per_channel else exact.ndim))
        lowest, highest = (
            edge(exact, axis=axes, keepdims=True) if axes else exact for edge in (np.min, np.max)
        )
        # In float32, as it is kept: codes are of the step that reading multiplies by.
        step = ((highest - lowest) / _STEPS).astype(np.float32)
        step[(step == 0) & (highest > lowest)] = np.finfo(np.float32).smallest_subnormal
        divisor = np.where(step == 0, 1, step.astype(np.float64))
        codes = np.clip(np.rint((exact - lowest) / divisor), 0, _STEPS).astype(np.uint8)
        scales = np.stack([step, lowest.astype(np.float32)], axis=1)
        return cls(codes, scales.reshape(len(values), 2, -1))

    def values(self) -> NDArray[np.float32]:
        """The numbers, `(n, *shape) float32`."""
        if self.scales is None:
            return self.data.astype(np.float32)
        inner = (1,) * (self.data.ndim - 2)
        step, lowest = (
            self.scales[:, part].astype(np.float64).reshape(len(self), *inner, -1)
            for part in (0, 1)
        )
        limit = np.finfo(np.float32).max  # half a step above the highest may be beyond it
        numbers = np.clip(lowest + self.data * step, -limit, limit)
        return numbers.astype(np.float32)


def joined(batches: Sequence[ArrayBatch]) -> ArrayBatch:
    """Batches as one.

    Raises:
        CacheError: there are none, or they differ in shape, dtype or number of scales.
    """
    kinds = {_kind(batch): batch for batch in batches}
    if len(kinds) != 1:
        raise CacheError(
            "arrays that are read together must be alike, and these are "
            f"{', '.join(sorted(kinds)) or 'none at all'}: read each kind by itself"
        )
    data = np.concatenate([batch.data for batch in batches])
    scales = [batch.scales for batch in batches if batch.scales is not None]
    return ArrayBatch(data, np.concatenate(scales) if scales else None)


def _kind(batch: ArrayBatch) -> str:
    shape = "x".join(map(str, batch.data.shape[1:]))
    scaled = "" if batch.scales is None else f" with {batch.scales.shape[-1]} scale(s)"
    return f"{batch.data.dtype.name} {shape}{scaled}"
