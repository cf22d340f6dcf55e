"""From a damaged cache file every row whose page can be read comes back, and no other."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from retrain_cli.backbones.digests import identity_fingerprint
from retrain_cli.cache.salvage import salvage
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.cache.verification import verify_store
from retrain_cli.errors import CacheError, DamagedFileError
from retrain_cli.images.examine import content_digest

IDENTITY = {"name": "fake"}
PAGE = 4096
DIGESTS = [content_digest(str(number).encode()) for number in range(300)]
VECTORS = np.random.default_rng(0).normal(size=(300, 1280)).astype(np.float32)


def fill(store: BottleneckStore) -> None:
    for start in range(0, 300, 32):
        store.put(DIGESTS[start : start + 32], VECTORS[start : start + 32])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A cache whose vectors reach over several pages."""
    path = tmp_path / f"fake-{identity_fingerprint(IDENTITY)}.sqlite"
    with BottleneckStore(path, IDENTITY) as store:
        fill(store)
    return path


def check(path: Path, expected: int) -> None:
    """The new file is sound, holds at least so many rows, and each is the right one."""
    with BottleneckStore(path, IDENTITY) as store:
        assert not verify_store(store).damaged
        assert len(store) >= expected
        rows = [digest for digest in DIGESTS if store.contains(digest)]
        np.testing.assert_array_equal(
            store.read(rows), VECTORS[[DIGESTS.index(digest) for digest in rows]]
        )


def damage(path: Path, start: int, data: bytes) -> bytes:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(data)
    return path.read_bytes()


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_page_costs_the_rows_on_it_alone(path: Path, seed: int) -> None:
    generator = random.Random(seed)
    pages = path.stat().st_size // PAGE
    before = damage(path, generator.randrange(pages) * PAGE, generator.randbytes(PAGE))
    salvaged = salvage(path, IDENTITY)
    assert salvaged.saved + salvaged.lost == 300
    assert salvaged.lost <= 3  # of vectors that take one page and a part of another
    assert salvaged.kept_as.read_bytes() == before
    check(path, salvaged.saved)


def test_without_its_header_nothing_is_lost(path: Path) -> None:
    damage(path, 0, b"\xff" * PAGE)
    assert salvage(path).saved == 300
    check(path, 300)


def test_what_was_cut_off_is_lost_and_the_rest_is_not(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    salvaged = salvage(path, IDENTITY)
    assert 100 < salvaged.saved < 200
    check(path, salvaged.saved)


def test_rows_that_are_still_in_the_log_are_saved(path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim" / path.name
    victim.parent.mkdir()
    path.unlink()
    with BottleneckStore(path, IDENTITY) as store:  # killed before it was closed
        fill(store)
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{victim}{suffix}")
    damage(victim, 0, b"\xff" * 100)
    salvaged = salvage(victim)
    assert salvaged.saved == 300
    assert salvaged.kept_as.with_name(salvaged.kept_as.name + "-wal").exists()
    assert not victim.with_name(victim.name + "-wal").exists()
    check(victim, 300)


def test_where_nothing_is_left_the_file_stays(path: Path) -> None:
    path.write_bytes(b"hello" * 10_000)
    with pytest.raises(CacheError, match="move it away"):
        salvage(path, IDENTITY)
    assert path.read_bytes() == b"hello" * 10_000
    assert list(path.parent.iterdir()) == [path]


def test_an_identity_that_does_not_fit_the_name_is_not_believed(path: Path) -> None:
    other = path.rename(path.with_name("fake-0123456789ab.sqlite"))
    damage(other, 0, b"\xff" * PAGE)
    with pytest.raises(CacheError):
        salvage(other)


@pytest.mark.parametrize("key", ["identity", "width", "images_per_second"])
@pytest.mark.parametrize("text", ["x", "[" * 100_000, "[1]"])
def test_what_a_file_says_of_itself_is_damaged(path: Path, key: str, text: str) -> None:
    with BottleneckStore(path) as store:
        store.set_meta("images_per_second", "80")
        store.set_meta(key, text)
        assert [damage.reason for damage in verify_store(store).damaged] == [
            f"its {key} is damaged"
        ]
        with pytest.raises(DamagedFileError, match="cache verify --repair"):
            getattr(store, key)
    assert salvage(path, IDENTITY).saved == 300
    check(path, 300)
