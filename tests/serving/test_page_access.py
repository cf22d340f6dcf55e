"""The page for everybody: names and roles as a screen reader is told them, keyboard, contrast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from browser import Visit, visit_server
from served_at_port import at_a_port

from retrain_cli.runs.run import RunStore
from retrain_cli.serving.photo_heatmaps import PhotoHeatmaps
from retrain_cli.workspace import Workspace

_NAMED = {"button", "combobox", "image", "link", "list", "textbox", "checkbox", "switch"}
"""Roles that mean nothing without a name; lists of bars and of pictures stand below a heading."""

_FOCUS = """() => {
  const one = document.activeElement, at = one.getBoundingClientRect();
  const shown = document.querySelector(`label[for="${one.id}"]`) || one;
  return [one.id || one.className || one.tagName, Math.round(at.top + scrollY),
          getComputedStyle(shown).outlineStyle];
}"""

_CONTRAST = """() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = parts(colour).map((part) => part / 255)
      .map((part) => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ground = (one) => {
    for (; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (parts(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const texts = [...document.querySelectorAll("body *")].filter((one) =>
    one.checkVisibility() && !one.closest("template, noscript, option, .unseen") &&
    [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return texts.map((one) => {
    const both = [light(getComputedStyle(one).color), light(ground(one))].sort((a, b) => b - a);
    return [one.textContent.trim().slice(0, 40), (both[0] + .05) / (both[1] + .05)];
  });
}"""


@pytest.fixture
def served(serve: Callable[..., Any], workspace: Workspace, tmp_path: Path) -> Any:
    """With everything that the page can show."""
    served = serve(collect=tmp_path / "inbox", similar=2)
    heatmaps = PhotoHeatmaps(RunStore(workspace.runs_dir).get("first"), workspace, 5.0)
    served.service.model = replace(served.service.model, heatmaps=heatmaps)
    return served


def label_two(visited: Visit, photos: Path, tmp_path: Path) -> None:
    """A good photo and a bad one."""
    page = visited.page
    (tmp_path / "note.jpg").write_text("hello")
    page.get_by_text("first: 3 classes").wait_for()
    chosen = [tmp_path / "note.jpg", photos / "ant" / "0000.png"]
    page.get_by_label("Choose photos").set_input_files(chosen)
    page.get_by_text("2 photos labelled.").wait_for()
    page.locator(".similar li").nth(1).wait_for()


def test_a_screen_reader_is_told_names_and_roles(served: Any, photos: Path, tmp_path: Path) -> None:
    with at_a_port(served.client.app) as address, visit_server(address) as visited:
        label_two(visited, photos, tmp_path)
        page = visited.page
        session = page.context.new_cdp_session(page)
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        told = [(one["role"]["value"], one.get("name", {}).get("value", ""))
                for one in nodes if not one["ignored"]]  # fmt: skip
        levels = page.locator("h1, h2, h3").evaluate_all(
            "all => all.filter(one => one.checkVisibility()).map(one => Number(one.tagName[1]))"
        )
        repeated = page.evaluate(
            "() => [...document.querySelectorAll('[id]')].map(one => one.id)"
            ".filter((id, at, all) => all.indexOf(id) !== at)"
        )
        assert page.evaluate("document.documentElement.lang") == "en"
    roles = [role for role, _ in told]
    assert [one for one in told if one[0] in _NAMED - {"list"} and not one[1]] == []
    assert ("list", "Labelled photos") in told
    assert ("button", "Heatmap") in told
    assert ("combobox", "Is it something else?") in told
    for landmark in ("banner", "main", "RootWebArea"):
        assert roles.count(landmark) == 1, landmark
    assert ("RootWebArea", "retrain: label photos") in told
    assert levels[0] == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))
    assert repeated == []


def test_the_keyboard_goes_from_top_to_bottom_and_is_seen(
    served: Any, photos: Path, tmp_path: Path
) -> None:
    with at_a_port(served.client.app) as address, visit_server(address) as visited:
        label_two(visited, photos, tmp_path)
        page = visited.page
        page.evaluate("document.activeElement.blur()")
        places = []
        for _ in range(5):
            page.keyboard.press("Tab")
            places.append(page.evaluate(_FOCUS))
    names, tops, outlines = zip(*places, strict=True)
    assert names == ("files", "camera", "switch", "SELECT", "BUTTON")
    assert list(tops) == sorted(tops)
    assert set(outlines) == {"solid"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_and_targets_are_large(
    served: Any, photos: Path, tmp_path: Path, scheme: str
) -> None:
    """A contrast of 4.5 and targets of 44 pixels: WCAG 2.2, 1.4.3 (AA) and 2.5.5 (AAA)."""
    with at_a_port(served.client.app) as address, visit_server(address, 390, scheme) as visited:
        label_two(visited, photos, tmp_path)
        page = visited.page
        contrasts = page.evaluate(_CONTRAST)
        heights = page.locator("button:visible, select:visible, .button:visible").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().height)"
        )
    assert len(contrasts) > 10
    assert [one for one in contrasts if one[1] < 4.5] == []
    assert len(heights) >= 5
    assert min(heights) >= 44
