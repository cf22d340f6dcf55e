"""Whatever a user has for a photo is taken for one, wherever a photo is."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import FakeBackbone
from PIL import Image

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.errors import ConfigError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.images.in_memory import encode_picture
from retrain_cli.workflows.label import Labeller, LabelRequest
from retrain_cli.workflows.portable.label_photos import label_photos
from retrain_cli.workflows.shared.embedding import Source, sources_of
from retrain_cli.workflows.similar import SimilarRequest, SimilarSearch
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

Load = Callable[[BackboneSpec, str], FakeBackbone]


@pytest.fixture
def load(fill: Any, photos: Path, workspace: Workspace, fake_backbone: FakeBackbone) -> Load:
    fill(photos)
    train_run(TrainRequest(TrainingConfig(steps=50)), workspace)
    return lambda spec, device: fake_backbone


def kinds_of(path: Path) -> dict[str, Any]:
    """One photo in each form that a user may have it in."""
    image = Image.open(path).convert("RGB")
    pixels = np.asarray(image)
    return {
        "text": str(path),
        "path": path,
        "source": Source(str(path)),
        "bytes": path.read_bytes(),
        "bytearray": bytearray(path.read_bytes()),
        "image": image,
        "array": pixels,
        "whole numbers": pixels.astype(np.int64),
        "fractions": pixels / 255,
        "batch": pixels[None],
        "list of texts": [str(path)],
        "list of arrays": [pixels],
        "iterator": iter([path]),
    }


def test_each_kind_has_the_same_label(load: Load, photos: Path, workspace: Workspace) -> None:
    path = photos / "ant" / "0000.png"
    with Labeller(LabelRequest(), workspace, load) as labeller:
        answers = {kind: list(labeller.label(one)) for kind, one in kinds_of(path).items()}
    for kind, found in answers.items():
        assert [one.error for one in found] == [None], kind
        assert found[0].labels == answers["text"][0].labels, kind
    assert answers["text"][0].path == str(path)
    assert answers["array"][0].path == "image 1"


def test_each_kind_has_the_same_neighbours(load: Load, photos: Path, workspace: Workspace) -> None:
    path = photos / "ant" / "0000.png"
    with SimilarSearch(SimilarRequest(split="all"), workspace, load) as search:
        answers = {kind: list(search.search(one)) for kind, one in kinds_of(path).items()}
    for kind, found in answers.items():
        assert len(found) == 1 and found[0].photos, kind
    assert answers["text"] == answers["path"] == answers["list of texts"]


def test_a_folder_stands_for_its_photos(load: Load, photos: Path, workspace: Workspace) -> None:
    answers = label_photos(photos / "bee", workspace, load=load)
    assert len(answers) == 12
    assert "12 photos" in answers._repr_html_()
    assert "<table" in answers[0]._repr_html_()
    frame = answers.to_frame()
    assert frame["label"].notna().all()
    assert list(frame["path"]) == [one.path for one in answers]


def test_photos_without_a_path_go_by_their_place(photos: Path) -> None:
    data = (photos / "ant" / "0000.png").read_bytes()
    assert [one.name for one in sources_of([data, "b.png", data])] == [
        "image 1",
        "b.png",
        "image 3",
    ]


@pytest.mark.parametrize("thing", [None, 5, [None], [["a.jpg"]]])
def test_what_is_no_photo_is_named(thing: Any) -> None:
    with pytest.raises(ConfigError, match="a photo is a path"):
        list(sources_of(thing))


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((3, 8, 8)), "moveaxis"),
        (np.zeros((2, 2, 2, 8, 8)), "height, width"),
        (np.zeros((0, 8, 3)), "height, width"),
        (np.full((8, 8), 300), "from 300 to 300"),
        (np.full((8, 8), -1), "from -1 to -1"),
        (np.full((8, 8), 1.5), "fractions from 0 to 1"),
        (np.full((8, 8), np.nan), "fractions from 0 to 1"),
        (np.zeros((8, 8), bool), "not bool"),
        (np.zeros((8, 8), complex), "not complex"),
    ],
)
def test_an_array_that_is_no_picture_is_refused(array: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        encode_picture(array)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I;16"]
)
def test_every_mode_of_pillow_becomes_a_file(mode: str) -> None:
    image = Image.new("L", (5, 4), 200)
    image = Image.new(mode, (5, 4)) if mode == "I;16" else image.convert("RGB").convert(mode)
    assert Image.open(io.BytesIO(encode_picture(image))).size == (5, 4)


def test_a_picture_of_fractions_is_refused() -> None:
    with pytest.raises(ConfigError, match="convert"):
        encode_picture(Image.new("F", (5, 4)))


def test_a_picture_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (6, 2)).save(tmp_path / "a.jpg", exif=exif)
    picture = Image.open(tmp_path / "a.jpg")
    assert Image.open(io.BytesIO(encode_picture(picture))).size == (2, 6)
