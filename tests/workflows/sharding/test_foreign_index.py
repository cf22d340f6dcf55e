"""The index of a shard, which somebody else may have made."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from retrain_cli.datasets.file_index import FileIndex
from retrain_cli.workflows.cache import list_caches
from retrain_cli.workflows.sharding.merging import merge_caches
from retrain_cli.workspace import Workspace

LIES = {
    "a view": ("DROP TABLE files", "CREATE VIEW files AS SELECT * FROM folders"),
    "a trigger": ("CREATE TRIGGER t AFTER INSERT ON files BEGIN DELETE FROM files; END",),
}
ODD_ROWS = (
    "INSERT INTO folders VALUES (1, CAST('../up' AS BLOB), CAST('up' AS BLOB), NULL)",
    "INSERT INTO folders VALUES (1, CAST('/etc' AS BLOB), CAST('etc' AS BLOB), NULL)",
    "INSERT INTO folders VALUES (1, CAST('x' AS BLOB), CAST('x' AS BLOB), 'exam')",
    "INSERT INTO files VALUES (1, CAST('../up' AS BLOB), CAST('a' AS BLOB), 1, 1, NULL, '', 1, 1)",
    "INSERT INTO files VALUES (1, CAST('ant' AS BLOB), CAST('../a' AS BLOB), 1, 1, NULL, '', 1, 1)",
    "INSERT INTO files VALUES (1, CAST('ant' AS BLOB), CAST('y' AS BLOB), 1, 1, X'00', NULL, 1, 1)",
    "INSERT INTO files VALUES (1, 'ant', CAST('z' AS BLOB), 'one', 1, NULL, '', 1, 1)",
    "INSERT INTO datasets VALUES (2, CAST('photos' AS BLOB))",
)


@pytest.mark.parametrize("lie", LIES)
def test_an_index_that_is_none_is_left_out(
    lie: str, fill_shards: Any, workspace: Workspace
) -> None:
    fill_shards(1)
    alter(workspace, LIES[lie])
    told: list[str] = []
    merge_caches(workspace, on_warning=told.append)
    assert "read once more" in told[0]
    assert list_caches(workspace)[0].bottlenecks > 0


def test_rows_that_no_index_has_are_not_taken(
    fill_shards: Any, workspace: Workspace, mixed: Path
) -> None:
    count = fill_shards(1)[0].found
    alter(workspace, ODD_ROWS)
    merge_caches(workspace)
    with FileIndex(workspace.index_path) as index:
        dataset = index.dataset_id(mixed)
        assert set(index.folders(dataset)) == {"ant", "bee", "teapot"}
        usable = [file for file in index.files(dataset) if file.digest and not file.problem]
        assert len(usable) == count
    assert index_roots(workspace) == [mixed]


def index_roots(workspace: Workspace) -> list[Path]:
    with closing(sqlite3.connect(workspace.index_path)) as connection:
        return [Path(root.decode()) for (root,) in connection.execute("SELECT root FROM datasets")]


def alter(workspace: Workspace, statements: tuple[str, ...]) -> None:
    (path,) = workspace.shards_dir.glob("*/1/index.sqlite")
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_photos_that_are_not_here_are_told(
    fill_shards: Any, workspace: Workspace, mixed: Path, fill: Any
) -> None:
    fill_shards()
    moved = mixed.rename(mixed.with_name("elsewhere"))
    told: list[str] = []
    merge_caches(workspace, on_warning=told.append)
    assert told == [
        f"{mixed} is not here: the photos are known by their content, and `retrain bottlenecks` "
        "reads each of them once more"
    ]
    assert fill(moved).computed == 0
