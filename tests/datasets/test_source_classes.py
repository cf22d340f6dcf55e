"""Source classes: the bundled thousand, and files of a user's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers import LIMIT
from hypothesis import given
from hypothesis import strategies as st

from retrain_cli.datasets.source_classes import (
    SourceClasses,
    load_source_classes,
    normalise_name,
)
from retrain_cli.errors import DatasetError

PROJECT = Path(__file__).parents[2]
AMBIGUOUS = {
    "cardigan", "catamount", "crane", "crawfish", "crayfish", "gong", "grasssnake", "harp", "horn",
    "maillot", "missile", "panda", "panther", "partridge", "polecat", "sandviper", "susscrofa",
    "tub", "wagon",
}  # fmt: skip


def load(which: str | Path) -> SourceClasses:
    found = load_source_classes(str(which))
    assert found is not None
    return found


def test_the_bundled_table() -> None:
    source = load("imagenet")
    wnids = [one.wnid for one in source.classes]
    assert len(wnids) == 1000
    assert wnids == sorted(set(wnids))
    assert [one.index for one in source.classes] == list(range(1000))
    assert all(one.synonyms and all(one.synonyms) for one in source.classes)
    assert source.classes[0].synonyms == ("tench", "Tinca tinca")
    assert source.classes[999].wnid == "n15075141"


def test_names_that_stand_for_two_classes() -> None:
    found = load("imagenet").ambiguous_names()
    assert set(found) == AMBIGUOUS
    assert all(len(classes) == 2 for classes in found.values())
    first = [normalise_name(one.synonyms[0]) for one in load("imagenet").classes]
    assert {name for name in AMBIGUOUS if first.count(name) > 1} == {"cardigan", "crane", "maillot"}


@pytest.mark.parametrize(
    "name", ["Soccer_Ball", "soccer ball", "soccer-ball", "SOCCERBALL", "n04254680", "N04254680"]
)
def test_lookup(name: str) -> None:
    assert [one.wnid for one in load("imagenet").lookup(name)] == ["n04254680"]


def test_lookup_of_what_is_not_there() -> None:
    assert load("imagenet").lookup("n00000000") == ()
    assert load("imagenet").lookup("") == ()


@given(st.text())
def test_normalising_twice_changes_nothing(name: str) -> None:
    once = normalise_name(name)
    assert normalise_name(once) == once
    assert normalise_name(f" {name}_-") == once


def test_none() -> None:
    assert load_source_classes("none") is None


@pytest.mark.parametrize(
    "text",
    [
        "cat, house cat\n\ndog\n",
        "\ufeffcat,house cat\r\ndog\r\n",
        "n00000001 cat, house cat\nn00000002\tdog\n",
        "n00000001,cat,house cat\nn00000002,dog",
        "index,wnid,synonyms\n0,n00000001,cat; house cat\n1,n00000002,dog\n",
    ],
)
def test_files(tmp_path: Path, text: str) -> None:
    file = tmp_path / "classes.txt"
    file.write_bytes(text.encode())
    source = load(file)
    assert [one.synonyms for one in source.classes] == [("cat", "house cat"), ("dog",)]
    expected = "n00000001" if "n0" in text else "cat"
    assert [one.wnid for one in source.lookup("House_Cat")] == [expected]
    assert [one.index for one in source.classes] == [0, 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "is empty"),
        (b"cat\ndog\nCat\n", "line 3"),
        (b"index,wnid,synonyms\n0,n1,cat\n2,n2,dog\n", "line 3"),
        (b"index,wnid,synonyms\n0,n1\n", "line 2"),
        (b"index,wnid,synonyms\nx,n1,cat\n", "line 2"),
        (b"caf\xe9\n", "utf-8"),
    ],
)
def test_bad_files(tmp_path: Path, text: bytes, expected: str) -> None:
    file = tmp_path / "classes.txt"
    file.write_bytes(text)
    with pytest.raises(DatasetError, match=expected) as caught:
        load(file)
    assert str(file) in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="takes imagenet, none or a UTF-8 text file"):
        load(tmp_path / "nowhere.txt")


def test_the_generator_finds_its_table_stale_or_not(tmp_path: Path) -> None:
    classes = load("imagenet").classes
    synsets = "\n".join(one.wnid for one in classes)
    (tmp_path / "imagenet_synsets.txt").write_text(synsets)
    lines = [f"{one.wnid}\t{', '.join(one.synonyms)}" for one in classes]
    lemmas = tmp_path / "imagenet_synset_to_lemma.txt"

    def check() -> int:
        tool = PROJECT / "tools" / "make_imagenet_classes.py"
        command = [sys.executable, str(tool), str(tmp_path), "--check"]
        environment = {"PYTHONPATH": str(PROJECT)}
        return subprocess.run(command, check=False, env=environment, timeout=LIMIT).returncode

    lemmas.write_text("\n".join(lines), encoding="utf-8")
    assert check() == 0
    lemmas.write_text("\n".join([*lines[:-1], lines[-1] + ", new name"]), encoding="utf-8")
    assert check() == 1
