"""INT and EXT: by name, by WordNet id, by override, and never by guess."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest

from retrain_cli.datasets.folders import list_classes
from retrain_cli.datasets.origins import ClassOrigin, match_origins
from retrain_cli.datasets.source_classes import SourceClasses, load_source_classes
from retrain_cli.datasets.source_kinds import kind_of
from retrain_cli.errors import DatasetError

# fmt: off
CALTECH_INT = [
    "ant", "barrel", "beaver", "cannon", "cellphone", "cup", "dalmatian", "dragonfly", "ewer",
    "flamingo", "grand_piano", "hedgehog", "laptop", "panda", "pizza", "platypus", "revolver",
    "saxophone", "scorpion", "soccer_ball", "starfish",
]
# fmt: on


@pytest.fixture
def imagenet() -> SourceClasses:
    found = load_source_classes("imagenet")
    assert found is not None
    return found


def override(tmp_path: Path, text: str | bytes) -> Path:
    file = tmp_path / "int-ext.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_by_name_and_by_id(imagenet: SourceClasses) -> None:
    ids = ("n02317335",)
    found = match_origins(["Sea-Star", "n02317335", "lobster", "猫"], imagenet, None)
    assert found == [
        ClassOrigin("Sea-Star", "INT", ids, "n02317335 sea star, starfish (echinoderm)"),
        ClassOrigin(
            "n02317335", "INT", ("n02317335",), "n02317335 starfish, sea star (echinoderm)"
        ),
        ClassOrigin("lobster", "EXT"),
        ClassOrigin("猫", "EXT"),
    ]


@pytest.mark.parametrize(
    ("name", "wnids"),
    [("crane", ("n02012849", "n03126707")), ("maillot", ("n03710637", "n03710721"))],
)
def test_ambiguous_names_keep_both(
    imagenet: SourceClasses, name: str, wnids: tuple[str, ...]
) -> None:
    (found,) = match_origins([name], imagenet, None)
    assert found.origin == "INT"
    assert found.ambiguous
    assert found.wnids == wnids
    first, second = found.matched.split(" | ")
    assert first.startswith(f"{wnids[0]} {name}")
    assert second.startswith(f"{wnids[1]} {name}")


def test_unknown_source_classes(tmp_path: Path) -> None:
    rules = override(tmp_path, "dog,int\nant,EXT\n")
    found = match_origins(["cat", "dog", "ant"], None, rules)
    assert [one.origin for one in found] == [None, "INT", "EXT"]


@pytest.mark.parametrize(
    "header", ["", "class,int_ext\n", "\ufeffclass,origin\r\n", "Class, WNID\n\n"]
)
def test_overrides(imagenet: SourceClasses, tmp_path: Path, header: str) -> None:
    rules = override(tmp_path, header + 'lobster, n01983481\n"cat, big",int\nant,ext\ncup,INT\n')
    names = ["ant", "cat, big", "cup", "lobster", "pizza"]
    ant, cat, cup, lobster, pizza = match_origins(names, imagenet, rules)
    assert ant == ClassOrigin("ant", "EXT")
    assert cat == ClassOrigin("cat, big", "INT")
    assert cup.wnids
    assert (lobster.origin, lobster.wnids) == ("INT", ("n01983481",))
    assert lobster.matched.startswith("n01983481 American lobster")
    assert pizza.origin == "INT"


def test_an_override_settles_an_ambiguous_name(imagenet: SourceClasses, tmp_path: Path) -> None:
    (found,) = match_origins(["crane"], imagenet, override(tmp_path, "crane,n03126707"))
    assert not found.ambiguous
    assert found.matched == "n03126707 crane (object)"


def test_a_class_that_is_called_class(imagenet: SourceClasses, tmp_path: Path) -> None:
    found = match_origins(["class", "x"], imagenet, override(tmp_path, "class,int\nx,int\n"))
    assert [one.origin for one in found] == ["INT", "INT"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat,ext\ndgo,int\n", r"line 2 names the class 'dgo'.*did you mean 'dog'"),
        ("zebrafish,int\n", r"line 1 names the class 'zebrafish'"),
        ("cat,n99999999\n", r"line 1 says 'n99999999' for 'cat'.*of imagenet"),
        ("cat,maybe\n", r"line 1 says 'maybe'"),
        ("cat\n", r"line 1 is 'cat': write class,int"),
        ("cat,int,ext\n", r"line 1 is 'cat,int,ext'"),
        ("cat,\n", r"line 1 is 'cat,'"),
        ("cat,int\n\ncat,ext\n", r"line 3 names the class 'cat' again"),
        (b"caf\xe9,int\n", "UTF-8 CSV file"),
    ],
)
def test_bad_overrides(
    imagenet: SourceClasses, tmp_path: Path, text: str | bytes, expected: str
) -> None:
    file = override(tmp_path, text)
    with pytest.raises(DatasetError, match=expected) as caught:
        match_origins(["cat", "dog"], imagenet, file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_id_without_source_classes(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="source classes are not known: write int or ext"):
        match_origins(["cat"], None, override(tmp_path, "cat,n02124075"))


def test_a_missing_override_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="int_ext takes a UTF-8 CSV file"):
        match_origins(["cat"], None, tmp_path / "nowhere.csv")


@pytest.mark.real
def test_real_class_names(test_data: Path, imagenet: SourceClasses) -> None:
    names = list_classes(test_data / "data" / "caltech101")
    found = match_origins(names, imagenet, None)
    assert [one.class_name for one in found if one.origin == "INT"] == CALTECH_INT
    flowers = match_origins(list_classes(test_data / "data" / "flowers"), imagenet, None)
    assert [one.class_name for one in flowers if one.origin == "INT"] == ["daisy"]


def test_a_line_beyond_all_measure(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="field larger than field limit"):
        match_origins(["cat"], None, override(tmp_path, "c" * 200_000 + ",int"))


def test_a_column_of_remarks_must_be_announced(imagenet: SourceClasses, tmp_path: Path) -> None:
    rules = override(tmp_path, "class,wnid,remark\nant,ext,small\ncup,int\n")
    found = match_origins(["ant", "cup"], imagenet, rules)
    assert [one.origin for one in found] == ["EXT", "INT"]


@pytest.mark.parametrize(("folder", "typed"), [("NFD", "NFC"), ("NFC", "NFD")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_override_finds_a_class_whatever_its_unicode_form(
    tmp_path: Path, imagenet: SourceClasses, folder: Any, typed: Any, encoding: str
) -> None:
    names = [unicodedata.normalize(folder, name) for name in ("café", "Ångström")]
    override = tmp_path / "int-ext.csv"
    lines = unicodedata.normalize(typed, "café,ext\r\nÅngström,int\r\n")
    override.write_bytes(lines.encode(encoding))
    found = match_origins(names, imagenet, override)
    assert [(one.class_name, one.origin) for one in found] == [(names[0], "EXT"), (names[1], "INT")]
    override.write_text(lines + unicodedata.normalize(folder, "café,int\n"), encoding="utf-8")
    with pytest.raises(DatasetError, match="again: remove one of its lines"):
        match_origins(names, imagenet, override)


@pytest.mark.parametrize(
    ("folder", "matched"),
    [
        ("n02085620-Chihuahua", "n02085620 Chihuahua"),
        ("n02099601-golden_retriever", "n02099601 golden retriever"),
        ("n02123045 tabby", "n02123045 tabby"),
        ("N02123045_my_cat", "n02123045 tabby"),
        ("012.binoculars", "n02841315 binoculars"),
        ("001.Affenpinscher", "n02110627 affenpinscher"),
        ("7_starfish", "n02317335 starfish"),
        ("Golden Retriever", "n02099601 golden retriever"),
        ("starfish_n02317335", "n02317335 starfish"),
        ("001. n02085620-Chihuahua", "n02085620 Chihuahua"),
        ("001 starfish", "n02317335 starfish"),
        ("#3 starfish", "n02317335 starfish"),
        ("12) starfish", "n02317335 starfish"),
        ("001starfish", "n02317335 starfish"),
        ("096.hammock", None),  # no class of ImageNet's thousand
        ("n02085620 n02317335", None),
        ("n99999999-nothing", None),
        ("n020856201", None),
        ("012.", None),
        ("2020", None),
    ],
)
def test_names_with_the_id_or_number_of_a_dataset(
    imagenet: SourceClasses, folder: str, matched: str | None
) -> None:
    (origin,) = match_origins([folder], imagenet, None)
    assert origin.origin == ("INT" if matched else "EXT")
    assert origin.matched.startswith(matched or "")
    assert bool(origin.matched) == bool(matched)


@pytest.mark.parametrize(
    ("folder", "wnids"),
    [
        ("crane (bird)", ["n02012849"]),
        ("crane [machine]", ["n03126707"]),
        ("(bird) crane", ["n02012849"]),
        ("012.crane, bird", ["n02012849"]),
        ("maillot (tank suit)", ["n03710721"]),
        ("boxer(dog)", ["n02108089"]),
        ("mouse (computer)", ["n03793489"]),
        ("starfish (2)", ["n02317335"]),
        ("starfish, sea star", ["n02317335"]),
        ("mouse (animal)", []),
        ("mouse (house mouse)", []),
        ("kite (toy)", []),
        ("monitor (lizard)", []),
        ("crane (film)", []),
        ("(bird)", []),
        ("()", []),
    ],
)
def test_brackets_say_which_class_is_meant(
    imagenet: SourceClasses, folder: str, wnids: list[str]
) -> None:
    (origin,) = match_origins([folder], imagenet, None)
    assert list(origin.wnids) == wnids
    base = folder.partition(" (")[0]
    assert bool(origin.hint) == (not wnids and base in {"mouse", "kite", "monitor", "crane"})


@pytest.mark.parametrize(
    ("folder", "hint"),
    [
        ("laptops", "n03642806 laptop, laptop computer (object)"),
        ("daisies", "n11939491 daisy (plant)"),
        ("007_Daisies", "n11939491 daisy (plant)"),
        ("mice", "n03793489 mouse, computer mouse (object)"),
        ("binocular", "n02841315 binoculars, field glasses, opera glasses (object)"),
        ("starfish 001", "n02317335 starfish, sea star (echinoderm)"),
        ("laptops (old)", "n03642806 laptop, laptop computer (object)"),
        ("lobster", ""),
        ("s", ""),
        ("", ""),
        ("猫", ""),
    ],
)
def test_a_name_that_nearly_is_one_is_asked_about(
    imagenet: SourceClasses, folder: str, hint: str
) -> None:
    (origin,) = match_origins([folder], imagenet, None)
    assert (origin.origin, origin.hint) == ("EXT", hint)
    assert ClassOrigin.from_dict(origin.to_dict()) == origin


@pytest.mark.parametrize(
    ("name", "matched"),
    [
        ("mouse", "n03793489 mouse, computer mouse (object)"),
        ("kite", "n01608432 kite (bird)"),
        ("boxer", "n02108089 boxer (dog)"),
        ("monitor", "n03782006 monitor (object)"),
        ("nail", "n03804744 nail (object)"),
        ("ear", "n13133613 ear, spike, capitulum (plant)"),
    ],
)
def test_homonyms_are_shown_with_their_kind(
    imagenet: SourceClasses, name: str, matched: str
) -> None:
    (origin,) = match_origins([name], imagenet, None)
    assert origin.matched == matched


def test_every_name_of_a_source_class_is_found_with_a_number_and_its_kind(
    imagenet: SourceClasses,
) -> None:
    for one in imagenet.classes:
        assert kind_of(one.wnid)
        assert one in imagenet.lookup(f"012.{one.synonyms[0]} ({kind_of(one.wnid)})")
        assert imagenet.lookup(f"{one.wnid}-{one.synonyms[0]}") == (one,)
