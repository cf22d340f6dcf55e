"""Parquet parts: what a worker wrote is merged as it was, and nothing that is no part."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import SMALL_SPEC, make_photos

from retrain_cli.cache.store import BottleneckStore
from retrain_cli.cache.vector_parts import PartOrigin, PartRow, VectorPart, write_part
from retrain_cli.cache.verification import verify_store
from retrain_cli.datasets.folders import walk_folders
from retrain_cli.errors import CacheError
from retrain_cli.images.examine import content_digest
from retrain_cli.workflows.cache import list_caches
from retrain_cli.workflows.sharding.merging import merge_caches
from retrain_cli.workspace import Workspace

IDENTITY = SMALL_SPEC.identity()
WIDTH = 32


@pytest.fixture
def rows(photos: Path) -> list[PartRow]:
    """A row a photo as a worker would write them, with a bad one and one whose name is no text."""
    (photos / "ant" / "bad.jpg").write_bytes(b"no image")
    (photos / "bee" / os.fsdecode(b"\xff.png")).write_bytes(b"other")
    generator = np.random.default_rng(0)
    found = []
    for folder in walk_folders(photos):
        for file in folder.files:
            data = (photos / folder.path / file.name).read_bytes()
            problem = None if data.startswith(b"\x89PNG") else "not an image"
            vector = None if problem else generator.random(WIDTH, np.float32)
            digest = None if problem else content_digest(data)
            found.append(
                PartRow(
                    folder.path,
                    file.name,
                    folder.class_name,
                    folder.given_split,
                    file.size,
                    file.mtime_ns,
                    file.ctime_ns,
                    file.inode,
                    digest,
                    problem,
                    vector,
                )
            )
    return found


@pytest.fixture
def part(rows: list[PartRow], photos: Path, tmp_path: Path) -> Path:
    path = tmp_path / "parts" / "a.parquet"
    path.parent.mkdir()
    write_part(path, PartOrigin(IDENTITY, str(photos)), rows)
    return path


def test_a_part_gives_back_what_was_put_in(part: Path, rows: list[PartRow]) -> None:
    with closing(VectorPart(part)) as opened:
        assert opened.width == WIDTH
        back = list(opened.rows())
    for before, after in zip(rows, back, strict=True):
        for name in PartRow.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    column = pq.ParquetFile(part).metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"


def test_a_part_of_float16_is_half_as_long_and_is_merged_as_it_is(
    part: Path, rows: list[PartRow], photos: Path, workspace: Workspace, fill: Any
) -> None:
    half = part.with_name("half.parquet")
    write_part(half, PartOrigin(IDENTITY, str(photos), "float16"), rows)
    with closing(VectorPart(half)) as opened:
        back = [row.vector for row in opened.rows()]
    for row, vector in zip(rows, back, strict=True):
        expected = None if row.vector is None else row.vector.astype(np.float16)
        np.testing.assert_array_equal(vector, expected)
        assert vector is None or vector.dtype == np.float16
    assert _column_bytes(half) < 0.6 * _column_bytes(part)
    merge_caches(workspace, half)
    (info,) = list_caches(workspace)
    assert (info.dtype, info.bottlenecks) == ("float16", 36)
    assert merge_caches(workspace, part).caches[0].added == 0  # of float32: it would be rounded
    assert fill(photos).cached == 36


def _column_bytes(path: Path) -> int:
    group = pq.ParquetFile(path).metadata.row_group(0)
    return int(group.column(group.num_columns - 1).total_uncompressed_size)


def test_a_part_of_float16_comes_into_no_cache_of_float32(
    part: Path, rows: list[PartRow], photos: Path, workspace: Workspace
) -> None:
    half = part.with_name("half.parquet")
    write_part(half, PartOrigin(IDENTITY, str(photos), "float16"), rows[:9])
    merge_caches(workspace, part)
    with pytest.raises(CacheError, match="keeps float32, and rows of float16 are rounded ones"):
        merge_caches(workspace, half)


def test_what_float16_cannot_hold_is_not_written(
    part: Path, rows: list[PartRow], photos: Path
) -> None:
    vector = rows[0].vector
    assert vector is not None
    vector[3] = 1e5
    with pytest.raises(CacheError, match="float16 ends at"):
        write_part(part, PartOrigin(IDENTITY, str(photos), "float16"), rows)


def test_merged_parts_are_a_cache_of_which_nothing_is_missing(
    part: Path, rows: list[PartRow], photos: Path, workspace: Workspace, fill: Any
) -> None:
    half = len(rows) // 2
    for name, some in (("a", rows[:half]), ("b", rows[half - 3 :])):
        path = part.with_name(f"{name}.parquet")
        write_part(path, PartOrigin(IDENTITY, str(photos)), some)
    (merged,) = merge_caches(workspace, part.parent).caches
    assert (merged.added, merged.left_out) == (36, [])
    assert merge_caches(workspace, [part]).caches[0].added == 0
    (info,) = list_caches(workspace)
    with BottleneckStore(info.path) as store:
        good = {row.digest: row.vector for row in rows if row.digest and row.vector is not None}
        np.testing.assert_array_equal(store.read(list(good)), np.stack(list(good.values())))
        assert not verify_store(store).damaged
    summary = fill(photos)
    assert (summary.cached, summary.computed, len(summary.bad)) == (36, 0, 2)


def test_a_part_of_bad_photos_alone(
    rows: list[PartRow], photos: Path, workspace: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "bad.parquet"
    write_part(path, PartOrigin(IDENTITY, str(photos)), [row for row in rows if row.problem])
    with closing(VectorPart(path)) as opened:
        assert len(list(opened.rows())) == 2
    assert merge_caches(workspace, path).caches[0].bottlenecks == 0


def test_rows_that_are_not_sound_are_left_out(
    rows: list[PartRow], photos: Path, workspace: Workspace, tmp_path: Path
) -> None:
    vector = rows[0].vector
    assert vector is not None
    vector[3] = np.nan
    path = tmp_path / "nan.parquet"
    write_part(path, PartOrigin(IDENTITY, str(photos)), rows)
    (merged,) = merge_caches(workspace, path).caches
    assert (merged.added, len(merged.left_out)) == (35, 1)


def test_paths_that_lead_elsewhere_are_not_taken(
    rows: list[PartRow], photos: Path, workspace: Workspace, tmp_path: Path
) -> None:
    from dataclasses import replace

    path = tmp_path / "odd.parquet"
    odd = [
        replace(rows[0], folder="../x"),
        replace(rows[1], name="../y"),
        replace(rows[2], name=""),
    ]
    write_part(path, PartOrigin(IDENTITY, str(photos)), [*odd, *rows[3:]])
    merge_caches(workspace, path)
    with closing(sqlite3.connect(workspace.index_path)) as connection:
        names = [name for (name,) in connection.execute("SELECT hex(name) FROM files")]
    assert len(names) == len(rows) - 3


def _other_columns(path: Path, table: Any) -> None:
    pq.write_table(table.drop_columns(["problem"]), path)


def _no_metadata(path: Path, table: Any) -> None:
    pq.write_table(table.replace_schema_metadata({}), path)


def _wrong_identity(path: Path, table: Any) -> None:
    about = table.schema.metadata[b"retrain"].replace(b'"mobilenet"', b'"../up"')
    pq.write_table(table.replace_schema_metadata({"retrain": about}), path)


def _doubles(path: Path, table: Any) -> None:
    at = table.schema.get_field_index("vector")
    column = table["vector"].cast(pa.list_(pa.float64(), WIDTH))
    wide = table.set_column(at, "vector", column)
    pq.write_table(wide.replace_schema_metadata(table.schema.metadata), path)


def _no_parquet(path: Path, table: Any) -> None:
    path.write_bytes(b"PAR1 or so")


@pytest.mark.parametrize(
    "spoil", [_other_columns, _no_metadata, _wrong_identity, _doubles, _no_parquet]
)
def test_what_is_no_part_is_refused(
    spoil: Callable[[Path, Any], None], part: Path, workspace: Workspace
) -> None:
    spoil(part, pq.read_table(part))
    with pytest.raises(CacheError, match=r"Parquet parts that retrain wrote, and .* is none"):
        merge_caches(workspace, part)
    assert list_caches(workspace) == []


def test_an_export_is_no_part(
    fill: Any, photos: Path, workspace: Workspace, tmp_path: Path
) -> None:
    from retrain_cli.workflows.cache import export_cache

    fill(photos)
    export_cache(workspace, tmp_path / "v.parquet")
    with pytest.raises(CacheError, match="for other programs"):
        merge_caches(workspace, tmp_path / "v.parquet")


@pytest.mark.parametrize("cut", [10, 400, 3_000])
def test_a_cut_file_is_refused(cut: int, part: Path, workspace: Workspace) -> None:
    data = part.read_bytes()
    part.write_bytes(data[:-cut])
    with pytest.raises(CacheError):
        merge_caches(workspace, part)


def test_a_flipped_bit_is_no_crash(part: Path, workspace: Workspace) -> None:
    data = bytearray(part.read_bytes())
    for place in range(4, len(data) // 2, 97):
        data[place] ^= 0x40
    part.write_bytes(bytes(data))
    with pytest.raises(CacheError):
        merge_caches(workspace, part)


def test_parts_elsewhere_tell_no_files(
    rows: list[PartRow], workspace: Workspace, tmp_path: Path, fill: Any
) -> None:
    """The photos are known by content when they come."""
    path = tmp_path / "away.parquet"
    write_part(path, PartOrigin(IDENTITY, str(tmp_path / "not here")), rows)
    merge_caches(workspace, path)
    more = make_photos(tmp_path / "photos2", {"ant": 12, "bee": 12, "teapot": 12})
    assert fill(more).computed == 0
