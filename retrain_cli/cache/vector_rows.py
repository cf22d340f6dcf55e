"""Vectors as rows of a cache: numbers of four bytes or of two, with a checksum that tells which.

A row of float16 has another checksum than one of float32 with the same bytes. So a row is known for
what it is wherever it is found, in a damaged file, too, and is never read as the other kind.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from retrain_cli.cache.array_batch import DTYPES
from retrain_cli.errors import CacheError, setting

CacheDtype = Literal["float32", "float16"]
CACHE_DTYPES: tuple[CacheDtype, ...] = get_args(CacheDtype)

VectorRow = tuple[bytes, bytes, int]
"""A row as stored: digest, bytes of the vector, checksum."""

_SEEDS: Final = {"float32": 0, "float16": zlib.crc32(b"float16")}
_PAGES: Final = tuple(1 << power for power in range(12, 17))
_PAGE_HEADER, _ROW_HEADERS = 8, 34
_WORST_FILLED = 0.9
_ANY_WIDTH = 2048


def bytes_per_vector(width: int, dtype: CacheDtype) -> int:
    """Bytes of a vector of so many numbers."""
    return width * DTYPES[dtype].itemsize


def encoded(
    digests: Sequence[bytes], vectors: NDArray[np.floating], dtype: CacheDtype
) -> list[VectorRow]:
    """Vectors as rows; raises as `as_dtype`.

    Args:
        digests: `n` digests of 16 bytes.
        vectors: `(n, width) float32`, or `dtype`.
        dtype: of the rows.
    """
    blobs = [row.tobytes() for row in as_dtype(vectors, dtype)]
    return [(d, b, checksum_of(d, b, dtype)) for d, b in zip(digests, blobs, strict=True)]


def as_dtype(vectors: NDArray[np.floating], dtype: CacheDtype) -> NDArray[np.floating]:
    """Vectors as a cache keeps them; float16 takes the nearest number of two bytes.

    Args:
        vectors: any shape, float32 or `dtype`.
        dtype: of the cache.

    Raises:
        CacheError: a value is not finite, or beyond the range of float16.
    """
    if not np.isfinite(vectors).all():
        raise CacheError(
            "bottlenecks must be finite numbers and some are not: check the weights file, or "
            f"use {setting('precision', 'float32')}"
        )
    with np.errstate(over="ignore"):  # it is told below
        numbers = np.ascontiguousarray(vectors, DTYPES[dtype])
    if dtype == "float16" and not np.isfinite(numbers).all():
        raise CacheError(
            f"float16 ends at 65,504, and these bottlenecks go up to {np.abs(vectors).max():,.0f}: "
            f"delete the cache file and run again with {setting('cache_dtype', 'float32')}"
        )
    return numbers


def decoded(blob: bytes, dtype: CacheDtype) -> NDArray[np.floating]:
    """The numbers of a row, `(width,)` of the row's dtype."""
    return np.frombuffer(blob, DTYPES[dtype])


def checksum_of(digest: bytes, blob: bytes, dtype: CacheDtype) -> int:
    """CRC-32 of the row's dtype, digest and vector."""
    return zlib.crc32(blob, zlib.crc32(digest, _SEEDS[dtype]))


def row_fault(row: VectorRow, width: int, dtype: CacheDtype) -> str | None:
    """What is wrong with a row of a cache of this width and dtype; None where nothing."""
    digest, blob, checksum = row
    expected = bytes_per_vector(width, dtype)
    if len(blob) != expected:
        return f"{len(blob)} bytes long, not {expected}"
    if checksum_of(digest, blob, dtype) != checksum:
        return "its checksum does not match"
    if not np.isfinite(decoded(blob, dtype)).all():
        return "values that are not finite"
    return None


def dtype_of(row: VectorRow) -> CacheDtype | None:
    """The dtype of a row of unknown width; None where it is not sound."""
    for dtype in CACHE_DTYPES:
        if row_fault(row, len(row[1]) // DTYPES[dtype].itemsize, dtype) is None:
            return dtype
    return None


def page_size(width: int | None, dtype: CacheDtype) -> int | None:
    """Bytes of a page of SQLite that rows fill well; None for SQLite's own choice, 4,096.

    A row lies in a page whole where it can, which leaves what is too small for another one empty:
    of 1,280 numbers of float16 one fits into 4,096 bytes and three into 8,192. Rows of float32 are
    mostly longer than a page and go on in others, which are full.

    Args:
        width: of the vectors; None where it is not known yet.
        dtype: of the rows.
    """
    if dtype == "float32":
        return None
    row = bytes_per_vector(width or _ANY_WIDTH, dtype) + _ROW_HEADERS
    filled = (((size - _PAGE_HEADER) // row * row / size, size) for size in _PAGES)
    return next((size for share, size in filled if share >= _WORST_FILLED), _PAGES[-1])
