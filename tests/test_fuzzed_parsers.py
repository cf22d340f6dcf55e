"""The parsers of our own take what they are given, or refuse it in one line.

`tools/fuzz_parsers.py` tries the same for as long as one likes.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.parsers import PARSERS, Parser, try_input
from fuzz_parsers import fuzz

BY_NAME = {parser.name: parser for parser in PARSERS}
DIGEST = "0" * 32
EXAMPLES = 25


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_file_that_is_hurt(parser: Parser, tmp_path: Path) -> None:
    assert fuzz(parser, EXAMPLES, tmp_path).total() >= EXAMPLES


JOURNAL = '{"finished": true, "moves": [{"source": %s, "target": "/b", "digest": "x"}]}'
SCRIPT = 'root "/n%s"\nquarantine "/q"\nmove "%s" "b" ' + DIGEST
REFUSED = [
    ("journal of moves", JOURNAL % 5, "should tell which photos were moved"),
    ("journal of moves", JOURNAL % r'"/a\u0000"', "no NUL"),
    ("journal of moves", JOURNAL % r'"/a\ud800"', "surrogates"),
    ("journal of moves", "[" * 100_000, "too deeply"),
    ("journal of moves", '{"finished": true, "moves": 3}', "should tell"),
    ("script of moves", SCRIPT % (r"\u0000", "a"), "no NUL"),
    ("script of moves", SCRIPT % (r"\ud800", "a"), "surrogates"),
    ("script of moves", SCRIPT % ("", r"\ud800"), "surrogates"),
    ("script of moves", SCRIPT % ("", "a" * 5000), "too long"),
    ("retrain.toml", "a = " + "[" * 100_000, "too deeply"),
    ("retrain.toml", "a = " + "{a=" * 10_000, "too deeply"),
    ("retrain.toml", r'workspace = "a\u0000"', "no NUL"),
]


@pytest.mark.parametrize(("name", "text", "why"), REFUSED)
def test_what_the_fuzzer_found(name: str, text: str, why: str, tmp_path: Path) -> None:
    assert why in try_input(BY_NAME[name], text.encode(), tmp_path)
