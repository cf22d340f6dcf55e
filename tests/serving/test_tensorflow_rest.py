"""Clients of TensorFlow Serving work unchanged."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from retrain_cli.workflows.label import Labeller
from retrain_cli.workflows.shared.embedding import Source


def b64(path: Path) -> dict[str, str]:
    return {"b64": base64.b64encode(path.read_bytes()).decode()}


@pytest.fixture
def ant(photos: Path) -> Path:
    return photos / "ant" / "0000.png"


@pytest.fixture
def bee(photos: Path) -> Path:
    return photos / "bee" / "0000.png"


@pytest.mark.parametrize("address", ["first", "default", "first/versions/VERSION"])
def test_predict(serve: Any, ant: Path, bee: Path, address: str) -> None:
    served = serve()
    address = address.replace("VERSION", str(served.service.model.version))
    answer = served.client.post(
        f"/v1/models/{address}:predict",
        json={"signature_name": "serving_default", "instances": [b64(ant), b64(bee)]},
    )
    assert answer.status_code == 200
    first, second = answer.json()["predictions"]
    assert (first["label"], second["label"]) == ("ant", "bee")
    assert len(first["scores"]) == 3
    assert sum(first["scores"]) == pytest.approx(1, abs=1e-5)


def test_it_answers_as_label_does(serve: Any, photos: Path, workspace: Any) -> None:
    served = serve(top_k=3)
    some = sorted(photos.rglob("*.png"))[::5]
    files = [("photo", (path.name, path.read_bytes())) for path in some]
    told = served.client.post("/label", files=files).json()["photos"]
    with Labeller(served.service.request.labelling, workspace) as labeller:
        expected = list(labeller.label([Source(str(path)) for path in some]))
    for one, other in zip(told, expected, strict=True):
        assert [label["label"] for label in one["labels"]] == [x.label for x in other.labels]
        scores = [label["score"] for label in one["labels"]]
        assert scores == pytest.approx([x.score for x in other.labels], abs=1e-5)


def test_other_forms_that_its_clients_send(serve: Any, ant: Path, bee: Path) -> None:
    served = serve()
    one, other = b64(ant), b64(bee)
    for body in (
        {"instances": [{"photos": one}, {"photos": other}]},
        {"instances": [[one], [other]]},
        {"instances": [one["b64"], other["b64"]]},
    ):
        found = served.client.post("/v1/models/default:predict", json=body).json()
        assert [row["label"] for row in found["predictions"]] == ["ant", "bee"]
    for inputs in ([one, other], {"photos": [one, other]}):
        found = served.client.post("/v1/models/default:predict", json={"inputs": inputs}).json()
        assert found["outputs"]["label"] == ["ant", "bee"]
    single = served.client.post("/v1/models/default:predict", json={"inputs": one}).json()
    assert single["outputs"]["label"] == ["ant"]


def test_classify(serve: Any, ant: Path) -> None:
    served = serve()
    body = {"examples": [{"image": b64(ant)}, {"image": {"b64": "%"}}]}
    told = served.client.post("/v1/models/first:classify", json=body).json()
    assert told["result"][0][0][0] == "ant"
    assert len(told["result"][0]) == 3
    assert told["result"][1] == []
    assert told["errors"] == {"1": "it is no base64"}


def test_a_bad_photo_does_not_fail_the_others(serve: Any, ant: Path) -> None:
    served = serve(max_bytes=100_000)
    cut = {"b64": base64.b64encode(ant.read_bytes()[:300]).decode()}
    large = {"b64": "A" * 200_000}
    body = {"instances": [{"b64": ""}, cut, large, 7, {"b64": "?"}, b64(ant)]}
    found = served.client.post("/v1/models/default:predict", json=body)
    assert found.status_code == 200
    *bad, good = found.json()["predictions"]
    assert good["label"] == "ant"
    assert [row["error"][:12] for row in bad] == [
        "0 bytes", "truncated PN", "more than 10", 'a photo is {', "it is no bas"
    ]  # fmt: skip


def test_status_and_metadata(serve: Any) -> None:
    served = serve(name="album")
    version = str(served.service.model.version)
    state = served.client.get("/v1/models/album").json()["model_version_status"]
    assert state == [
        {
            "version": version,
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
    ]
    told = served.client.get("/v1/models/album/metadata").json()
    assert told["model_spec"] == {"name": "album", "signature_name": "", "version": version}
    signature = told["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["photos"]["dtype"] == "DT_STRING"
    assert signature["method_name"] == "tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/v1/models/none:predict", "{}", 404, "Servable not found for request: Latest(none)"),
        ("/v1/models/first/versions/3:predict", "{}", 404, "Specific(first, 3)"),
        ("/v1/models/first:predict", "{", 400, "must be JSON"),
        ("/v1/models/first:predict", "[" * 100_000, 400, "must be JSON"),
        ("/v1/models/first:predict", "[]", 400, "must be a JSON object"),
        ("/v1/models/first:predict", "{}", 400, "one of the two"),
        ("/v1/models/first:predict", '{"instances": []}', 400, "at least one"),
        ("/v1/models/first:predict", '{"instances": 3}', 400, "at least one"),
        ("/v1/models/first:predict", '{"inputs": {"a": 1, "b": 2}}', 400, "one input"),
        ("/v1/models/first:predict", '{"instances": [{"b64": "*"}]}', 400, "no base64"),
        ("/v1/models/first:predict", '{"signature_name": [], "instances": [1]}', 400, "signature"),
        ("/v1/models/first:classify", "{}", 400, "examples"),
        ("/v1/models/first:classify", '{"examples": [1]}', 400, "an example is an object"),
        ("/v1/models/first:classify", '{"context": 1, "examples": []}', 400, "context"),
        ("/v1/models/first:regress", "{}", 400, "none of tensorflow/serving/regress"),
        ("/v1/models/none:regress", "{}", 404, "Servable not found for request: Latest(none)"),
        ("/v1/models/first/labels/stable:predict", "{}", 400, "servable version label: stable"),
    ],
)
def test_what_cannot_be_answered_is_told_as_it_does(
    serve: Any, path: str, body: str, status: int, words: str
) -> None:
    answer = serve().client.post(path, content=body)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert words in answer.json()["error"]
