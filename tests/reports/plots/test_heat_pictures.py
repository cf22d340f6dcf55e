"""Heatmaps as pixels: what is hot, what is not seen, and what the network sees of a layer."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from retrain_cli.explaining.channels import LayerChannels
from retrain_cli.explaining.colours import sequential, to_oklab
from retrain_cli.explaining.heatmap import Heatmap
from retrain_cli.images.placement import Placement
from retrain_cli.reports.heatmaps.channel_sheet import draw_channels
from retrain_cli.reports.heatmaps.heat_colours import (
    SmallPhoto,
    levels,
    map_alone,
    over_photo,
    palette,
    places,
)
from retrain_cli.reports.heatmaps.heat_panels import (
    SIDE,
    broken,
    captions,
    draw_panels,
    ends,
    font_of,
    lines_of,
)
from retrain_cli.reports.heatmaps.heat_sheet import MOST_PHOTOS, HeatSheet
from retrain_cli.reports.heatmaps.quick_png import save_quickly


def hot_corner() -> Heatmap:
    grid = np.full((7, 7), -1.0)
    grid[6, 0] = 3.0
    grid[5, 0] = 1.0
    return Heatmap("ant", 0.973, grid, logit=4.0, bias=0.1)


def photo(width: int = 300, height: int = 200) -> SmallPhoto:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (90, 140, 60)).save(buffer, "JPEG")
    return SmallPhoto.read(buffer.getvalue(), SIDE, 60)


def test_a_photo_is_drawn_in_its_own_shape() -> None:
    assert photo().drawn == (240, 160)
    assert photo(20, 2_000).drawn == (2, 240)


def test_the_hottest_field_has_the_lightest_colour_and_the_rest_the_darkest() -> None:
    placement = Placement((300, 200), (0, 0, 300, 200))
    heat = levels(hot_corner(), placement, (300, 200))
    assert heat.max() == 1
    assert heat.min() == 0
    alone = map_alone(heat, signed=False)
    assert alone[-1, 0].tolist() == sequential()[254].tolist()
    assert alone[0, -1].tolist() == sequential()[0].tolist()
    over = to_oklab(over_photo(np.full((200, 300, 3), 120, np.uint8), heat, signed=False))[..., 0]
    assert over[-1, 0] > over[0, -1] + 0.3  # told apart without colours


def test_what_is_not_seen_is_grey() -> None:
    placement = Placement((300, 200), (50, 0, 250, 200))
    heat = levels(hot_corner(), placement, (300, 200))
    alone = map_alone(heat, signed=False)
    assert (alone[:, :50] == 118).all()
    assert not (alone[:, 50:250] == 118).all(axis=2).any()


def test_a_picture_that_is_written_quickly_is_the_same(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (13, 7, 3), np.uint8)
    save_quickly(pixels, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as read:
        assert read.format == "PNG"
        assert (np.asarray(read) == pixels).all()
    heat = np.linspace(0, 1, 91, dtype=np.float32).reshape(13, 7)
    save_quickly(places(heat, signed=False), tmp_path / "b.png", palette(signed=False))
    with Image.open(tmp_path / "b.png") as read:
        assert read.mode == "P"
        assert (np.asarray(read.convert("RGB")) == map_alone(heat, signed=False)).all()


def test_a_contrast_has_both_colours() -> None:
    grid = np.array([[2.0, -2.0], [0.0, 0.0]])
    heatmap = Heatmap("ant", 0.6, grid, against="bee")
    heat = levels(heatmap, Placement((2, 2), (0, 0, 2, 2)), (2, 2))
    assert heat.tolist() == [[1, -1], [0, 0]]
    warm, cold, none = map_alone(heat, signed=True)[[0, 0, 1], [0, 1, 0]].astype(int)
    assert warm[0] > warm[2] + 80
    assert cold[2] > cold[0] + 80
    assert none.max() < 40
    assert captions(heatmap) == ("ant", "not bee")
    assert ends(heatmap) == ("−50%", "50%")


def test_the_panels_tell_class_score_and_share() -> None:
    heatmap = hot_corner()
    assert captions(heatmap) == ("ant", "97.3%")
    assert ends(heatmap) == ("0%", "75%")
    placement = Placement((300, 200), (0, 0, 300, 200))
    heat = levels(heatmap, placement, photo().drawn)
    panels = draw_panels(photo(), [heatmap, heatmap], [heat, heat], "猫" * 80 + ".jpg")
    assert panels.shape[1] == 3 * SIDE + 4 * 14
    thin = photo(20, 2_000)
    heat = levels(heatmap, Placement((20, 2_000), (0, 0, 20, 2_000)), thin.drawn)
    tall = draw_panels(thin, [heatmap], [heat], "x")
    assert tall.shape[0] > 240


LONG = "a_name_that_is_much_longer_than_its_panel_is_wide.jpg"


@pytest.mark.parametrize("text", ["short", LONG, "w" * 90, "two words of a class that is long"])
def test_texts_are_broken_and_never_cut(text: str) -> None:
    lines = lines_of(text, 200)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(font_of(text, 24).getlength(line) <= 200 for line in lines)
    assert len(lines) == 1 or text != "short"


@given(st.text(max_size=60), st.integers(1, 12))
def test_lines_hold_every_letter(text: str, width: int) -> None:
    lines = broken(text, lambda part: len(part) <= width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(len(line) <= width for line in lines)


def test_a_break_stands_behind_a_mark() -> None:
    assert broken("golden retriever", lambda part: len(part) <= 10) == ["golden", "retriever"]
    assert broken("slide233_nohash_00.jpg", lambda part: len(part) <= 20) == [
        "slide233_nohash_", "00.jpg"
    ]  # fmt: skip


def test_the_sheet_has_all_of_a_long_name() -> None:
    sheet = HeatSheet()
    sheet.add(photo(), [hot_corner()], Placement((300, 200), (0, 0, 300, 200)), LONG)
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", sheet.svg("colours"))
    assert LONG in "".join(texts)


def test_a_sheet_holds_so_many_photos_and_hostile_names_are_text() -> None:
    sheet = HeatSheet()
    placement = Placement((300, 200), (0, 0, 300, 200))
    for _ in range(MOST_PHOTOS):
        assert not sheet.is_full
        sheet.add(photo(), [hot_corner()], placement, "<script>&.jpg")
    assert sheet.is_full
    svg = sheet.svg("colours")
    assert svg.count("<image") == 2 * MOST_PHOTOS
    assert "<script" not in svg
    assert len(svg) < 2_000_000


def test_channels_of_two_networks_stand_beside_each_other() -> None:
    grids = np.random.default_rng(0).random((16, 9, 9)).astype(np.float32)
    layers = [
        LayerChannels(name, "conv1_relu", tuple(range(16)), grids.mean(axis=(1, 2)), grids)
        for name in ("ImageNet weights", "random weights")
    ]
    placement = Placement((300, 200), (0, 0, 300, 200))
    one, two = (draw_channels(photo(), layers[:count], placement, "x.jpg") for count in (1, 2))
    assert two.shape[1] > 1.8 * one.shape[1]
    assert two.shape[0] == one.shape[0]
    flat = LayerChannels("dead", "conv", (3,), np.zeros(1, np.float32), np.zeros((1, 2, 2), "f4"))
    draw_channels(photo(), [flat], placement, "x.jpg")
    assert [one["channel"] for one in layers[0].to_dict()["channels"]] == list(range(16))
