"""Heatmaps of the service: exact, of the photo's own shape, and on the page in a real Chromium."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import is_within_its_width, keep_picture, visit_server
from fake_maps import SIDE, FakeMaps, load_fake
from PIL import Image
from served_at_port import at_a_port
from serving.conftest import with_a_run

from retrain_cli.errors import BackboneError
from retrain_cli.runs.run import RunStore
from retrain_cli.serving.photo_heatmaps import PhotoHeatmaps
from retrain_cli.workflows.explaining.heatmap_makers import CamMaker
from retrain_cli.workspace import Workspace


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In place of the usual one: of a network that has feature maps."""
    return with_a_run(tmp_path_factory.mktemp("mapped"), FakeMaps(with_maps=False))


@pytest.fixture
def fake_backbone() -> FakeMaps:
    return FakeMaps(with_maps=False)


@pytest.fixture
def serve_maps(serve: Callable[..., Any], workspace: Workspace) -> Callable[..., Any]:
    def serve_maps(load: Any = load_fake, **request: Any) -> Any:
        served = serve(**request)
        run = RunStore(workspace.runs_dir).get("first")
        heatmaps = PhotoHeatmaps(run, workspace, 5.0, CamMaker(load))
        served.service.model = replace(served.service.model, heatmaps=heatmaps)
        return served

    return serve_maps


def test_it_is_the_logit_place_by_place(serve_maps: Any, photos: Path) -> None:
    served = serve_maps()
    files = [("a", (photos / name / "0000.png").read_bytes()) for name in ("ant", "bee")]
    files.insert(1, ("note", b"hello"))
    first, bad, second = served.client.post("/label?heatmap=1", files=files).json()["photos"]
    assert "heatmap" not in bad
    for photo in (first, second):
        found = photo["heatmap"]
        grid = np.array(found["grid"])
        assert grid.shape == (SIDE, SIDE)
        assert grid.mean() + found["bias"] == pytest.approx(found["logit"], abs=1e-4)
        assert {key: found[key] for key in ("label", "score")} == {
            "label": photo["labels"][0]["label"],
            "score": pytest.approx(photo["labels"][0]["score"], abs=1e-5),
        }
    assert served.service.in_service == 0
    plain = served.client.post("/label", files=files).json()["photos"]
    assert not [one for one in plain if "heatmap" in one]


def test_the_picture_is_brightest_where_most_speaks(serve_maps: Any) -> None:
    """A photo that a camera took on its side, in which one corner stands out."""
    pixels = np.full((30, 60, 3), 128, np.uint8)
    pixels[:10, :15] = (250, 30, 200)
    packed = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    Image.fromarray(pixels).save(packed, "PNG", exif=exif.tobytes())
    served = serve_maps()
    answer = served.client.post("/label?heatmap=1", content=packed.getvalue()).json()
    found = answer["photos"][0]["heatmap"]
    assert found["size"] == [30, 60]
    assert found["box"] == [0, 0, 30, 60]
    kind, _, data = found["picture"].partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(BytesIO(base64.b64decode(data))) as picture:
        assert picture.size == (240, 480)
        alpha = np.asarray(picture)[..., 3].astype(float)
    grid = np.array(found["grid"])
    fields = alpha.reshape(SIDE, 480 // SIDE, SIDE, 240 // SIDE).mean(axis=(1, 3))
    row, column = np.unravel_index(alpha.argmax(), alpha.shape)
    assert row < 160  # where the turn has brought the corner
    assert column >= 120
    assert np.corrcoef(np.maximum(grid, 0).ravel(), fields.ravel())[0, 1] > 0.9


def test_a_network_without_maps_says_why_and_is_asked_once(serve_maps: Any, photos: Path) -> None:
    tries: list[int] = []

    def load(spec: Any, device: str) -> Any:
        tries.append(1)
        raise BackboneError("its bottleneck is no map")

    ant = (photos / "ant" / "0000.png").read_bytes()
    served = serve_maps(load)
    for _ in range(2):
        told = served.client.post("/label?heatmap=1", content=ant).json()["photos"][0]
        assert told["labels"][0]["label"] == "ant"
        assert told["heatmap"] == {"error": "its bottleneck is no map"}
    assert len(tries) == 1


def test_where_it_would_take_tensorflow_there_is_none(serve: Any, photos: Path) -> None:
    served = serve()  # its run is of Keras
    ant = (photos / "ant" / "0000.png").read_bytes()
    told = served.client.post("/label?heatmap=1", content=ant).json()["photos"][0]
    assert "gives no heatmaps" in told["heatmap"]["error"]
    assert served.client.get("/labels").json()["heatmaps"] is False


def test_a_heatmap_takes_a_place(serve_maps: Any, photos: Path) -> None:
    ant = (photos / "ant" / "0000.png").read_bytes()
    served = serve_maps(queue=1)
    busy = served.service._pool
    plain = busy.label

    async def label(*arguments: Any) -> Any:
        answers = await plain(*arguments)
        busy.taken += 1  # somebody else's photo came meanwhile
        return answers

    busy.label = label
    refused = served.client.post("/label?heatmap=1", content=ant)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"


@pytest.mark.parametrize("width", [390, 1280])
def test_on_the_page_it_lies_over_the_photo(serve_maps: Any, photos: Path, width: int) -> None:
    served = serve_maps()
    with at_a_port(served.client.app) as address, visit_server(address, width) as visited:
        page = visited.page
        page.get_by_text("first: 3 classes").wait_for()
        page.get_by_label("Choose photos").set_input_files(photos / "bee" / "0000.png")
        switch = page.get_by_role("button", name="Heatmap")
        switch.wait_for()
        assert switch.get_attribute("aria-pressed") == "false"
        switch.press("Enter")
        heat = page.get_by_alt_text("Heatmap: what speaks for bee")
        heat.wait_for()
        page.get_by_text("The brighter, the more speaks for bee.").wait_for()
        assert switch.get_attribute("aria-pressed") == "true"
        photo = page.get_by_alt_text("0000.png", exact=True)
        assert heat.bounding_box() == photo.bounding_box()
        shape = "one => one.naturalWidth / one.naturalHeight"
        assert heat.evaluate(shape) == pytest.approx(photo.evaluate(shape), rel=0.01)
        assert is_within_its_width(page)
        keep_picture(page, f"heatmap-{width}.png")
        switch.press("Space")
        heat.wait_for(state="hidden")
        assert switch.get_attribute("aria-pressed") == "false"
        switch.press("Space")  # shown again without another question
        heat.wait_for()
    questions = [one for one in served.log if "POST /label" in one]
    assert len(questions) == 2
