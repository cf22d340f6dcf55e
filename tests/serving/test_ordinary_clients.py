"""Requests as the documentation of TensorFlow Serving has them, by libraries that people use.

They go to a real port: https://www.tensorflow.org/tfx/serving/api_rest, and `resnet_client.py` of
TensorFlow Serving's examples.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from helpers import LIMIT
from served_at_port import at_a_port


@pytest.fixture
def address(serve: Callable[..., Any]) -> Iterator[str]:
    with at_a_port(serve().client.app) as found:
        yield f"{found}/v1/models/default"


@pytest.fixture
def image(photos: Path) -> dict[str, str]:
    """As JSON carries bytes there."""
    return {"b64": base64.b64encode((photos / "ant" / "0000.png").read_bytes()).decode()}


def post(address: str, body: Any) -> Any:
    """As its examples do: JSON without a content type."""
    return requests.post(address, data=json.dumps(body), timeout=LIMIT)


def test_its_example_of_a_client(address: str, image: dict[str, str]) -> None:
    """One request to warm up, some more of the same text, one connection each."""
    text = '{{"instances" : [{{"b64": "{}"}}]}}'.format(image["b64"])
    for _ in range(4):
        response = requests.post(f"{address}:predict", data=text, timeout=LIMIT)
        response.raise_for_status()
        assert response.elapsed.total_seconds() > 0
        assert response.json()["predictions"][0]["label"] == "ant"


@pytest.mark.parametrize("signature", [None, "serving_default"])
def test_rows_and_columns_hold_the_same(
    address: str, image: dict[str, str], signature: str | None
) -> None:
    named = {} if signature is None else {"signature_name": signature}
    rows = post(f"{address}:predict", {**named, "instances": [{"photos": image}] * 2}).json()
    columns = post(f"{address}:predict", {**named, "inputs": {"photos": [image] * 2}}).json()
    assert rows.keys() == {"predictions"}
    assert columns.keys() == {"outputs"}
    for name, values in columns["outputs"].items():
        assert values == [row[name] for row in rows["predictions"]]
    assert columns["outputs"].keys() == {"scores", "label"}


def test_classify_with_a_context(address: str, image: dict[str, str]) -> None:
    """The features of `context` are those of each example that has no others."""
    body = {"signature_name": "classify", "context": {"image": image}, "examples": [{}, {}]}
    result = post(f"{address}:classify", body).json()["result"]
    assert len(result) == 2
    for pairs in result:
        assert [type(one) for one in pairs[0]] == [str, float]
        assert [score for _, score in pairs] == sorted((score for _, score in pairs), reverse=True)


def test_the_documents_are_as_its_own(address: str) -> None:
    status = requests.get(address, timeout=LIMIT).json()
    version = status["model_version_status"][0]["version"]
    assert version.isdecimal()
    assert status == requests.get(f"{address}/versions/{version}", timeout=LIMIT).json()
    told = requests.get(f"{address}/versions/{version}/metadata", timeout=LIMIT).json()
    assert told["model_spec"].keys() == {"name", "signature_name", "version"}
    signatures = told["metadata"]["signature_def"]["signature_def"]
    assert signatures.keys() == {"serving_default", "classify"}
    for one in signatures.values():
        assert one.keys() == {"inputs", "outputs", "method_name"}
        for tensor in (one["inputs"] | one["outputs"]).values():
            assert tensor.keys() == {"dtype", "tensor_shape", "name"}
            assert tensor["tensor_shape"]["unknown_rank"] is False
            assert all(one.keys() == {"size", "name"} for one in tensor["tensor_shape"]["dim"])


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        (":regress", 400, "tensorflow/serving/regress"),
        ("/versions/7:predict", 404, "Servable not found for request: Specific(default, 7)"),
        ("/labels/canary:predict", 400, "Unrecognized servable version label: canary"),
        ("0:predict", 404, "Servable not found for request: Latest(default0)"),
        (":predict", 400, "instances"),
    ],
)
def test_an_error_is_an_object_with_one_text(
    address: str, path: str, status: int, words: str
) -> None:
    response = post(address + path, {"examples": [{"x": 1.0}]})
    with pytest.raises(requests.HTTPError, match=str(status)):
        response.raise_for_status()
    assert response.headers["content-type"] == "application/json"
    assert response.json().keys() == {"error"}
    assert words in response.json()["error"]


def test_one_connection_for_many_questions_side_by_side(address: str, photos: Path) -> None:
    """HTTPX keeps connections, streams a body whose length it does not say, and sends forms."""
    root = address.partition("/v1/")[0]
    photo = photos / "bee" / "0000.png"

    def streamed() -> Iterator[bytes]:
        data = photo.read_bytes()
        yield from (data[at : at + 1000] for at in range(0, len(data), 1000))

    with httpx.Client(base_url=root, timeout=LIMIT) as client, ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(client.post, "/label", content=streamed()) for _ in range(20)]
        data = photo.read_bytes()
        form = {"one": ("a.png", data, "image/png"), "other": ("ü.png", data, "image/png")}
        both = client.post("/label", files=form).json()["photos"]
        found = [one.result().json()["photos"][0]["labels"][0]["label"] for one in asked]
    assert found == ["bee"] * 20
    assert [one["path"] for one in both] == ["a.png", "ü.png"]
    assert [one["labels"][0]["label"] for one in both] == ["bee", "bee"]
