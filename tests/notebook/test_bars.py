"""Bars are drawn in a notebook, and nowhere else."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from retrain_cli.notebook.bars import Done, NotebookBar, bar_of, counted, notebook_shell


class Cell:
    """An output of a cell that a bar writes to."""

    def __init__(self, shown: list[dict[str, str]]) -> None:
        self._shown = shown

    def update(self, bundle: dict[str, str], raw: bool) -> None:
        self._shown[-1] = bundle


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What a notebook would show, an entry an output."""
    shown: list[dict[str, str]] = []

    def display(bundle: dict[str, str], raw: bool, display_id: bool) -> Cell:
        shown.append(bundle)
        return Cell(shown)

    shell = SimpleNamespace(kernel=object(), execution_count=1)
    for name, content in {
        "IPython": {"get_ipython": lambda: shell},
        "IPython.display": {"display": display},
    }.items():
        module: Any = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return shown


def test_one_bar_that_ends_full(shown: list[dict[str, str]]) -> None:
    bar = counted("photos")
    for done in range(101):
        bar(done, 100)
    assert len(shown) == 1
    assert shown[0]["text/plain"].startswith("photos: 100 of 100")
    assert 'value="100" max="100"' in shown[0]["text/html"]


def test_the_next_work_has_a_bar_of_its_own(shown: list[dict[str, str]]) -> None:
    bar = counted("photos")
    for total in (10, 20):
        for done in range(total + 1):
            bar(done, total)
    assert [one["text/plain"].split(",")[0] for one in shown] == [
        "photos: 10 of 10",
        "photos: 20 of 20",
    ]


def test_a_terminal_and_a_script_have_none(
    shown: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = SimpleNamespace(execution_count=1)
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: terminal)
    counted("photos")(1, 1)
    monkeypatch.delitem(sys.modules, "IPython")
    counted("photos")(1, 1)
    assert notebook_shell() is None
    assert shown == []


def test_words_are_text_and_no_markup() -> None:
    bundle = bar_of("<b>", Done(1, 2, "<i>"), 3.0)
    assert "<b>" not in bundle["text/html"] and "<i>" not in bundle["text/html"]
    assert bundle["text/plain"] == "<b>: 1 of 2, <i>, 3 s"


def test_what_is_not_counted_has_a_bar_without_an_end(shown: list[dict[str, str]]) -> None:
    bar: NotebookBar[str] = NotebookBar("check", lambda words: Done(0, 0, words))
    bar("comparing the photos")
    assert "<progress style" in shown[0]["text/html"]
