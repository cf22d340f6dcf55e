"""Parts of a cache as Parquet files: what a worker writes that shares no database with the others.

One row a photo: where it lies below its image folder, what is known of the file, and its vector or
what is wrong with it. The schema's metadata say what computed the vectors, the column of these of
which dtype they are. Columns are compressed with zstd, which vectors hardly are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.digests import check_identity
from retrain_cli.cache.array_batch import DTYPES
from retrain_cli.cache.store import Damage
from retrain_cli.cache.vector_rows import CACHE_DTYPES, CacheDtype, VectorRow, as_dtype, encoded
from retrain_cli.errors import CacheError, MissingExtraError, reason_of
from retrain_cli.files import parse_json
from retrain_cli.images.examine import DIGEST_BYTES
from retrain_cli.workspace import replacing

SUFFIX = ".parquet"
_KEY = b"retrain"
_FORMAT = 2
_MOST_WIDTH = 1_000_000
_ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class PartRow:
    """One photo of a part.

    Attributes:
        folder: of the file, relative to the image folder.
        name: its name in there.
        class_name: its class.
        given_split: the split that the folder tree gives it, or None.
        size: bytes.
        mtime_ns: time of the last change, nanoseconds.
        ctime_ns: as of `FoundFile`.
        inode: as of `FoundFile`.
        digest: 16 bytes of BLAKE2b of its content; None where it holds no image.
        problem: why it cannot be used; None where it can.
        vector: `(width,)` of the part's dtype; None where it was not computed.
    """

    folder: str
    name: str
    class_name: str
    given_split: str | None
    size: int
    mtime_ns: int
    ctime_ns: int | None
    inode: int | None
    digest: bytes | None
    problem: str | None
    vector: NDArray[np.floating] | None = None


@dataclass(frozen=True, slots=True)
class PartOrigin:
    """What a part is of.

    Attributes:
        identity: what makes its vectors comparable.
        image_dir: the image folder, where it was computed.
        dtype: of its vectors.
    """

    identity: dict[str, Any]
    image_dir: str
    dtype: CacheDtype = "float32"


def write_part(path: Path, origin: PartOrigin, rows: Sequence[PartRow]) -> None:
    """Write a part, atomically; vectors of float32 are rounded where it is of float16.

    Raises:
        CacheError: a value is not finite, or beyond the range of float16.
        MissingExtraError: pyarrow is not installed.
        WorkspaceError: the file cannot be written.
    """
    pa, pq = _pyarrow()
    vectors = [row.vector for row in rows]
    width = max((len(vector) for vector in vectors if vector is not None), default=1)
    about = {
        "format": _FORMAT,
        "identity": origin.identity,
        "image_dir": origin.image_dir,
        "width": width,
    }
    schema = _schema(pa, origin.dtype).with_metadata({_KEY: json.dumps(about)})
    columns = [[_as_stored(name, getattr(row, name)) for row in rows] for name in _COLUMNS]
    table = pa.table([*columns, _as_lists(pa, vectors, width, origin.dtype)], schema=schema)
    with replacing(path) as draft:
        pq.write_table(table, draft, compression="zstd")


def _as_lists(
    pa: Any, vectors: Sequence[NDArray[np.floating] | None], width: int, dtype: CacheDtype
) -> Any:
    """Vectors as a column, without a Python number for each of theirs."""
    known = np.array([vector is not None for vector in vectors], bool)
    flat = [vector for vector in vectors if vector is not None]
    numbers = np.concatenate(flat) if flat else np.zeros(0, DTYPES[dtype])
    if numbers.dtype != DTYPES[dtype]:
        numbers = as_dtype(numbers, dtype)
    ends = np.concatenate([[0], np.cumsum(known) * width]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(numbers), mask=pa.array(~known))


_NO_PART = (ValueError, TypeError, KeyError, AttributeError)
"""What comes of looking for a part's marks in another file."""


class VectorPart:
    """The sound rows of a part that somebody else may have made.

    Attributes:
        path: the file.
        identity: what makes its vectors comparable.
        image_dir: the image folder, where it was computed.
        width: length of its vectors.
        dtype: of its vectors.
        layer_widths: a part does not know them.
        damaged: rows that were met and not given out.
    """

    layer_widths = None

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            CacheError: it is no part.
            MissingExtraError: pyarrow is not installed.
        """
        pa, pq = _pyarrow()
        self.path = path
        self.damaged: list[Damage] = []
        try:
            self._file = pq.ParquetFile(path)
            schema = self._file.schema_arrow
            about = parse_json((schema.metadata or {})[_KEY])
            check_identity(about["identity"])
            if about["format"] != _FORMAT:
                raise ValueError(f"its format is {about['format']!r:.20}")
            self.identity: dict[str, Any] = dict(about["identity"])
            self.image_dir = str(about["image_dir"])
            width = int(about["width"])
            kinds = [dtype for dtype in CACHE_DTYPES if schema.equals(_schema(pa, dtype))]
            if not (0 < width <= _MOST_WIDTH and kinds):
                raise ValueError("its columns are others")
            self.dtype: CacheDtype = kinds[0]
        except (OSError, pa.ArrowException, *_NO_PART) as error:
            raise CacheError(
                f"a merge takes Parquet parts that retrain wrote, and {path} is none "
                f"({reason_of(error)}): what `cache export` writes is for other programs"
            ) from error
        self.width = width

    def rows(self) -> Iterator[PartRow]:
        """Every row as it is written.

        Raises:
            CacheError: the file is damaged.
        """
        pa, _ = _pyarrow()
        try:
            for batch in self._file.iter_batches(_ROWS_AT_ONCE):
                *columns, lists = batch.columns
                known = np.asarray(lists.is_valid())
                if not np.all(np.asarray(lists.value_lengths().drop_null()) == self.width):
                    raise ValueError(f"a vector is not {self.width} long")
                vectors = iter(np.asarray(lists.flatten()).reshape(-1, self.width))
                plain = zip(*(column.to_pylist() for column in columns), strict=True)
                for values, has_vector in zip(plain, known.tolist(), strict=True):
                    fields = dict(zip(_COLUMNS, map(_as_known, _COLUMNS, values), strict=True))
                    yield PartRow(**fields, vector=next(vectors) if has_vector else None)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise CacheError(
                f"{self.path} is damaged ({reason_of(error)}): leave it out of the merge, and run "
                "`retrain bottlenecks`, which computes what is missing"
            ) from error

    def vectors(self) -> Iterator[VectorRow]:
        """Each sound vector as a row of a cache; raises as `rows`."""
        for row in self.rows():
            if row.vector is None or row.digest is None or row.problem is not None:
                continue
            if np.isfinite(row.vector).all():
                yield from encoded([row.digest], row.vector[None], self.dtype)
            else:
                self.damaged.append(Damage(row.digest.hex(), "values that are not finite"))

    def arrays(self) -> Iterator[Any]:
        """A part holds none."""
        yield from ()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


_NAMES = ("folder", "name", "class_name")
_COLUMNS = (
    *_NAMES, "given_split", "size", "mtime_ns", "ctime_ns", "inode", "digest", "problem"
)  # fmt: skip


def _schema(pa: Any, dtype: CacheDtype) -> Any:
    """Names are bytes, for those of files need not be Unicode.

    Vectors are lists of any length: pyarrow before 26 cannot read lists of one length some of
    which are not there.
    """
    required = {
        "folder": pa.binary(),
        "name": pa.binary(),
        "class_name": pa.binary(),
        "size": pa.int64(),
        "mtime_ns": pa.int64(),
    }
    optional = {
        "given_split": pa.string(),
        "ctime_ns": pa.int64(),
        "inode": pa.int64(),
        "digest": pa.binary(DIGEST_BYTES),
        "problem": pa.string(),
    }
    fields = [
        pa.field(name, required.get(name) or optional[name], name not in required)
        for name in _COLUMNS
    ]
    return pa.schema([*fields, pa.field("vector", pa.list_(pa.from_numpy_dtype(DTYPES[dtype])))])


def _as_stored(name: str, value: Any) -> Any:
    if name in _NAMES:
        return os.fsencode(value)
    return value.encode(errors="replace").decode() if name == "problem" and value else value


def _as_known(name: str, value: Any) -> Any:
    return os.fsdecode(value) if name in _NAMES else value


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError("Parquet files", "parquet") from error
    return pa, pq
