"""Names are compared as people read them."""

from __future__ import annotations

import unicodedata

import pytest

from retrain_cli.datasets.class_names import (
    check_class_names,
    close_names,
    find_name,
    first_spellings,
    same_name,
)
from retrain_cli.errors import DatasetError

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
