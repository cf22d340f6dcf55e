"""The OpenAPI document of a service."""

from __future__ import annotations

from typing import Any

from retrain_cli import __version__
from retrain_cli.serving.serve_request import ServeRequest

_ERROR = {"$ref": "#/components/schemas/Error"}


def openapi_document(name: str, request: ServeRequest) -> dict[str, Any]:
    """What can be asked of this service, for people and for generators of clients.

    Args:
        name: of the model.
        request: its limits.
    """
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": f"retrain serve: {name}",
            "version": __version__,
            "description": f"Labels photos of at most {request.max_bytes} bytes and "
            f"{request.max_pixels} pixels, {request.queue} at a time.",
        },
        "paths": _paths(name, takes_corrections=request.collect is not None),
        "components": {"schemas": _schemas()},
    }
    if request.api_key is not None:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
    return document


def _paths(name: str, *, takes_corrections: bool) -> dict[str, Any]:
    model = f"/v1/models/{name}"
    paths = {
        "/label": {"post": _label()},
        f"{model}:predict": {"post": _post("All scores.", _body("Predict"), "Predictions")},
        f"{model}:classify": {"post": _post("Labels, best first.", _body("Classify"), "Classes")},
        model: {"get": _get("Version and state of the model.")},
        f"{model}/metadata": {"get": _get("What the model takes and gives, and its labels.")},
        "/labels": {"get": _get("The classes, and what this service offers.")},
        "/healthz": {"get": _get("Whether the process is alive.")},
        "/readyz": {"get": _get("Whether new requests are welcome.")},
        "/metrics": {"get": _get("Figures for Prometheus.")},
    }  # fmt: skip
    if takes_corrections:
        correct = _post("Keep a photo for the next training.", _one_photo(), "Kept", "201")
        words = "its class; without one it is of none of them"
        correct["parameters"] = [_in_query("label", "string", words)]
        paths["/correct"] = {"post": correct}
    return paths


def _label() -> dict[str, Any]:
    found = _post("One photo as body, or a form.", _photos(), "Labels")
    found["parameters"] = [
        _in_query("similar", "integer", "so many of the training photos most like it"),
        _in_query("heatmap", "boolean", "where the network looked for its best class"),
    ]
    return found


def _in_query(name: str, kind: str, words: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": kind}, "description": words}


def _get(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": _answer("an answer", {"type": "object"})}}


def _post(summary: str, body: dict[str, Any], answer: str, status: str = "200") -> dict[str, Any]:
    found = {"$ref": f"#/components/schemas/{answer}"}
    refusals = {
        "400": "it cannot be read", "413": "too large", "429": "too busy: Retry-After says when"
    }  # fmt: skip
    return {
        "summary": summary,
        "requestBody": body,
        "responses": {
            status: _answer("an answer", found),
            **{code: _answer(words, _ERROR) for code, words in refusals.items()},
        },
    }


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _body(schema: str) -> dict[str, Any]:
    found = {"$ref": f"#/components/schemas/{schema}"}
    return {"required": True, "content": {"application/json": {"schema": found}}}


def _one_photo() -> dict[str, Any]:
    return {
        "required": True,
        "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
    }


def _photos() -> dict[str, Any]:
    binary = {"type": "string", "format": "binary"}
    form = {"type": "object", "additionalProperties": binary}
    return {
        "required": True,
        "content": {"image/*": {"schema": binary}, "multipart/form-data": {"schema": form}},
    }


def _schemas() -> dict[str, Any]:
    text, number = {"type": "string"}, {"type": "number"}
    b64 = _object(["b64"], b64={**text, "contentEncoding": "base64"})
    label = _object(["label", "score"], label=text, score=number)
    photo = _object(
        ["path", "labels"], path=text, labels=_list(label), error=text, rejected=text,
        novelty=number, best=label, heatmap={"type": "object"}, similar=_list({"type": "object"}),
    )  # fmt: skip
    prediction = _object([], scores=_list(number), label=text, rejected=text, error=text)
    return {
        "Error": _object(["error"], error=text),
        "Labels": _object(["model", "photos"], model={"type": "object"}, photos=_list(photo)),
        "Predict": _object(["instances"], instances=_list(b64), signature_name=text),
        "Predictions": _object(["predictions"], predictions=_list(prediction)),
        "Classify": _object(["examples"], examples=_list(_object(["image"], image=b64))),
        "Classes": _object(
            ["result"], result=_list(_list({"type": "array"})), errors={"type": "object"}
        ),
        "Kept": _object(["kept"], kept=text),
    }  # fmt: skip


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}
