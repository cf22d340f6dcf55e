"""The page at / in a real Chromium: labels, corrections, narrow screens, keyboard, names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import is_within_its_width, keep_picture, visit_server
from served_at_port import at_a_port


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_photos_are_labelled_and_corrected(
    serve: Callable[..., Any], photos: Path, tmp_path: Path, width: int, scheme: str
) -> None:
    served = serve(collect=tmp_path / "inbox", similar=2)
    note = tmp_path / "note.jpg"
    note.write_text("hello")
    with at_a_port(served.client.app) as address, visit_server(address, width, scheme) as visited:
        page = visited.page
        page.get_by_text("first: 3 classes").wait_for()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "files"
        some = [photos / "bee" / "0000.png", photos / "ant" / "0000.png", note]
        page.get_by_label("Choose photos").set_input_files(some)
        page.get_by_text("3 photos labelled.").wait_for()
        assert page.get_by_role("heading", level=2).all_inner_texts() == [
            "not an image (looks like text)", "ant", "bee"
        ]  # fmt: skip
        ant = page.get_by_role("listitem").filter(has=page.get_by_alt_text("0000.png")).first
        assert ant.locator(".bars li").count() == 3
        ant.locator(".similar li").nth(1).wait_for()
        choice = ant.get_by_label("Is it something else?")
        assert choice.input_value() == "ant"
        choice.select_option("bee")
        ant.get_by_role("button", name="Keep it as that").press("Enter")
        ant.get_by_text("Kept for the next training, as bee.").wait_for()
        assert is_within_its_width(page)
        unnamed = """[...document.querySelectorAll("#photos img")].filter((one) => !one.alt)"""
        assert page.evaluate(f"{unnamed}.length") == 0
        keep_picture(page, f"serve-{width}-{scheme}.png")
    kept = [path for path in (tmp_path / "inbox").rglob("*") if path.is_file()]
    assert [path.parent.name for path in kept] == ["bee"]
    assert kept[0].read_bytes() == (photos / "ant" / "0000.png").read_bytes()


def test_with_a_key_it_asks_for_that(serve: Callable[..., Any], photos: Path) -> None:
    served = serve(api_key="secret")
    with at_a_port(served.client.app) as address, visit_server(address) as visited:
        page = visited.page
        page.get_by_label("This service wants its key").fill("secret")
        page.get_by_role("button", name="Use it").click()
        page.get_by_text("first: 3 classes").wait_for()
        page.get_by_label("Choose photos").set_input_files(photos / "bee" / "0000.png")
        page.get_by_role("heading", name="bee").wait_for()
