"""The service as an ASGI application, which any server of that kind can run."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from retrain_cli.serving.access import Access, Log
from retrain_cli.serving.routes import Routes
from retrain_cli.serving.service import Service


def make_application(service: Service, log: Log, on_fault: Log) -> ASGIApp:
    """The application of a service.

    Args:
        service: what answers.
        log: is told of each request in one line.
        on_fault: is told of faults of ours in one line.
    """
    router = Router(Routes(service).all(), redirect_slashes=False, default=_not_found)
    return Access(_WithErrors(router), service.request.api_key, service.metrics, log, on_fault)


class _WithErrors:
    """Starlette's own refusals, such as of a method, in the words of all others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self  # so that Starlette raises a refusal, in place of sending plain text
        try:
            await self._app(scope, receive, send)
        except HTTPException as error:
            response: Response = JSONResponse(
                {"error": f"{error.detail}"}, error.status_code, headers=dict(error.headers or {})
            )
            await response(scope, receive, send)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        await send({"type": "websocket.close"})
        return
    path = Request(scope).url.path[:200]
    message = f"there is nothing at {path}: `GET /openapi.json` lists what is"
    await JSONResponse({"error": message}, 404)(scope, receive, send)
