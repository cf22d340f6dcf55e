from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from helpers import load_tool
from PIL import Image


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load_tool("make_cells")


def test_equal_arguments_give_equal_files(tool: ModuleType, tmp_path: Path) -> None:
    first, second = (tool.write_cells(tmp_path / name, 2) for name in ("a", "b"))
    assert len(first) == 16
    assert len({path.parent for path in first}) == 8
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_more_photos_change_none_of_the_first_and_a_seed_changes_all(
    tool: ModuleType, tmp_path: Path
) -> None:
    few, more = tool.write_cells(tmp_path / "a", 1), tool.write_cells(tmp_path / "b", 2)
    other = tool.write_cells(tmp_path / "c", 1, seed=1)
    assert [path.read_bytes() for path in few] == [path.read_bytes() for path in more[::2]]
    assert not {path.read_bytes() for path in few} & {path.read_bytes() for path in other}


def test_pictures_are_small_and_the_classes_of_one_factor_differ_in_it(
    tool: ModuleType, tmp_path: Path
) -> None:
    paths = tool.write_cells(tmp_path, 4)
    assert max(path.stat().st_size for path in paths) < 20_000
    light: dict[str, list[float]] = {"loose": [], "dense": []}
    for path in paths:
        with Image.open(path) as picture:
            assert picture.size == (tool.SIDE, tool.SIDE)
            grey = np.asarray(picture.convert("L"), np.float32)
        light[path.parent.name.rpartition("_")[2]].append(float((grey > 0.8 * grey.max()).mean()))
    assert np.mean(light["loose"]) > np.mean(light["dense"]) + 0.05
