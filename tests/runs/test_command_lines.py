"""Settings as words, and lists of names with commas in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retrain_cli.runs.command_lines import arguments, comma_list, option, options_of, split_commas

NAMES = st.text(min_size=1, max_size=8) | st.text("a\\, \t", min_size=1, max_size=6)


@given(st.lists(NAMES, min_size=1, max_size=4))
@example(["a,b", "c\\", "\\,", " d ", "e\\\\f"])
def test_any_names_survive_a_list(names: list[str]) -> None:
    assert split_commas(comma_list(names)) == tuple(names)


@pytest.mark.parametrize(
    ("text", "names"),
    [("ant,bee", ("ant", "bee")), (" ant , bee,", ("ant", "bee")), ("a\\b,c", ("a\\b", "c"))],
)
def test_plain_lists_are_read_as_ever(text: str, names: tuple[str, ...]) -> None:
    assert split_commas(text) == names


@dataclass(frozen=True)
class Settings:
    rate: float = 0.1
    names: tuple[str, ...] | None = None
    test: tuple[Path, ...] = field(default_factory=tuple)
    no_gain: bool = False
    sure: bool = True
    size: int | None = None


def test_what_is_as_usual_is_not_said() -> None:
    assert list(options_of(Settings())) == []
    said = Settings(1e-05, ("-a", "b,c"), (Path("/x y"), Path("-z")), True, False, 3)
    assert list(options_of(said, leave_out=("size",))) == [
        *("--rate", "1e-05"),
        '--names=-a,"b,c"',
        *("--test", "/x y"),
        "--test=-z",
        "--no-gain",
        "--no-sure",
    ]


def test_what_could_be_taken_for_an_option() -> None:
    assert list(option("--run", "-x")) == ["--run=-x"]
    assert list(option("--run", None)) == []
    assert list(arguments("a", "-b")) == ["--", "a", "-b"]
    assert list(arguments("a", "b")) == ["a", "b"]
