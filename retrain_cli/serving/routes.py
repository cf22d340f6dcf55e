"""What can be asked for, and who answers it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from retrain_cli import __version__
from retrain_cli.errors import ImageError, RetrainError
from retrain_cli.serving import tensorflow_rest
from retrain_cli.serving.access import STATIC_FILES
from retrain_cli.serving.bodies import SentPhoto
from retrain_cli.serving.openapi_document import openapi_document
from retrain_cli.serving.refusals import RefusedError, bad_request
from retrain_cli.serving.served_model import ServedModel
from retrain_cli.serving.service import Service
from retrain_cli.serving.service_metrics import CONTENT_TYPE
from retrain_cli.serving.service_pool import PhotoAnswer
from retrain_cli.serving.tensorflow_rest import PhotoQuery, QueryReader
from retrain_cli.workflows.sort_photos import UNNAMED

_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
Endpoint = Callable[[Request], Awaitable[Response]]


class Routes:
    """The answers of a service, by address.

    Args:
        service: what they are about.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def all(self) -> list[Route]:
        """For Starlette; the first that fits answers."""
        model = "/v1/models/{name}"
        version, alias = model + "/versions/{version}", model + "/labels/{alias}"
        table: list[tuple[str, str, str, Endpoint]] = [
            ("POST", "/label", "label", self.label),
            ("POST", "/correct", "correct", self.correct),
            ("GET", "/training-photos/{row:int}", "training-photos", self.training_photo),
            ("GET", "/labels", "labels", self.labels),
            ("GET", "/healthz", "healthz", self.healthz),
            ("GET", "/readyz", "readyz", self.readyz),
            ("GET", "/metrics", "metrics", self.metrics),
            ("GET", "/openapi.json", "openapi", self.openapi),
            ("GET", "/", "page", self.page),
            ("GET", "/static/{file}", "static", self.static),
        ]
        for start in (version, alias, model):
            table += [
                ("POST", start + ":predict", "predict", self.predict),
                ("POST", start + ":classify", "classify", self.classify),
                ("POST", start + ":regress", "regress", self.regress),
                ("GET", start + "/metadata", "metadata", self.metadata),
                ("GET", start, "status", self.status),
            ]
        return [
            Route(path, _named(label, answer), methods=[method])
            for method, path, label, answer in table
        ]

    # -- TensorFlow Serving's --------------------------------------------------------------------

    async def status(self, request: Request) -> Response:
        """`GET /v1/models/NAME`."""
        return JSONResponse(tensorflow_rest.status(self._model(request)))

    async def metadata(self, request: Request) -> Response:
        """`GET /v1/models/NAME/metadata`."""
        return JSONResponse(tensorflow_rest.metadata(self._model(request)))

    async def predict(self, request: Request) -> Response:
        """`POST /v1/models/NAME:predict`."""
        model = self._model(request)
        asked, answers = await self._ask(request, model, tensorflow_rest.asked_to_predict)
        return _json(tensorflow_rest.predictions(asked, answers, model))

    async def classify(self, request: Request) -> Response:
        """`POST /v1/models/NAME:classify`."""
        model = self._model(request)
        _, answers = await self._ask(request, model, tensorflow_rest.asked_to_classify)
        return _json(tensorflow_rest.classification(answers, model))

    async def regress(self, request: Request) -> Response:
        """`POST /v1/models/NAME:regress`, which a classifier has no answer to."""
        self._model(request)
        raise bad_request(
            "the model has signatures of the methods tensorflow/serving/predict and "
            "tensorflow/serving/classify, and none of tensorflow/serving/regress: ask one of these"
        )

    async def _ask(
        self, request: Request, model: ServedModel, read: QueryReader
    ) -> tuple[PhotoQuery, list[PhotoAnswer]]:
        """The photos of a request in JSON, and what they come to.

        Raises:
            RefusedError: it cannot be read, there is no place, or its only photo is bad.
        """
        limits = self._service.request
        with self._service.receiver.holding() as body:
            record = await body.json(request)
            asked: PhotoQuery = await _in_thread(read, record, limits.max_bytes, limits.queue)
            return asked, await self._answers(request, asked.photos, model)

    def _model(self, request: Request) -> ServedModel:
        """The model that an address names.

        Raises:
            RefusedError: it is another one's, or of another version, or names one by a label.
        """
        name, model = request.path_params["name"], self._service.model
        alias = request.path_params.get("alias")
        if alias is not None:
            raise bad_request(
                f"Unrecognized servable version label: {alias[:100]}; here a version is a number, "
                "and without one the newest answers"
            )
        version = request.path_params.get("version")
        if not self._service.knows(name):
            raise RefusedError(404, f"Servable not found for request: Latest({name[:100]})")
        if version is not None and version != str(model.version):
            raise RefusedError(
                404, f"Servable not found for request: Specific({name[:100]}, {version[:30]})"
            )
        return model

    async def _answers(
        self, request: Request, photos: list[SentPhoto], model: ServedModel
    ) -> list[PhotoAnswer]:
        """What the photos come to; where there is one alone and it is bad, nothing else is.

        Raises:
            RefusedError: there is no place for them, or the only one is bad.
        """
        request.scope["retrain_photos"] = len(photos)
        answers = await self._service.label(photos, model)
        if len(answers) == 1 and answers[0].error:
            raise bad_request(f"the photo cannot be used: {answers[0].error}")
        return answers

    # -- the tool's own --------------------------------------------------------------------------

    async def label(self, request: Request) -> Response:
        """`POST /label`: photos of a form, or one as the body."""
        model = self._service.model
        wanted = request.query_params.get("similar", "")
        count = min(int(wanted), 20) if wanted.isdecimal() and len(wanted) < 4 else 0
        with self._service.receiver.holding() as body:
            photos = await body.photos(request)
            request.scope["retrain_photos"] = len(photos)
            answers = await self._service.label(photos, model)
            told = [
                self._told(photo, answer, model, count)
                for photo, answer in zip(photos, answers, strict=True)
            ]
            if request.query_params.get("heatmap", "") in ("1", "true"):
                await self._add_heatmaps(told, photos, answers, model)
        bad = len(answers) == 1 and answers[0].error is not None
        head = {"name": model.title, "version": str(model.version)}
        return _json({"model": head, "photos": told}, 400 if bad else 200)

    def _told(
        self, photo: SentPhoto, answer: PhotoAnswer, model: ServedModel, similar: int
    ) -> dict[str, Any]:
        """A photo's answer, in the words of `retrain label`."""
        told: dict[str, Any] = {"path": photo.name, "labels": []}
        if answer.scores is None or answer.vector is None:
            return {**told, "error": answer.error}
        limits = self._service.request
        best = model.best(answer.scores, limits.top_k)
        if answer.novelty is not None:
            told["novelty"] = answer.novelty
        if answer.rejected:
            told |= {"rejected": answer.rejected, "best": vars(best[0])}
        else:
            told["labels"] = [vars(one) for one in best if one.score >= limits.threshold]
        if similar and model.photos is not None:
            told["similar"] = [vars(one) for one in model.photos.nearest(answer.vector, similar)]
        return told

    async def _add_heatmaps(
        self,
        told: list[dict[str, Any]],
        photos: list[SentPhoto],
        answers: list[PhotoAnswer],
        model: ServedModel,
    ) -> None:
        """Put to each answer what speaks for its best class."""
        for one, photo, answer in zip(told, photos, answers, strict=True):
            if answer.scores is not None:
                label = model.best(answer.scores, 1)[0].label
                one["heatmap"] = await self._service.heatmap(photo, label, model)

    async def correct(self, request: Request) -> Response:
        """`POST /correct?label=NAME`: a photo for the inbox; without a label, of none of them."""
        inbox = self._service.inbox
        if inbox is None:
            raise RefusedError(
                404, "this service takes no corrections: start it with `--collect DIR`"
            )
        label = request.query_params.get("label") or None
        if not inbox.knows(label):
            raise bad_request(f"there is no class {label!r:.100}: `GET /labels` lists them")
        with self._service.receiver.holding() as body:
            data = await body.raw(request, self._service.request.max_bytes)
            try:
                kept = await _in_thread(inbox.keep, data, label)
            except ImageError as error:
                raise bad_request(f"the photo cannot be used: {error}") from error
            except RetrainError as error:
                raise RefusedError(503, f"the photo cannot be kept: {error}", 60) from error
        return JSONResponse({"kept": f"{kept.parent.name}/{kept.name}"}, 201)

    async def labels(self, request: Request) -> Response:
        """`GET /labels`: what the page has to know."""
        model, limits = self._service.model, self._service.request
        told = {
            "model": model.title,
            "labels": list(model.labels),
            "none": UNNAMED,
            "corrections": self._service.inbox is not None,
            "similar": limits.similar if model.photos is not None else 0,
            "heatmaps": model.heatmaps is not None,
            "max_bytes": limits.max_bytes,
        }
        return JSONResponse(told)

    async def training_photo(self, request: Request) -> Response:
        """`GET /training-photos/ROW`: a small picture of one that a photo is like."""
        photos = self._service.model.photos
        row = request.path_params["row"]
        picture = None if photos is None else await _in_thread(photos.picture, row)
        if picture is None:
            raise RefusedError(404, "there is no such training photo")
        return Response(picture, media_type="image/jpeg")

    async def healthz(self, request: Request) -> Response:
        """`GET /healthz`: whether the process is alive."""
        return JSONResponse({"status": "ok", "version": __version__})

    async def readyz(self, request: Request) -> Response:
        """`GET /readyz`: whether new requests are welcome."""
        if not self._service.is_ready:
            raise RefusedError(503, "the service is about to end")
        return JSONResponse({"status": "ready", "model": self._service.model.title})

    async def metrics(self, request: Request) -> Response:
        """`GET /metrics`, for Prometheus."""
        text = self._service.metrics.text(self._service.in_service)
        return Response(text, headers={"content-type": CONTENT_TYPE})

    async def openapi(self, request: Request) -> Response:
        """`GET /openapi.json`."""
        return JSONResponse(openapi_document(self._service.model.name, self._service.request))

    async def page(self, request: Request) -> Response:
        """`GET /`: the page for people."""
        headers = {"content-security-policy": _PAGE_POLICY, "cache-control": "no-cache"}
        return Response(_file("page.html"), media_type="text/html", headers=headers)

    async def static(self, request: Request) -> Response:
        """`GET /static/FILE`: what belongs to the page."""
        name = request.path_params["file"]
        if name not in STATIC_FILES:
            raise RefusedError(404, "there is no such file")
        kind, headers = STATIC_FILES[name], {"cache-control": "no-cache"}
        return Response(_file(name), media_type=kind, headers=headers)


def _file(name: str) -> bytes:
    return (resources.files("retrain_cli.serving") / "page" / name).read_bytes()


def _json(value: Any, status: int = 200) -> Response:
    """Compact JSON with names as they are."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "replace"), status, media_type="application/json")


async def _in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


def _named(label: str, answer: Endpoint) -> Endpoint:
    """The same with its name noted, for the figures of the service."""

    async def named(request: Request) -> Response:
        request.scope["retrain_route"] = label
        return await answer(request)

    return named
