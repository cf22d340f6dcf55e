"""Lists of paths from any program come out as paths that exist."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrain_cli.cli.context import comma_separated
from retrain_cli.cli.main import expand_wildcards
from retrain_cli.cli.path_lists import listed_paths

NAMES = ["a.jpg", "two words.jpg", "é.jpg", "猫.jpg"]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("pieces", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (b"", "utf-16-le"),
        (b"", "utf-16-be"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "  \n", "\t\r\n", " \n\n"])
@pytest.mark.usefixtures("photos")
def test_lines_of_any_program(pieces: int, mark: bytes, encoding: str, end: str) -> None:
    data = mark + "".join(name + end for name in NAMES).encode(encoding)
    cut = (data[at : at + pieces] for at in range(0, len(data), pieces))
    assert list(listed_paths(cut, "\n")) == NAMES


def test_what_surrounds_a_path_belongs_to_it_where_there_is_such_a_file(photos: Path) -> None:
    odd = [" a.jpg", "a.jpg ", "a.jpg\r", '"a.jpg"', "a.jpg\rb"]
    for name in odd:
        (photos / name).touch()
    assert list(listed_paths([("\n".join(odd)).encode()], "\n")) == odd
    assert list(listed_paths([b'"two words.jpg"\n'], "\n")) == ["two words.jpg"]
    other = unicodedata.normalize("NFD", "é.jpg")
    assert list(listed_paths([other.encode()], "\n")) == ["é.jpg"]
    assert list(listed_paths([b" gone.jpg \r\n"], "\n")) == ["gone.jpg"]


@pytest.mark.usefixtures("photos")
def test_paths_between_nuls_are_as_they_are() -> None:
    assert list(listed_paths([b" a.jpg \0b\r\n\0\0\xff.jpg"], "\0")) == [
        " a.jpg ",
        "b\r\n",
        "\udcff.jpg",
    ]
    marked = codecs.BOM_UTF16_LE + "a\0b\0".encode("utf-16-le")
    assert list(listed_paths([marked], "\0")) == ["a", "b"]
    assert list(listed_paths([b"a\0b\0c\0"], "\0")) == ["a", "b", "c"]


def test_paths_come_out_as_they_arrive() -> None:
    arrived: list[str] = []

    def pieces() -> Iterator[bytes]:
        for piece in (b"a\n", b"b", b"\nc\n"):
            arrived.append("piece")
            yield piece

    for path in listed_paths(pieces(), "\n"):
        arrived.append(path)
    assert arrived == ["piece", "a", "piece", "piece", "b", "c"]


def test_bytes_that_are_no_unicode(photos: Path) -> None:
    assert list(listed_paths([b"caf\xe9.jpg\n", b"\xff\n"], "\n")) == ["caf\udce9.jpg", "\udcff"]


@pytest.mark.usefixtures("photos")
def test_wildcards_as_on_linux(photos: Path) -> None:
    (photos / "in" / "deep").mkdir(parents=True)
    (photos / "in" / "deep" / "b.jpg").touch()
    (photos / "x[1].jpg").touch()
    assert expand_wildcards(["label", "?.jpg", "--run", "x"]) == [
        "label", "a.jpg", "é.jpg", "猫.jpg", "--run", "x",
    ]  # fmt: skip
    assert expand_wildcards(["**/b.jpg"]) == ["in/deep/b.jpg"]
    assert expand_wildcards(["x[1].jpg", "no*.png", "[", "-"]) == ["x[1].jpg", "no*.png", "[", "-"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("ant, bee,", ("ant", "bee")),
        ('"dog, brown",owl', ("dog, brown", "owl")),
        ('owl, "dog, brown" ,cat', ("owl", "dog, brown", "cat")),
        ('6" pipe,"say ""x"""', ('6" pipe', 'say "x"')),
        ('" wide "', (" wide ",)),
        ('"a"b,c', ('"a"b', "c")),
    ],
)
def test_names_with_commas(text: str, parts: tuple[str, ...]) -> None:
    assert comma_separated(text) == parts
