"""One of each is added where CONTRIBUTING.md says, and is found from there.

A metric is added in `tests/workflows/test_figures.py`, a study in
`tests/studies/test_catalogue.py`.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from helpers import PROJECT
from typer.testing import CliRunner

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.table import KERAS_BACKBONES
from retrain_cli.cli import console, main
from retrain_cli.cli.commands import COMMANDS, CommandEntry
from retrain_cli.errors import ConfigError
from retrain_cli.exporting import vectors
from retrain_cli.exporting.vectors import ExportRows, export_bottlenecks, formats_in_words

runner = CliRunner()


def test_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def toy() -> None:
        """Do what toys do."""
        console.line("played")

    module: Any = ModuleType("retrain_cli.cli.commands.toy")
    module.toy = toy
    monkeypatch.setitem(sys.modules, module.__name__, module)
    entry = CommandEntry("The main job", "toy:toy", "Do what toys do.")
    monkeypatch.setattr(main, "COMMANDS", {"toy": entry, **COMMANDS})
    assert "Do what toys do." in runner.invoke(main.app, ["--help"]).output
    assert runner.invoke(main.app, ["toy"]).output == "played\n"


def test_every_command_is_in_the_list() -> None:
    folder = PROJECT / "retrain_cli/cli/commands"
    files = {
        ".".join(path.relative_to(folder).with_suffix("").parts)
        for path in folder.rglob("[a-z]*.py")
    }
    assert {entry.place.partition(":")[0] for entry in COMMANDS.values()} == files


def test_an_export_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(rows: ExportRows, path: Path) -> None:
        path.write_text(f"{len(rows)} rows")

    rows = ExportRows(
        ["a"], ["b"], ["test"], [b"0" * 16], lambda found: np.zeros((1, 2), np.float32), 2
    )
    with pytest.raises(ConfigError, match=r"\.parquet, \.npz, \.csv"):
        export_bottlenecks(rows, tmp_path / "out.toy")
    monkeypatch.setattr(vectors, "FORMATS", {**vectors.FORMATS, ".toy": write})
    export_bottlenecks(rows, tmp_path / "out.toy")
    assert (tmp_path / "out.toy").read_text() == "1 rows"
    assert formats_in_words() == ".parquet, .npz, .csv or .toy"


def test_a_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = replace(KERAS_BACKBONES["mobilenet"], name="toy", input_size=96)
    monkeypatch.setitem(KERAS_BACKBONES, "toy", toy)
    assert BackboneSpec("toy").resolve().input_size == 96
    assert BackboneSpec("toy").fingerprint() != BackboneSpec("mobilenet").fingerprint()
    assert "toy" in runner.invoke(main.app, ["doctor", "--backbones"]).output
