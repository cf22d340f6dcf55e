"""An application at a port of this machine, for clients that need one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from helpers import wait_for

from retrain_cli.serving.server import address_of, listen


@contextmanager
def at_a_port(app: Any) -> Iterator[str]:
    """Where the application answers."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
    with listen("127.0.0.1", 0) as listening:
        address = address_of(listening)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
        thread.start()
        try:
            wait_for(lambda: server.started, "the server")
            yield address
        finally:
            server.should_exit = True
            thread.join()
