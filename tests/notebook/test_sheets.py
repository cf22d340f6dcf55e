"""What a notebook shows of a result: escaped, small, and readable on any ground."""

from __future__ import annotations

from retrain_cli.notebook.sheets import MOST_ROWS, Grid, cell_text, sheet


def test_names_are_text_and_no_markup() -> None:
    page = sheet("<b>run</b>", "a & b", Grid(("<i>",), [["<script>alert(1)</script>"]], "<u>"))
    assert "<script" not in page and "<i>" not in page and "<u>" not in page
    assert "&lt;script&gt;" in page and "a &amp; b" in page


def test_a_long_table_says_how_much_is_left_out() -> None:
    page = sheet("runs", Grid(("name", "photos"), [[f"run {i}", i] for i in range(1000)]))
    assert page.count("<tr>") == MOST_ROWS + 1
    assert f"and {1000 - MOST_ROWS:,} more</p>" in page
    assert len(page) < 10_000


def test_a_sheet_asks_for_nothing_and_takes_the_colours_of_its_page() -> None:
    page = sheet("run", Grid(("class", "top-1"), [["ant", 0.5]], bars=True))
    assert "http" not in page and "<script" not in page and "prefers-color-scheme" not in page
    assert "color:inherit" in page
    assert "width:3.00em" in page


def test_cells_read_as_they_are_meant() -> None:
    cells = [None, True, 1234, 0.567, "INT"]
    assert [cell_text(one) for one in cells] == ["n/a", "yes", "1,234", "56.7%", "INT"]


def test_an_empty_table_is_left_out() -> None:
    assert "<table" not in sheet("check", Grid(("a",), []))
