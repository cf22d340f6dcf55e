"""`retrain serve [RUN]`."""

from __future__ import annotations

from typing import Annotated

import typer

from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.options import Described
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.serving.serve_request import ServeRequest

_OPEN_TO_ALL = (
    "everybody who reaches {address} can have photos labelled{more}, for there is no key: set "
    "RETRAIN_API_KEY, or listen at 127.0.0.1"
)


@command
def serve(
    ctx: typer.Context,
    request: Annotated[
        ServeRequest,
        Fields(
            run=Described("Run to serve (default: latest).", is_argument=True, and_option=True),
            host="Address to listen at; 0.0.0.0 lets other machines in.",
            port="Port to listen at; 0 for one that is free.",
            model="Serve this file of `export` in place of a run.",
            bundle="Serve this file of `bundle` in place of a run.",
            trust_model="Let a SavedModel that was exported elsewhere run: it is a program.",
            name="What the model is called in its address (default: the run's name, or the "
            "file's); `default` works, too.",
            threshold="Leave out labels with a lower score.",
            reject="Leave photos unnamed that look like none of the classes, or unsure.",
            max_error="With --reject: the share of the named that may be wrong.",
            top_k=Described("Labels a photo.", "-k"),
            similar="Most similar training photos that the page shows.",
            collect="Folder that photos go to whose label somebody corrects on the page, by class.",
            reload="Let a newer run of that name take over, without losing a request.",
            api_key="What each request has to show. On a command line others can read it: set "
            "RETRAIN_API_KEY instead.",
            queue="Photos that wait or are worked on, at most; more are refused (429).",
            batch_wait=Described(
                "On a GPU: how long a photo waits for others to be computed with.",
                metavar="MILLISECONDS",
            ),
            max_bytes="Bytes of a photo, at most.",
            max_pixels="Pixels of a photo, at most.",
            receive_timeout=Described(
                "Time within which a request must have arrived.", metavar="SECONDS"
            ),
        ),
    ],
) -> None:
    """Label photos over HTTP, as TensorFlow Serving does, with a page for people at /.

    POST a photo to /label, or {"instances": [{"b64": ...}]} to /v1/models/NAME:predict;
    /openapi.json has the rest. Ctrl-C or SIGTERM ends it once what it took is answered.
    """
    from retrain_cli.engine import quiet_engine
    from retrain_cli.serving.server import (
        address_of,
        check_installed,
        is_local,
        listen,
        run_service,
    )

    check_installed()
    from retrain_cli.serving.application import make_application
    from retrain_cli.serving.service import Service

    with listen(request.host, request.port) as listening, quiet_engine():
        address = address_of(listening)
        if not is_local(listening) and request.api_key is None:
            more = " and put photos into the inbox" if request.collect else ""
            console.warn(_OPEN_TO_ALL.format(address=address, more=more))
        with console.progress("loading"):
            service = Service(request, workspace_of(ctx))
        model = service.model
        app = make_application(service, console.log_request, console.warn)

        def say() -> None:
            console.line(address)
            console.flush()
            console.note(
                f"{model.title} ({len(model.labels)} classes) is served at {address}; it was "
                f"loaded in {model.seconds:.1f} s. The page is at {address}/, "
                f"{address}/v1/models/{model.name}:predict is as of TensorFlow Serving"
            )

        run_service(app, service, listening, say, console.note)
        console.note("the service has ended; what it took was answered")
