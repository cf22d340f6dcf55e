"""Classes, `add-class` and `--keep-source-classes` as a user types them, on real photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import QUICK_HEAD, TINY, Outcome, make_photos

INT = ("dalmatian", "grand_piano")
EXT = ("brain", "rooster", "yin_yang")


@pytest.mark.real
def test_a_classifier_that_grows(
    retrain: Callable[..., Outcome], test_data: Path, tmp_path: Path
) -> None:
    caltech = test_data / "data" / "caltech101"
    for name in (*INT, *EXT):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for photo in sorted((caltech / name).iterdir())[:12]:
            (tmp_path / "photos" / name / photo.name).symlink_to(photo)
    weights = test_data / "weights" / "mobilenet_v2_1.0_224_notop.weights.h5"
    top = test_data / "weights" / "mobilenet_v2_1.0_224.weights.h5"
    backbone = ["--backbone", "mobilenet_v2", "--weights", weights]
    assert retrain("bottlenecks", "photos", *backbone).code == 0

    shown = retrain("classes")
    assert [line.split()[:2] for line in shown.out.splitlines()[1:]] == [
        [name, "INT" if name in INT else "EXT"] for name in sorted((*INT, *EXT))
    ]
    assert "--top FILE" in retrain("classes", "--suggest").refused()
    assert "add --suggest" in retrain("classes", "--top", top).refused(2)
    assert "n01514668 cock" in retrain("classes", "--suggest", "--top", top).out
    assert retrain("classes", "--suggest", "--top", top, "--write", "ruled.csv").code == 0
    assert retrain("bottlenecks", "photos", *backbone, "--int-ext", "ruled.csv").code == 0
    origins = {row["class"]: row["origin"] for row in retrain("classes", "--json").json}
    assert origins["rooster"] == "INT"

    trained = retrain(
        "train", "--steps", 200, "--keep-source-classes", "--top", top, "--name", "both"
    )
    assert " source classes kept, " in trained.out
    assert "top-1" in retrain("eval", "--run", "both").out
    answer = retrain("label", "--run", "both", caltech / "starfish" / "image_0002.jpg").json
    assert answer["labels"][0]["label"] in ("starfish", "coral reef")

    assert retrain("train", *QUICK_HEAD, "--name", "plain").code == 0
    lotus = sorted((caltech / "lotus").iterdir())
    tests = [part for photo in lotus[3:9] for part in ("--test", photo)]
    grown = retrain("add-class", "lotus", *lotus[:3], *tests, "--name", "grown", "--json").json
    assert (grown["added_to"], grown["photos"]) == ("plain", 3)
    assert grown["new_class"]["top1"]["value"] > 0.6
    answer = retrain("label", "--run", "grown", lotus[20]).json
    assert answer["labels"][0]["label"] == "lotus"
    assert "knows 'lotus'" in retrain("add-class", "lotus", lotus[20]).refused(2)


@pytest.mark.usefixtures("warm")
def test_the_options_go_together(retrain: Callable[..., Outcome], tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", {"ant": 6, "bee": 6})
    assert "--keep-source-classes" in retrain("train", "--top", "x.h5").refused(2)
    assert retrain("bottlenecks", "photos", *TINY).code == 0
    assert "not known" in retrain("train", "--keep-source-classes", "--steps", 1).refused()
    assert "no run yet" in retrain("add-class", "wasp", "photos").refused()
    assert retrain("add-class", "wasp").code == 2
