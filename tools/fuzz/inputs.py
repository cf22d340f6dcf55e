"""What Hypothesis feeds parsers with: sound files that are hurt, and shrunk in the end."""

from __future__ import annotations

from hypothesis import strategies as st

_PIECES = (
    b"",
    b"\0",
    b"\xff",
    b"\xff\xd8\xff",
    b"\xff\xda",
    b"\xff\xff\xff\xff",
    b"\x80\0\0\0",
    b"\n",
    b'"',
    b"[" * 5000,
    b"[[]]",
    b"{}",
    b"null",
    b"-1",
    b"1e999",
    b"9" * 5000,
    b'"\\u0000"',
    b"\\u0000",
    b"\\ud800",
    b"\xed\xa0\x80",
    b"../",
    b"a" * 300,
)
"""What is wrong in one format or another."""


def hurt(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """One of the seeds with up to six pieces in place of what it held."""
    place = st.integers(0, 1 << 16)
    length = st.sampled_from((0, 1, 2, 4, 7, 16, 100))
    piece = st.sampled_from(_PIECES) | st.binary(max_size=8)
    changes = st.lists(st.tuples(place, length, piece), max_size=6)
    return st.builds(_changed, st.sampled_from(seeds), changes)


def _changed(seed: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    data = bytearray(seed)
    for place, length, piece in changes:
        at = place % (len(data) + 1)
        data[at : at + length] = piece
    return bytes(data)


def replaced_values(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """A seed of text in which whole words, numbers or strings are others."""
    values = st.sampled_from([piece for piece in _PIECES if piece]) | st.binary(max_size=4)
    return st.builds(
        _with_values, st.sampled_from(seeds), st.integers(0, 99), values, st.booleans()
    )


def _with_values(seed: bytes, number: int, value: bytes, quoted: bool) -> bytes:
    import re

    words = list(re.finditer(rb'"[^"]*"|[\w.+-]+', seed))
    word = words[number % len(words)]
    new = b'"' + value.replace(b'"', b"") + b'"' if quoted else value
    return seed[: word.start()] + new + seed[word.end() :]
