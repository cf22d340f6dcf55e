"""Values of flags that are more than a number or a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrain_cli.cli.context import byte_count, check_plot
from retrain_cli.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("4096", 4096),
        ("500M", 500 * 2**20),
        ("2G", 2**31),
        ("1.5 GB", 3 * 2**29),
        ("1gib", 2**30),
        ("3 kB", 3072),
    ],
)
def test_amounts_of_memory(text: str, expected: int) -> None:
    assert byte_count(text) == expected


@pytest.mark.parametrize("text", ["", "lots", "-1", "2X", "1e9", "G", "1.G"])
def test_anything_else_is_wrong_usage(text: str) -> None:
    with pytest.raises(ConfigError, match="memory_limit takes an amount of memory such as 500M"):
        byte_count(text)


def test_a_picture_without_a_folder_is_refused_before_the_work(tmp_path: Path) -> None:
    check_plot(tmp_path / "a.png")
    check_plot(Path("a.png"))
    with pytest.raises(ConfigError, match="plot is written into a folder that is there"):
        check_plot(tmp_path / "none" / "a.png")
