"""`Explainer`: heatmaps in order, of the classes that are asked for, bad files in their place."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_maps import SIDE, FakeMaps, load_fake
from helpers import FakeBackbone, make_photos
from numpy.typing import NDArray
from PIL import Image

from retrain_cli.errors import ConfigError, DatasetError, RunError
from retrain_cli.explaining.heatmap import Heatmap
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.images.placement import Placement
from retrain_cli.workflows.explaining.explainer import Explainer, ExplainRequest
from retrain_cli.workflows.explaining.heat_pictures import SHEET, PictureWriter
from retrain_cli.workflows.explaining.heatmap_makers import CamMaker, OcclusionMaker
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace


@pytest.fixture
def fake_backbone() -> FakeBackbone:
    """In place of the usual one: `fill` uses it."""
    return FakeMaps(with_maps=False)


@pytest.fixture
def explainer(photos: Path, fill: Any, workspace: Workspace) -> Any:
    fill(photos)
    config = TrainingConfig(steps=60, optimizer="lbfgs", testing_percentage=20)
    train_run(TrainRequest(config), workspace)
    with ExitStack() as stack:

        def make(**request: Any) -> Explainer:
            chosen = ExplainRequest(**request)
            maker: Any = CamMaker(load_fake)
            made = Explainer(chosen, workspace, maker)
            if chosen.method == "occlusion":
                load: Any = lambda spec, device: FakeMaps(with_maps=False)  # noqa: E731
                made = Explainer(chosen, workspace, OcclusionMaker(load, made.run.head))
            return stack.enter_context(made)

        yield make


def colour_of(photos: Path, name: str) -> NDArray[np.uint8]:
    with Image.open(photos / name / "0000.png") as photo:
        pixels = np.asarray(photo.convert("RGB"))
    return np.asarray(pixels.mean(axis=(0, 1)), np.uint8)


def explained(explainer: Callable[..., Explainer], *paths: Path, **request: Any) -> list[Any]:
    return list(explainer(**request).explain([Source(str(path)) for path in paths]))


def test_the_best_classes_are_explained_in_order(explainer: Any, photos: Path) -> None:
    paths = sorted(photos.rglob("*.png"), key=lambda path: path.name)
    answers = explained(explainer, *paths, batch_size=5)
    assert [answer.source.name for answer in answers] == [str(path) for path in paths]
    right = [answer.heatmaps[0].label == path.parent.name
             for answer, path in zip(answers, paths, strict=True)]  # fmt: skip
    assert np.mean(right) > 0.9
    for answer in answers:
        first, second = answer.heatmaps
        assert first.score > second.score
        for heatmap in answer.heatmaps:
            assert heatmap.grid.shape == (SIDE, SIDE)
            assert heatmap.grid.mean() + heatmap.bias == pytest.approx(heatmap.logit, abs=1e-4)
            assert np.maximum(heatmap.shares, 0).sum() == pytest.approx(
                float((heatmap.grid > 0).any())
            )


@pytest.mark.parametrize("method", ["cam", "occlusion"])
def test_the_heat_lies_where_the_colour_of_the_class_is(
    explainer: Any, photos: Path, tmp_path: Path, method: str
) -> None:
    """Pointing game: the square of the class's colour on a photo of another class."""
    canvas = np.empty((120, 160, 3), np.uint8)
    canvas[:] = colour_of(photos, "bee")
    canvas[70:110, 20:60] = colour_of(photos, "ant")
    path = tmp_path / "both.png"
    Image.fromarray(canvas).save(path)
    run = explainer(of_class="ant", method=method)
    (answer,) = run.explain([Source(str(path))])
    heat = answer.placement.drawn(answer.heatmaps[0].grid, (160, 120))
    row, column = np.unravel_index(np.argmax(heat), heat.shape)
    assert 70 <= row < 110
    assert 20 <= column < 60
    (other,) = explainer(contrast=("bee", "ant"), method=method).explain([Source(str(path))])
    assert other.heatmaps[0].is_signed
    assert np.abs(other.heatmaps[0].shares).sum() == pytest.approx(1)
    assert other.heatmaps[0].largest <= 1
    heat = other.placement.drawn(other.heatmaps[0].grid, (160, 120))
    row, column = np.unravel_index(np.argmin(heat), heat.shape)
    assert 70 <= row < 110
    assert 20 <= column < 60


def test_the_true_class_is_the_run_s_own_or_that_of_the_folder(
    explainer: Any, photos: Path, tmp_path: Path
) -> None:
    own = photos / "bee" / "0003.png"
    moved = tmp_path / "elsewhere" / "x.png"
    moved.parent.mkdir()
    moved.write_bytes(own.read_bytes())
    new = make_photos(tmp_path / "new", {"ant": 1, "wasp": 1}, seed=4)
    answers = explained(
        explainer, own, moved, new / "ant" / "0000.png", new / "wasp" / "0000.png", of_class="true"
    )
    labels = [answer.heatmaps[0].label if answer.heatmaps else "" for answer in answers]
    assert labels == ["bee", "bee", "ant", ""]
    assert "true class is not known: 'wasp' is no class" in answers[3].error


def test_a_bad_photo_does_not_lose_the_rest(explainer: Any, photos: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff no more")
    some = [photos / "ant" / "0000.png", bad, tmp_path / "none.png", photos / "bee" / "0000.png"]
    answers = explained(explainer, *some)
    assert [bool(answer.error) for answer in answers] == [False, True, True, False]
    assert answers[1].to_dict() == {"path": str(bad), "maps": [], "error": answers[1].error}


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        ({"of_class": "antt"}, RunError, "has no class 'antt': did you mean ant?"),
        ({"contrast": ("ant", "zebra")}, RunError, "no class 'zebra'"),
        ({"contrast": ("ant",)}, ConfigError, "takes two classes"),
        ({"contrast": ("ant", "ant")}, ConfigError, "two different classes"),
        ({"contrast": ("ant", "bee"), "of_class": "ant"}, ConfigError, "names both"),
        ({"of_class": "ant", "top_k": 3}, ConfigError, "one is named already"),
        ({"layer": "mixed7"}, ConfigError, "cam takes none"),
        ({"top_k": 0}, ConfigError, "top_k"),
        ({"run": "none"}, RunError, "none"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    explainer: Any, request_: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        explainer(**request_)


def test_pictures_lie_in_the_folder_under_names_of_their_own(
    explainer: Any, photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out" / "maps"
    some = [photos / "ant" / "0000.png", photos / "bee" / "0000.png", tmp_path / "none.png"]
    sources = [Source(str(path)) for path in some]
    with PictureWriter(folder, 60) as writer:
        drawn = list(writer.draw(explainer(top_k=1).explain(sources)))
        sheet = writer.write_sheet()
    assert [one.picture.name if one.picture else "" for one in drawn] == [
        "0000.png", "0000-2.png", ""
    ]  # fmt: skip
    assert {path.name for path in folder.iterdir()} == {
        "0000.png", "0000-2.png", "0000-map-ant.png", "0000-2-map-bee.png", SHEET
    }  # fmt: skip
    assert sheet is not None
    text = sheet.read_text("utf-8")
    assert text.count("<image") == 4
    assert "share of the evidence in one of 8 × 8 fields" in text
    with Image.open(folder / "0000.png") as picture:
        assert picture.width < 3 * 320
    with Image.open(folder / "0000-map-ant.png") as alone:
        assert alone.width / alone.height == pytest.approx(40 / 30, abs=0.01)


@pytest.mark.parametrize("taken", ["0000.png", "0000-map-ant.png", SHEET])
def test_a_photo_of_a_picture_s_name_stays(
    explainer: Any, photos: Path, tmp_path: Path, taken: str
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / taken).write_bytes((photos / "ant" / "0000.png").read_bytes())
    source = Source(str(photos / "ant" / "0000.png"))
    with (
        pytest.raises(DatasetError, match=r"only pictures of `retrain explain` are replaced"),
        PictureWriter(folder, 60) as writer,
    ):
        list(writer.draw(explainer(top_k=1).explain([source])))
    assert (folder / taken).read_bytes() == (photos / "ant" / "0000.png").read_bytes()


def test_earlier_pictures_are_replaced(explainer: Any, photos: Path, tmp_path: Path) -> None:
    source = Source(str(photos / "ant" / "0000.png"))
    for _ in range(2):
        with PictureWriter(tmp_path / "out", 60) as writer:
            (drawn,) = writer.draw(explainer(top_k=1).explain([source]))
            writer.write_sheet()
        assert drawn.picture is not None
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_file_in_the_folder_s_place_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(DatasetError, match="takes a folder"):
        PictureWriter(tmp_path / "out", 60)


def test_a_heatmap_without_evidence_has_no_shares() -> None:
    empty = Heatmap("ant", 0.1, np.zeros((2, 2)))
    assert empty.largest == 0
    against = Heatmap("ant", 0.1, np.full((2, 2), -3.0))
    assert against.largest == 0
    assert Placement((4, 4), (0, 0, 4, 4)).drawn(empty.shares, (4, 4)).max() == 0
