"""Cached bottlenecks as Parquet, npz or CSV, for other programs."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain_cli.cells import csv_cell
from retrain_cli.errors import ConfigError, MissingExtraError
from retrain_cli.workspace import replacing

_ROWS_AT_A_TIME = 2000

VectorReader = Callable[[list[bytes]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class ExportRows:
    """What to export.

    Attributes:
        paths: path of each photo, relative to its image folder.
        class_names: class of each photo.
        splits: split of each photo.
        digests: digest of each photo, 16 bytes.
        read: vectors of some digests, `(n, width) float32`.
        width: length of a vector.
        on_row: is told how many photos of how many are written.
    """

    paths: list[str]
    class_names: list[str]
    splits: list[str]
    digests: list[bytes]
    read: VectorReader
    width: int
    on_row: Callable[[int, int], None] = lambda done, total: None

    def __len__(self) -> int:
        return len(self.paths)

    def chunks(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Rows a few thousand at a time with their vectors, so that memory stays small."""
        for start in range(0, len(self), _ROWS_AT_A_TIME):
            rows = slice(start, start + _ROWS_AT_A_TIME)
            yield rows, self.read(self.digests[rows])
            self.on_row(min(rows.stop, len(self)), len(self))


def export_bottlenecks(rows: ExportRows, target: Path) -> None:
    """Write `target`, atomically; its suffix names the format.

    Raises:
        ConfigError: another suffix.
        MissingExtraError: Parquet without pyarrow.
        WorkspaceError: the file cannot be written.
    """
    write = FORMATS.get(target.suffix.lower())
    if write is None:
        raise ConfigError(
            f"an export ends with {', '.join(FORMATS)}, which names its format; not {target.name!r}"
        )
    with replacing(target) as draft:
        write(rows, draft)


def _write_npz(rows: ExportRows, path: Path) -> None:
    vectors = np.empty((len(rows), rows.width), np.float32)
    for chunk, values in rows.chunks():
        vectors[chunk] = values
    np.savez(
        path,
        bottlenecks=vectors,
        paths=np.array([_text(p) for p in rows.paths]),
        classes=np.array(rows.class_names),
        splits=np.array(rows.splits),
        digests=np.array([d.hex() for d in rows.digests]),
    )


def _write_csv(rows: ExportRows, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        numbers = [f"b{i}" for i in range(rows.width)]
        writer.writerow(["path", "class", "split", "digest", *numbers])
        for chunk, values in rows.chunks():
            fields = zip(
                rows.paths[chunk],
                rows.class_names[chunk],
                rows.splits[chunk],
                rows.digests[chunk],
                values,
                strict=True,
            )
            for name, class_name, split, digest, vector in fields:
                texts = map(csv_cell, (name, class_name, split))
                writer.writerow([*texts, digest.hex(), *map(str, vector)])


def _write_parquet(rows: ExportRows, path: Path) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError("Parquet files", "parquet") from error
    vector_type = pa.list_(pa.float32(), rows.width)
    schema = pa.schema(
        {
            "path": pa.string(),
            "class": pa.string(),
            "split": pa.string(),
            "digest": pa.string(),
            "bottleneck": vector_type,
        }
    )
    with pq.ParquetWriter(path, schema) as writer:
        for chunk, values in rows.chunks():
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), rows.width)
            columns = [
                pa.array([_text(p) for p in rows.paths[chunk]]),
                pa.array([_text(c) for c in rows.class_names[chunk]]),
                pa.array(rows.splits[chunk]),
                pa.array([d.hex() for d in rows.digests[chunk]]),
                vectors,
            ]
            writer.write_table(pa.table(columns, schema=schema))


def _text(path: str) -> str:
    """The path as valid Unicode; bytes that are no UTF-8 become replacement characters."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


FORMATS: dict[str, Callable[[ExportRows, Path], None]] = {
    ".parquet": _write_parquet,
    ".npz": _write_npz,
    ".csv": _write_csv,
}
"""How cached vectors are written, by the suffix of the file."""


def formats_in_words() -> str:
    """The suffixes to choose from, such as `.npz or .csv`."""
    *others, last = FORMATS
    return f"{', '.join(others)} or {last}"
