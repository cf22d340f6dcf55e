"""What a shard learnt of its photo files: an index that somebody else may have made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from retrain_cli.cache.foreign_file import FileKind, ForeignFile, open_foreign_file
from retrain_cli.cache.vector_parts import PartRow, VectorPart
from retrain_cli.database import plain_statement, statements_of
from retrain_cli.datasets.file_index import (
    CREATE_INDEX_TABLES,
    INDEX_VERSION,
    FileIndex,
    FileRecord,
    FolderRecord,
)
from retrain_cli.datasets.splits import SPLITS, Split
from retrain_cli.images.examine import DIGEST_BYTES

_INDEX = FileKind(
    name="an index",
    statements=frozenset(map(plain_statement, statements_of(CREATE_INDEX_TABLES))),
    tables=("datasets", "folders", "files"),
    needed=frozenset({"datasets", "folders", "files"}),
    newest=INDEX_VERSION,
)
_ROWS_AT_ONCE = 2_000
_LEAST_BYTES = 8  # of a row, which has seven values at least


def merge_index(source: Path, target: Path) -> list[Path]:
    """Take over what another index knows of image folders that are here, too.

    Nothing has to be true of it: a file that does not look exactly as it says is read again.

    Args:
        source: the other index.
        target: the own one.

    Returns:
        The image folders that are not here, under that path.

    Raises:
        CacheError: the source is no index of this version, or damaged.
    """
    absent = []
    with open_foreign_file(source, _INDEX) as theirs, FileIndex(target) as ours:
        for number, root in _datasets(theirs):
            if not root.is_dir():
                absent.append(root)
                continue
            dataset = ours.dataset_id(root)
            # Folders first: a file whose folder is not known could not be told its class.
            ours.replace_folders(dataset, {**ours.folders(dataset), **_folders(theirs, number)})
            records = _files(theirs, number)
            while some := list(islice(records, _ROWS_AT_ONCE)):
                ours.remember(dataset, some)
    return absent


def merge_part(part: VectorPart, target: Path) -> None:
    """As `merge_index`, of what a Parquet part says of its photos.

    Raises:
        CacheError: the part is damaged.
    """
    root = Path(part.image_dir)
    if not (root.is_absolute() and root.is_dir()):
        return
    rows = [row for row in part.rows() if _is_row(row)]
    folders = {row.folder: FolderRecord(row.class_name, _split(row)) for row in rows}
    with FileIndex(target) as ours:
        dataset = ours.dataset_id(root)
        ours.replace_folders(dataset, {**folders, **ours.folders(dataset)})
        ours.remember(dataset, [(row.folder, row.name, _record(row)) for row in rows])


def _is_row(row: PartRow) -> bool:
    folder, name = os.fsencode(row.folder), os.fsencode(row.name)
    return _is_below(folder) and _is_below(name) and b"/" not in name


def _split(row: PartRow) -> Split | None:
    return next((split for split in SPLITS if split == row.given_split), None)


def _record(row: PartRow) -> FileRecord:
    return FileRecord(row.size, row.mtime_ns, row.digest, row.problem, row.ctime_ns, row.inode)


def _datasets(index: ForeignFile) -> list[tuple[int, Path]]:
    rows = index.query("SELECT id, root FROM datasets LIMIT 1000")
    found = [(number, os.fsdecode(root)) for number, root in rows if _is_path(root)]
    return [(number, Path(root)) for number, root in found if Path(root).is_absolute()]


def _folders(index: ForeignFile, dataset: int) -> dict[str, FolderRecord]:
    sql = f"SELECT folder, class, given_split FROM folders WHERE dataset = {int(dataset)}"
    return {
        os.fsdecode(folder): FolderRecord(os.fsdecode(class_name), split)
        for folder, class_name, split in index.rows("folders", sql, _LEAST_BYTES)
        if _is_below(folder) and _is_path(class_name) and split in (None, *SPLITS)
    }


def _files(index: ForeignFile, dataset: int) -> Iterator[tuple[str, str, FileRecord]]:
    sql = (
        "SELECT folder, name, size, mtime_ns, digest, problem, ctime_ns, inode FROM files "
        f"WHERE dataset = {int(dataset)}"
    )
    for folder, name, *rest in index.rows("files", sql, _LEAST_BYTES):
        if _is_below(folder) and _is_below(name) and b"/" not in name and _is_record(rest):
            yield os.fsdecode(folder), os.fsdecode(name), FileRecord(*rest)


def _is_record(values: list[object]) -> bool:
    kinds = (int, int, bytes | None, str | None, int | None, int | None)
    digest = values[2]
    fits = not isinstance(digest, bytes) or len(digest) == DIGEST_BYTES
    return fits and all(isinstance(one, kind) for one, kind in zip(values, kinds, strict=True))


def _is_path(text: object) -> bool:
    return isinstance(text, bytes) and bool(text) and b"\0" not in text


def _is_below(text: object) -> bool:
    """Whether a path leads to something below where it begins, on every system."""
    if not isinstance(text, bytes) or not _is_path(text):
        return False
    path = PurePosixPath(os.fsdecode(text))
    return not path.is_absolute() and ".." not in path.parts
