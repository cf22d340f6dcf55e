"""Names are compared as people read them."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from retrain_cli.datasets.class_names import (
    check_class_names,
    close_names,
    find_name,
    first_spellings,
    listed,
    same_name,
    shown_name,
)
from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.two_classes import two_class_table
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.sampling import select_classes
from retrain_cli.reports.few_photos import warn_of_few

NFC = "Ångström café"
NFD = unicodedata.normalize("NFD", NFC)


def test_a_name_is_found_whatever_its_unicode_form() -> None:
    assert NFC != NFD
    assert find_name(NFC, ["owl", NFD]) == NFD
    assert find_name(NFD, ["owl", NFC]) == NFC
    assert find_name(NFC, [NFD, NFC]) == NFC
    assert find_name("Owl", ["owl"]) is None
    assert same_name(NFC, NFD)
    assert first_spellings([NFD, "owl", NFC]) == {NFD: NFD, "owl": "owl", NFC: NFD}


def test_a_suggestion_is_never_the_same_name() -> None:
    assert close_names("cafe", ["café", "owl"]) == ["café"]
    assert close_names("OWL", ["owl", "cat"]) == ["owl"]


def test_class_names() -> None:
    check_class_names(["cat", "dog", "猫", "кот", "Größe"])
    with pytest.raises(DatasetError, match=r"'Cat' and 'cat'"):
        check_class_names(["Cat", "ant", "cat"])
    with pytest.raises(DatasetError, match="differ in more than case"):
        check_class_names(["straße", "STRASSE"])
    with pytest.raises(DatasetError, match=r"at least 2 classes; received \['cat'\]"):
        check_class_names(["cat"])
    with pytest.raises(DatasetError, match="they lie elsewhere"):
        check_class_names(["cat"], "they lie elsewhere")


def test_names_that_look_equal_are_spelt_out() -> None:
    with pytest.raises(DatasetError) as caught:
        check_class_names(["caf\u00e9", "cafe\u0301"])
    assert r"'caf\xe9'" in str(caught.value)
    assert r"'cafe\u0301'" in str(caught.value)
    assert "NFC and NFD" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("owl", "owl"),
        ("great grey owl", "great grey owl"),
        ("dog, brown", '"dog, brown"'),
        (" owl", '" owl"'),
        ("owl ", '"owl "'),
        ('the "owl"', '"the ""owl"""'),
        ("", '""'),
    ],
)
def test_names_among_others_have_ends(name: str, shown: str) -> None:
    assert shown_name(name) == shown
    assert listed(["ant", name]) == f"ant, {shown}"


def test_messages_that_list_classes_quote_them() -> None:
    names = ("dog, brown", "owl")
    empty = np.empty(0, np.int64)
    data = HeadData(np.zeros((1, 2), np.float32), np.zeros(1, np.int32), names, empty, empty)
    with pytest.raises(DatasetError, match='none of "dog, brown", owl:'):
        data.check()
    with pytest.raises(ConfigError, match='but "dog, brown" is '):
        select_classes(np.array([0, 1]), names, ["dog brown", "owl"])
    counts = EvalCounts.count(np.array([0, 1]), np.array([1, 1]), np.array([0, 1]), 2)
    with pytest.raises(ConfigError, match=r'2 \("dog, brown", owl\)'):
        two_class_table(counts, names, "cat")
    said = warn_of_few(names, [3, 4], [1, 1])
    assert all('("dog, brown" ' in one for one in said)
