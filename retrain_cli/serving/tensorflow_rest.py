"""The REST interface of TensorFlow Serving: what its clients send, and what they get.

    POST /v1/models/NAME:predict   {"instances": [{"b64": ...}, ...]}   or   {"inputs": ...}
    POST /v1/models/NAME:classify  {"examples": [{"image": {"b64": ...}}, ...]}

Pure functions from JSON to photos, and from answers to JSON.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retrain_cli.serving.bodies import SentPhoto, too_large
from retrain_cli.serving.refusals import bad_request
from retrain_cli.serving.served_model import ServedModel
from retrain_cli.serving.service_pool import PhotoAnswer

INPUT = "photos"
"""The one input of the `predict` signature, by the name that an exported SavedModel has, too."""

SIGNATURES = ("serving_default", "predict", "classify", "")
_WORDS = {"instances": "predictions", "inputs": "outputs"}


@dataclass(frozen=True)
class PhotoQuery:
    """The photos of a request.

    Attributes:
        photos: what was sent.
        by_column: whether the answer is wanted by output in place of by photo.
    """

    photos: list[SentPhoto]
    by_column: bool = False


QueryReader = Callable[[Any, int, int], PhotoQuery]
"""Of a body in JSON, of most bytes a photo and of most photos: what is asked for."""


def asked_to_predict(body: Any, most_bytes: int, most_photos: int) -> PhotoQuery:
    """The photos of a request to `predict`, by row (`instances`) or by column (`inputs`).

    Raises:
        RefusedError: it is none.
    """
    record = _record(body)
    named = [word for word in _WORDS if word in record]
    if len(named) != 1:
        raise bad_request(
            'predict takes {"instances": [{"b64": ...}]} or {"inputs": [{"b64": ...}]}, one of '
            f"the two, and it got {len(named)} of them: send base64 of each photo's file"
        )
    by_column = named[0] == "inputs"
    values = record[named[0]]
    if by_column and isinstance(values, Mapping) and set(values) != {"b64"}:
        values = _only_value(values)  # {"photos": [...]}: by the name of the input
    is_single = by_column and not isinstance(values, list)
    return PhotoQuery(
        _photos([values] if is_single else values, most_bytes, most_photos), by_column
    )


def asked_to_classify(body: Any, most_bytes: int, most_photos: int) -> PhotoQuery:
    """The photos of a request to `classify`.

    Raises:
        RefusedError: it is none.
    """
    record = _record(body)
    context = record.get("context", {})
    if not isinstance(context, Mapping):
        raise bad_request("the context of classify is an object, and this one is none")
    examples = record.get("examples")
    if not isinstance(examples, list):
        raise bad_request(
            'classify takes {"examples": [{"image": {"b64": ...}}]}, and there is no such list: '
            "send base64 of each photo's file"
        )
    if any(not isinstance(one, Mapping) for one in examples):
        raise bad_request('an example is an object such as {"image": {"b64": ...}}, and one is not')
    return PhotoQuery(_photos([{**context, **one} for one in examples], most_bytes, most_photos))


def _record(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, Mapping):
        raise bad_request("the body must be a JSON object, and this one is something else")
    signature = body.get("signature_name", "")
    if signature not in SIGNATURES:
        raise bad_request(
            f"the signature is one of {', '.join(SIGNATURES[:-1])}, not {str(signature)[:60]!r}"
        )
    return body


def _photos(values: Any, most_bytes: int, most_photos: int) -> list[SentPhoto]:
    if not isinstance(values, list) or not values:
        raise bad_request("photos come as a list of at least one, and there is none")
    if len(values) > most_photos:
        raise bad_request(
            f"a request has at most {most_photos} photos here, and this one has {len(values)}: "
            "send several requests"
        )
    return [_photo(value, number, most_bytes) for number, value in enumerate(values)]


def _photo(value: Any, number: int, most_bytes: int) -> SentPhoto:
    """One photo; what is wrong with it alone does not fail the others."""
    name, text = str(number), _text(value)
    if text is None:
        return SentPhoto(name, b"", 'a photo is {"b64": "..."} or a text of base64, not this')
    if len(text) > most_bytes * 4 // 3 + 4:
        return SentPhoto(name, b"", too_large(most_bytes))
    try:
        return SentPhoto(name, base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except (binascii.Error, ValueError):
        return SentPhoto(name, b"", "it is no base64")


def _text(value: Any) -> str | None:
    """The base64 in what stands for a photo: bare, as b64, or under the name of an input."""
    for _ in range(3):
        if isinstance(value, str):
            return value
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        elif isinstance(value, Mapping) and "b64" in value:
            value = value["b64"]
        elif isinstance(value, Mapping) and len(value) == 1:
            value = next(iter(value.values()))
        else:
            return None
    return value if isinstance(value, str) else None


def _only_value(values: Mapping[str, Any]) -> Any:
    if len(values) != 1:
        raise bad_request(f"the model has one input, {INPUT}, and the request names {len(values)}")
    return next(iter(values.values()))


def predictions(
    asked: PhotoQuery, answers: Sequence[PhotoAnswer], model: ServedModel
) -> dict[str, Any]:
    """The answer to `predict`: all scores of each photo, and its best label.

    A photo that could not be used has `error` in place of them.
    """
    rows = [_prediction(one, model) for one in answers]
    if not asked.by_column:
        return {"predictions": rows}
    outputs: dict[str, Any] = {key: [row.get(key) for row in rows] for key in ("scores", "label")}
    if any("error" in row for row in rows):
        outputs["error"] = [row.get("error") for row in rows]
    return {"outputs": outputs}


def _prediction(answer: PhotoAnswer, model: ServedModel) -> dict[str, Any]:
    if answer.scores is None:
        return {"error": answer.error}
    found: dict[str, Any] = {
        "scores": answer.scores.tolist(), "label": model.best(answer.scores, 1)[0].label
    }  # fmt: skip
    return found if answer.rejected is None else {**found, "rejected": answer.rejected}


def classification(answers: Sequence[PhotoAnswer], model: ServedModel) -> dict[str, Any]:
    """The answer to `classify`: of each photo every label with its score, best first.

    One that could not be used has none; why is told under `errors`, by its number.
    """
    result = [
        []
        if one.scores is None
        else [[best.label, best.score] for best in model.best(one.scores, len(one.scores))]
        for one in answers
    ]
    errors = {str(number): one.error for number, one in enumerate(answers) if one.error}
    return {"result": result, "errors": errors} if errors else {"result": result}


def status(model: ServedModel) -> dict[str, Any]:
    """The answer to `GET /v1/models/NAME`."""
    told = {
        "version": str(model.version),
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    return {"model_version_status": [told]}


def metadata(model: ServedModel) -> dict[str, Any]:
    """The answer to `GET /v1/models/NAME/metadata`."""
    count = str(len(model.labels))
    photos = {INPUT: _tensor("DT_STRING", INPUT, "-1")}
    predict = {
        "inputs": photos,
        "outputs": {
            "scores": _tensor("DT_FLOAT", "scores", "-1", count),
            "label": _tensor("DT_STRING", "label", "-1"),
        },
        "method_name": "tensorflow/serving/predict",
    }
    classify = {
        "inputs": photos,
        "outputs": {
            "classes": _tensor("DT_STRING", "classes", "-1", count),
            "scores": _tensor("DT_FLOAT", "scores", "-1", count),
        },
        "method_name": "tensorflow/serving/classify",
    }
    return {
        "model_spec": {"name": model.name, "signature_name": "", "version": str(model.version)},
        "metadata": {
            "signature_def": {"signature_def": {"serving_default": predict, "classify": classify}},
            "labels": list(model.labels),
        },
    }


def _tensor(dtype: str, name: str, *sizes: str) -> dict[str, Any]:
    shape = {"dim": [{"size": size, "name": ""} for size in sizes], "unknown_rank": False}
    return {"dtype": dtype, "tensor_shape": shape, "name": f"{name}:0"}
