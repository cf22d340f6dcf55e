"""Tables at any width: each cell is there as a whole, and what was left out is named."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from table_checks import check_cells

from retrain_cli.cli import console
from retrain_cli.cli.tables import LaidOut, Table, lay_out
from retrain_cli.cli.views.eval_classes import _better
from retrain_cli.reports.text import printable

names = st.text("abcé猫 _-", min_size=1, max_size=60).map(lambda text: f"x{text}x")
numbers = st.sampled_from(["0", "100.0%", "58.0-85.0%", "+11.0", "-23.6 to +23.6", "1,234,567"])


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A table of names and numbers, with everything that a table can say of its columns."""
    n = draw(st.integers(1, 8))
    columns = draw(st.lists(names, min_size=n, max_size=n, unique=True))
    is_name = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    kinds = [names if name else numbers for name in is_name]
    rows = draw(st.lists(st.tuples(*kinds), min_size=1, max_size=4))
    return Table(
        columns,
        rows,
        right=[index for index in range(n) if not is_name[index]],
        short=draw(st.dictionaries(st.integers(0, n - 1), st.just("short"))),
        spare=draw(st.lists(st.integers(1, n - 1), unique=True)) if n > 1 else (),
        alike=draw(st.booleans()),
        prose=draw(st.sets(st.integers(0, n - 1))),
    )


@given(table=tables(), width=st.sampled_from([40, 60, 80, 140]))
def test_no_cell_is_cut(table: Table, width: int) -> None:
    check_cells(table, width)


def text_of(laid_out: LaidOut) -> list[str]:
    return [one.text for one in laid_out.lines]


def test_a_column_that_is_left_out_is_named() -> None:
    table = Table(("class", "n", "matched"), [["c" * 30, "1", "m" * 30]], spare=(2,))
    assert lay_out(table, 80).left_out == ()
    laid_out = lay_out(table, 60)
    assert laid_out.left_out == ("matched",)
    assert "m" not in " ".join(text_of(laid_out)[1:])


def test_short_headings_come_before_anything_is_left_out() -> None:
    table = Table(("class", "validation"), [["c" * 30, "1"]], short={1: "val"}, spare=(1,))
    assert text_of(lay_out(table, 36))[0].split() == ["class", "val"]
    assert lay_out(table, 36).left_out == ()


def test_a_long_name_stands_above_its_numbers() -> None:
    table = Table(("class", "images", "top-1"), [["c" * 60, "12", "50.0%"]], right=(1, 2))
    assert text_of(lay_out(table, 62)) == [
        "class",
        "    images  top-1",
        "    ─────────────",
        "c" * 60,
        "        12  50.0%",
    ]


def test_a_long_value_stands_below_its_row_with_its_heading() -> None:
    table = Table(("n", "path"), [["1", "p" * 90], ["2", "q"]])
    assert text_of(lay_out(table, 80)) == [
        "n",
        "─",
        "1",
        f"    path: {'p' * 90}",
        "2",
        "    path: q",
    ]


def test_columns_that_are_alike_stand_in_several_tables() -> None:
    table = Table(("", *"abcdef"), [["row", *["12345678"] * 6]], right=range(1, 7), alike=True)
    lines = text_of(lay_out(table, 40))
    assert [line.split() for line in lines if line.startswith(" ")] == [["a", "b", "c"], [*"def"]]
    assert max(map(cell_len, lines)) <= 40


def test_sentences_are_broken_between_words() -> None:
    table = Table(("path", "reason"), [["a.jpg", "word " * 20 + "end"]], prose=(1,))
    lines = text_of(lay_out(table, 40))
    assert max(map(cell_len, lines)) <= 40
    assert " ".join(" ".join(lines[2:]).split()) == "a.jpg " + "word " * 20 + "end"


def test_control_characters_of_cells_headings_and_titles_are_shown() -> None:
    table = Table(("a\x1b[2J", "b"), [["x\ny", "z"]], title="t\x07", short={1: "\r"})
    for width in (None, 80, 4):
        shown = "".join(text_of(lay_out(table, width)))
        assert shown == printable(shown)


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_terminal_shows_what_was_laid_out(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    screen = Console(width=width, file=shown, force_terminal=True, color_system=None)
    monkeypatch.setattr(console, "_stdout", lambda: screen)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    table = Table(("猫" * 20, "[bold]n[/]"), [["犬" * 50, "1"], ["p" * 200, "2"]])
    console.table(table)
    assert shown.getvalue().splitlines() == text_of(lay_out(table, width))


def test_a_note_says_what_was_left_out_and_how_to_see_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notes: list[str] = []
    monkeypatch.setattr(console, "note", notes.append)
    monkeypatch.setattr(console, "_stdout", lambda: Console(width=40, file=io.StringIO()))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    console.table(Table(("a", "b"), [["x" * 30, "y" * 30]], spare=(1,), more="--csv has all"))
    assert notes == ["left out for want of width: b: --csv has all"]


def test_a_terminal_shows_the_first_rows_of_a_long_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = Table(("class",), [[f"class {number}"] for number in range(1203)])
    console.rows_for_programs(content, "text")
    assert len(capsys.readouterr().out.splitlines()) == 1203, "a pipe takes all"
    shown, notes = io.StringIO(), list[str]()
    monkeypatch.setattr(console, "note", notes.append)
    monkeypatch.setattr(console, "_stdout", lambda: Console(width=40, file=shown))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    console.rows_for_programs(content, "text")
    assert shown.getvalue().count("class ") == 200
    assert notes == ["and 1,003 more: --csv prints all"]


@pytest.mark.parametrize(("count", "said"), [(1, "1 better class"), (1200, "1,200 better classes")])
def test_one_class_is_no_classes(count: int, said: str) -> None:
    assert _better(count) == said
