"""Photos in the tar shards of a WebDataset."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest
from shards import samples_of, write_shard

from retrain_cli.datasets.sources.shard_source import shard_paths
from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.images.photo_files import read_file


@pytest.fixture
def shards(photos: Path, tmp_path: Path) -> Path:
    for number in range(3):
        write_shard(tmp_path / "shards" / f"set-00{number}.tar", samples_of(photos, number))
    return tmp_path / "shards"


@pytest.mark.parametrize("pattern", ["set-{000..002}.tar", "set-*.tar"])
def test_they_hold_what_the_folder_holds(
    shards: Path, photos: Path, fill: Any, pattern: str
) -> None:
    packed = fill(shards / pattern)
    assert (packed.found, packed.computed, packed.bad) == (36, 36, [])
    folder = fill(photos)
    assert (folder.computed, folder.classes) == (0, packed.classes)


def test_a_shard_that_did_not_change_is_not_read_again(
    shards: Path, photos: Path, fill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrain_cli.datasets.folders._CLOCK_TICK_NS", -(10**18))
    fill(shards / "*.tar")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("retrain_cli.images.examine.read_image_bytes", None)
        assert fill(shards / "*.tar").cached == 36
    some = samples_of(photos, 1)
    some.pop(next(iter(some)))
    write_shard(shards / "set-001.tar", some)
    summary = fill(shards / "*.tar")
    assert (summary.found, summary.computed, summary.cached) == (35, 0, 35)


def test_what_has_no_class_is_left_out_and_told(shards: Path, photos: Path, fill: Any) -> None:
    photo = (photos / "ant" / "0000.png").read_bytes()
    odd = {"x.y/1": {"png": photo}, "2": {"png": photo, "json": b"{]"}, "3": {"mp4": b"film"}}
    write_shard(shards / "set-003.tar", odd)
    told: list[str] = []
    assert fill(shards / "*.tar", on_warning=told.append).found == 36
    assert told == [
        "2 photo(s) left out, such as set-003.tar/x.y/1.png: there is no class in a .cls, .json or "
        ".txt beside them"
    ]


def test_damaged_shards_are_refused(shards: Path, fill: Any) -> None:
    whole = (shards / "set-001.tar").read_bytes()
    with tarfile.open(shards / "set-001.tar") as archive:
        second = archive.getmembers()[1].offset
    for data, reason in (
        (whole[:700], "cut within"),
        (b"no archive at all, but long enough to be looked into" * 20, "invalid header"),
        (b"", "empty"),
        (whole[:second] + b"?" * 512 + whole[second + 512 :], f"at byte {second:,} is damaged"),
    ):
        (shards / "set-001.tar").write_bytes(data)
        with pytest.raises(DatasetError) as refused:
            fill(shards / "*.tar")
        assert "set-001.tar" in str(refused.value)
        assert reason in str(refused.value)
    (shards / "set-001.tar").unlink()
    with pytest.raises(DatasetError, match=r"set-001\.tar \(No such file"):
        fill(shards / "set-{000..002}.tar")


def test_what_is_no_class_or_no_shard(shards: Path, photos: Path, fill: Any) -> None:
    with pytest.raises(DatasetError, match=r"retrain bottlenecks .*/shards/\*\.tar"):
        fill(shards)
    with pytest.raises(DatasetError, match="shards are read from a disk"):
        fill("s3://bucket/set-000.tar")
    with pytest.raises(ConfigError, match="leave it out"):
        fill(shards / "*.tar", layout="splits")
    photo = (photos / "ant" / "0000.png").read_bytes()
    write_shard(shards / "set-003.tar", {"1": {"png": photo, "cls": b"a/b"}})
    with pytest.raises(DatasetError, match=r"set-003\.tar/1\.cls has 'a/b'"):
        fill(shards / "*.tar")


def test_one_file_of_a_shard(shards: Path, photos: Path) -> None:
    same = photos / "ant" / "0000.png"
    assert read_file(shards / "set-000.tar" / "ant" / "0000.png") == same.read_bytes()
    with pytest.raises(FileNotFoundError, match=r"no longer in set-000\.tar"):
        read_file(shards / "set-000.tar" / "none.png")
    with pytest.raises(NotADirectoryError):
        read_file(same / "none.png")


def test_ranges_keep_their_zeros() -> None:
    paths = shard_paths(Path("/d/{a..b}-{08..10}-{0..1}.tar"))
    assert [path.name for path in paths] == [
        f"{{a..b}}-{one}-{two}.tar" for one in ("08", "09", "10") for two in "01"
    ]
