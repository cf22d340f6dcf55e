"""`retrain explain` as a user runs it: pictures, numbers, lists, and what is no good."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import QUICK_HEAD, TINY, make_photos
from PIL import Image

PHOTOS = {"ant": 6, "bee": 6, "wasp": 6}


@pytest.fixture(scope="module")
def template(make_template: Callable[..., Path]) -> Path:
    return make_template(
        lambda folder: make_photos(folder, PHOTOS),
        ["bottlenecks", "photos", *TINY, "--resize", "letterbox"],
        ["train", *QUICK_HEAD, "--name", "r"],
    )


@pytest.fixture(autouse=True)
def copied(template: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(template, tmp_path, dirs_exist_ok=True)


def test_a_folder_gets_pictures_and_a_pipe_gets_the_numbers(
    retrain_here: Any, tmp_path: Path
) -> None:
    (tmp_path / "photos" / "ant" / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    done = retrain_here("explain", "photos/ant", "none.jpg", "-o", "why")
    assert done.code == 0, done.err
    answers = [json.loads(line) for line in done.out.splitlines()]
    assert len(answers) == 8
    assert [bool(answer.get("error")) for answer in answers] == [False] * 6 + [True, True]
    for answer in answers[:6]:
        assert answer["size"] == [40, 30]
        assert answer["box"] == [0, -5, 40, 35]
        for heatmap in answer["maps"]:
            assert (tmp_path / heatmap["picture"]).is_file()
            flat = [value for row in heatmap["grid"] for value in row]
            mean = sum(flat) / len(flat)
            assert mean + heatmap["bias"] == pytest.approx(heatmap["logit"], abs=1e-4)
        with Image.open(tmp_path / answer["picture"]) as picture:
            assert picture.format == "PNG"
    assert "2 of 8 photo(s) could not be explained" in done.err
    assert (tmp_path / "why" / "sheet.svg").read_text("utf-8").count("<image") == 6 * 3
    again = retrain_here("explain", ".", "-o", "why", "--json")
    assert len(again.out.splitlines()) == 18 + 1  # pictures of its own are no photos


def test_json_alone_draws_nothing(retrain_here: Any, tmp_path: Path) -> None:
    done = retrain_here("explain", "photos/bee/0001.png", "--class", "wasp", "--json")
    assert [one["label"] for one in done.json["maps"]] == ["wasp"]
    assert "picture" not in done.json
    assert not (tmp_path / "heatmaps").exists()
    one = retrain_here("explain", "photos/bee/0001.png", "--contrast", "wasp,bee", "--json")
    (heatmap,) = one.json["maps"]
    assert (heatmap["label"], heatmap["against"]) == ("wasp", "bee")
    slow = retrain_here("explain", "photos/bee/0001.png", "--method", "occlusion", "--json", "-k1")
    assert "bias" not in slow.json["maps"][0]
    assert len(slow.json["maps"][0]["grid"]) == 7


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["none.png"], 3, "there was none that can be explained"),
        ([], 2, "explain needs photos"),
        (["photos", "--class", "antt"], 3, "has no class 'antt': did you mean ant?"),
        (["photos", "--contrast", "ant"], 2, "--contrast takes two classes"),
        (["photos", "--class", "ant", "-k", "2"], 2, "--top-k is for the classes that score best"),
        (["photos", "--run", "none"], 3, "none"),
        (["photos", "--layer", "x"], 2, "--layer is for --channels"),
        (["photos", "--beside", "random"], 2, "--beside shows channels of two networks"),
        (["photos", "--channels", "4", "--class", "ant"], 2, "leave out --class"),
        (["photos", "--channels", "0"], 2, "--channels"),
        (["photos", "-o", "photos/ant/0000.png"], 3, "takes a folder"),
        (["photos", "--null"], 2, "--null"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    retrain_here: Any, arguments: list[str], code: int, words: str
) -> None:
    message = retrain_here("explain", *arguments).refused(code)
    assert words in message


def test_names_of_any_letters_become_files(retrain_here: Any, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    for name in ("a:b?.png", "猫" * 60 + ".png", "-.png", ".hidden.png"):
        (odd / name).write_bytes((tmp_path / "photos" / "ant" / "0000.png").read_bytes())
    listed = [str(path) for path in sorted(odd.iterdir())]
    done = retrain_here("explain", *listed, "-o", "out", "-k", "1")
    assert done.code == 0, done.err
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(names) == 4 * 2 + 1
    assert all(re.fullmatch(r"[^:?*]+\.(png|svg)", name) for name in names)
