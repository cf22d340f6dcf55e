"""Hundreds of hostile requests through a real socket: no crash, no status of 500."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from helpers import LIMIT, load_tool, wait_for
from served_at_port import at_a_port


@pytest.mark.parametrize("seed", [0, 1])
def test_hostile_requests(serve: Any, seed: int) -> None:
    tool = load_tool("hostile_requests")
    attacks = tool.Attacks(tool.good_photo(), seed)
    served = serve(receive_timeout=5.0)
    with at_a_port(served.client.app) as address:
        where = (urlsplit(address).hostname, urlsplit(address).port)
        requests = [attacks.draw() for _ in range(200)]
        with ThreadPoolExecutor(8) as threads:
            found = set(threads.map(lambda one: tool.send(*where, one, 0.3), requests))
        good = tool.request("/label", tool.good_photo(), "image/jpeg")
        assert tool.send(*where, good, LIMIT) == 200
        wait_for(lambda: served.service.in_service == 0, "the places of all photos")
        wait_for(lambda: served.service.receiver.held == 0, "the memory of all bodies")
    assert {status for status in found if status >= 500} == set()
    assert found & {400, 404, 405}
    assert not [line for line in served.log if line.split()[4].startswith("5")]
