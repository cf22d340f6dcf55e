"""Commands that a shell reads back as they were meant."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain_cli.runs.shell import shell_line

NASTY = [
    "a b",
    "it's",
    '"',
    "$HOME",
    "`id`",
    "a\nb",
    "\udcff.jpg",
    "ü",
    "",
    "-n",
    "a\\b",
    "!x",
    "\t",
]


def read_back(arguments: list[str]) -> list[bytes]:
    script = f"for a in {shell_line(arguments)}; do printf '%s\\0' \"$a\"; done"
    done = subprocess.run(["bash", "-c", os.fsencode(script)], capture_output=True, check=True)
    return done.stdout.split(b"\0")[:-1]


def test_nasty_names() -> None:
    assert read_back(NASTY) == [os.fsencode(one) for one in NASTY]
    assert shell_line(NASTY).isprintable()


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=8).filter(lambda b: b"\0" not in b), min_size=1, max_size=4))
def test_any_bytes(names: Any) -> None:
    assert read_back([os.fsdecode(name) for name in names]) == names


@pytest.mark.parametrize("plain", ["retrain", "--steps", "2000", "/a/b_c-1.5"])
def test_plain_words_stay_as_they_are(plain: str) -> None:
    assert shell_line([plain]) == plain
