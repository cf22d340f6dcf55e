"""Classes or splits: told by names and contents together, and refused where it could be both."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from retrain_cli.datasets.class_names import check_class_names
from retrain_cli.datasets.folders import walk_folders
from retrain_cli.datasets.layout import Layout, LayoutChoice, read_layout
from retrain_cli.datasets.split_names import split_folders
from retrain_cli.errors import ConfigError, DatasetError

TRAIN = "train/cat/1.jpg train/dog/1.jpg "


def laid_out(root: Path, paths: str, choice: LayoutChoice = "auto") -> Layout:
    for path in paths.split():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    layout = read_layout(root, (), choice)
    check_class_names(layout.class_names, layout.advice)
    return layout


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        ("train validation test", "training validation test"),
        ("TRAIN Dev Testing", "training validation test"),
        ("training_set test_set", "training test"),
        ("trainset valset testData", "training validation test"),
        ("train2017 val2017", "training validation"),
        ("seg_train seg_test", "training test"),
        ("flowers-train flowers-val", "training validation"),
        ("images_train images_holdout", "training test"),
        ("train_val hold-out", "training test"),
        ("01_train 02_val", "training validation"),
        ("Training-Images held_out", "training test"),
        ("train evaluation tst", "training validation test"),
    ],
)
@pytest.mark.parametrize(
    "beside", ["", "runs/classify/x.jpg", "labels/a.txt", "copy/train/a/1.jpg"]
)
def test_split_folders_whatever_they_are_called_and_stand_beside(
    tmp_path: Path, names: str, splits: str, beside: str
) -> None:
    paths = " ".join(f"{name}/{own}/deep/1.jpg" for name in names.split() for own in "ab")
    layout = laid_out(tmp_path, f"{paths} {beside}")
    assert layout.kind == "splits"
    assert layout.class_names == ["a", "b"]
    found = {folder.path.split("/")[0]: folder.given_split for folder in layout.folders}
    assert found == dict(zip(names.split(), splits.split(), strict=True))
    told = [warning for warning in layout.warnings if "beside the splits" in warning]
    assert bool(told) is beside.endswith(".jpg")


@pytest.mark.parametrize(
    "names",
    [
        ["latest", "contest", "strain"],
        ["test tube", "train station"],
        ["bullet train", "express train"],
        ["invalid", "device"],
        ["train test"],
        ["2017", "---"],
    ],
)
def test_names_that_are_no_splits(names: list[str]) -> None:
    assert split_folders(names) == {}


@pytest.mark.parametrize("names", ["train plane bus", "test cat dog", "valid invalid", "dev ops"])
def test_a_folder_of_photos_called_like_a_split_is_a_class(tmp_path: Path, names: str) -> None:
    layout = laid_out(tmp_path, " ".join(f"{name}/1.jpg" for name in names.split()))
    assert layout.kind == "classes"
    assert layout.class_names == sorted(names.split())
    assert layout.warnings == ()


@pytest.mark.parametrize(
    ("paths", "remedy"),
    [
        (TRAIN + "unlabeled/1.jpg", "train; or layout='splits' if it is a split; or layout='cl"),
        (
            "train/1.jpg test/1.jpg",
            "put the photos of each class into a folder such as train/CLASS",
        ),
        ("train/1.jpg test/1.jpg bus/1.jpg", "train/CLASS; or layout='classes' if every folder"),
        ("train/1.jpg", "train/CLASS"),
        ("test/cat/1.jpg test/dog/1.jpg cat/1.jpg dog/1.jpg", "move cat/, dog/ into a new folder"),
        ("val/cat/1.jpg test/cat/1.jpg x/1.jpg", "call the folder with the training photos train"),
        ("val/1.jpg test/1.jpg", "train/CLASS"),
        ("ds/a/1.jpg ds/b/1.jpg test/1.jpg", "/ds; or layout='classes'"),
        ("ds/train/a/1.jpg ds/val/a/1.jpg extra/1.jpg", "retrain bottlenecks"),
    ],
)
def test_what_could_be_both_is_refused_with_ways_to_settle_it(
    tmp_path: Path, paths: str, remedy: str
) -> None:
    with pytest.raises(DatasetError, match="either its classes, or splits") as caught:
        laid_out(tmp_path, paths)
    assert remedy in str(caught.value)
    assert "\n" not in str(caught.value)
    assert laid_out(tmp_path / "x", "a/1.jpg b/1.jpg").kind == "classes"


def test_the_user_settles_it(tmp_path: Path) -> None:
    paths = TRAIN + "unlabeled/1.jpg"
    assert laid_out(tmp_path, paths, "classes").class_names == ["train", "unlabeled"]
    splits = laid_out(tmp_path, paths, "splits")
    assert splits.class_names == ["cat", "dog"]
    assert "unlabeled/ beside the splits left out" in splits.warnings[0]
    with pytest.raises(DatasetError, match="needs a folder of training photos called train"):
        laid_out(tmp_path / "none", "a/1.jpg b/1.jpg", "splits")
    with pytest.raises(ConfigError, match="layout takes one of auto, classes, splits"):
        laid_out(tmp_path, "", "folds")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("paths", "advice"),
    [
        ("ds/train/a/1.jpg ds/train/b/1.jpg ds/val/a/1.jpg", "run `retrain bottlenecks {root}/ds`"),
        ("one/two/cat/1.jpg one/two/dog/1.jpg", "run `retrain bottlenecks {root}/one/two`"),
        ("test/cat/1.jpg test/dog/1.jpg", "run `retrain bottlenecks {root}/test`"),
        (
            "seg_train/seg_train/a/1.jpg seg_train/seg_train/b/1.jpg seg_test/seg_test/a/1.jpg",
            "they seem to lie a level deeper, in {root}/seg_train/seg_train (a/, b/): move them up",
        ),
        ("cat/1.jpg", "put the photos of each class into a sub-folder of its own"),
    ],
)
def test_a_single_class_is_refused_with_the_place_of_the_classes(
    tmp_path: Path, paths: str, advice: str
) -> None:
    with pytest.raises(DatasetError, match="at least 2 classes") as caught:
        laid_out(tmp_path, paths)
    assert advice.format(root=tmp_path) in str(caught.value)


def test_a_split_without_a_class_of_training_is_left_out(tmp_path: Path) -> None:
    """As Tiny ImageNet is packed."""
    layout = laid_out(
        tmp_path,
        "train/n01/images/1.jpg train/n02/images/1.jpg val/images/1.jpg test/images/1.jpg "
        "val/val_annotations.txt wnids.txt",
    )
    assert layout.class_names == ["n01", "n02"]
    assert {folder.given_split for folder in layout.folders} == {"training"}
    assert [warning.split(":")[0] for warning in layout.warnings] == [
        "test/ is left out",
        "val/ is left out",
    ]
    assert "of its folder(s) images/ none is a class of the training photos" in layout.warnings[1]


def test_classes_that_only_other_splits_have_are_left_out(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, TRAIN + "val/cat/1.jpg val/cow/1.jpg val/empty/x.txt")
    assert layout.class_names == ["cat", "dog"]
    assert len(layout.warnings) == 1
    assert "val/: left out cow/, which the training photos do not have" in layout.warnings[0]


def test_a_split_of_bare_photos_is_left_out(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, TRAIN + "test1/1.jpg test1/2.jpg")
    assert layout.kind == "splits"
    assert "test1/ is left out: its 2 photo(s) lie in no class folder" in layout.warnings[0]
    assert f"`retrain label {tmp_path / 'test1'}`" in layout.warnings[0]


def test_splits_inside_of_classes_are_told(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, "cat/train/1.jpg cat/test/1.jpg dog/train/1.jpg dog/test/1.jpg")
    assert layout.class_names == ["cat", "dog"]
    assert "as in train/cat" in layout.warnings[0]
    assert laid_out(tmp_path, "", "classes").warnings == ()


def test_a_class_is_one_in_all_splits_whatever_its_unicode_form(tmp_path: Path) -> None:
    nfc = "café"
    nfd = unicodedata.normalize("NFD", nfc)
    laid_out(tmp_path, f"{TRAIN} train/{nfc}/1.jpg val/{nfd}/1.jpg val/cat/1.jpg")
    found = {folder.path: folder.class_name for folder in walk_folders(tmp_path)}
    assert found[f"val/{nfd}"] == found[f"train/{nfc}"] == nfc
