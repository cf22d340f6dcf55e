"""A real Chromium for tests, without window, network or traces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from retrain_cli.errors import ReportError
from retrain_cli.reports.pdf import browser_flags, find_browser


def browser_or_skip() -> str:
    """The browser; where there is none tests skip, but not under CI."""
    try:
        return find_browser()
    except ReportError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@dataclass
class Visit:
    """An opened page, and everything that it said or asked for meanwhile."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@contextmanager
def opened(address: str, width: int, scheme: Any) -> Iterator[Visit]:
    """Open a page, and note what it says and asks for."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_or_skip(), args=browser_flags()
        )
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        visited = Visit(page)
        page.on("console", lambda message: visited.said.append(message.text))
        page.on("pageerror", lambda error: visited.said.append(str(error)))
        page.on("request", lambda request: visited.asked.append(request.url))
        page.goto(address)
        yield visited
        browser.close()


@contextmanager
def visit(path: Path, width: int = 1280, scheme: Any = "light") -> Iterator[Visit]:
    """Open a page; fails at the end where it had an error or wanted anything from elsewhere."""
    with opened(path.absolute().as_uri(), width, scheme) as visited:
        yield visited
    assert visited.said == []
    assert [url for url in visited.asked if not url.startswith("data:")] == [
        path.absolute().as_uri()
    ]


@contextmanager
def visit_server(address: str, width: int = 390, scheme: Any = "light") -> Iterator[Visit]:
    """Open a page; fails where it has an error, or wants anything from another server."""
    with opened(address, width, scheme) as visited:
        yield visited
    # A browser notes each refusal by itself, such as of a bad photo.
    assert [one for one in visited.said if "Failed to load resource" not in one] == []
    foreign = [one for one in visited.asked if not one.startswith((address, "data:", "blob:"))]
    assert foreign == []


def is_within_its_width(page: Any) -> bool:
    """Whether nobody has to scroll to the side."""
    root = "document.documentElement"
    return bool(page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"))


def keep_picture(page: Any, name: str) -> None:
    """For whoever wants to see it: a picture of the page in the folder RETRAIN_PICTURES."""
    if folder := os.environ.get("RETRAIN_PICTURES"):
        page.screenshot(path=str(Path(folder) / name), full_page=True)
