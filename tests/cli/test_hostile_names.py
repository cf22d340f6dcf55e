"""Names from the disk that try to be more than names: no view lets them."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import ROOT, forget_standard_error
from helpers import SMALL_SPEC, FakeBackbone, make_photos
from rich.console import Console

from retrain_cli.cells import csv_cell, tsv_cell
from retrain_cli.cli import console
from retrain_cli.cli.main import exit_codes, hoist_global_options

PLAIN = ("--backbone", "mobilenet", "--weights", "random", "--input-size", "32")
SETTLED = (*PLAIN, "--precision", "float32", "--runtime", "keras")
OSC, RED, C1 = "a\x1b]0;owned\x07", "[red]b[bold]", "=c\x9b31m"
FORGED = "d\t0.99\nforged\t1"
STRAY = "[\udcff"
SOME = {OSC: 12, RED: 12, C1: 12, FORGED: 12, STRAY: 12}

VIEWS: list[list[str]] = [
    ["bottlenecks", "photos", *SETTLED],
    ["bottlenecks", "photos", *SETTLED, "--plan"],
    ["eval"],
    ["eval", "--full"],
    ["eval", "--confusion"],
    ["eval", "--misclassified", "--split", "all"],
    ["eval", "--confused", "--split", "all"],
    ["eval", "--coverage"],
    ["eval", "--run", "two", "--full"],
    ["label", "photos"],
    ["label", "nothing\x1b[31m.png", "photos"],
    ["similar", f"photos/{RED}/0000.png", f"photos/{STRAY}/0000.png"],
    ["similar", f"photos/{FORGED}/0000.png"],
    ["classes"],
    ["check", "--no-labels"],
    ["compare", "run", "other"],
    ["compare", "run", "other", "--flips"],
    ["runs"],
    ["runs", "show"],
    ["runs", "show", "two"],
    ["cache", "info"],
    ["cache", "verify"],
    ["report", "--map", "none", "-o", "page.html"],
    ["report", "two", "--map", "none", "--md", f"{OSC}.md"],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from retrain_cli.extraction.pipeline import ExtractionSettings
    from retrain_cli.heads.config import TrainingConfig
    from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
    from retrain_cli.workflows.train import TrainRequest, train_run
    from retrain_cli.workspace import Workspace

    root = tmp_path_factory.mktemp("hostile")
    photos = make_photos(root / "photos", SOME, seed=4)
    (photos / RED / "bad\x1b[2J.png").write_bytes(b"no image")
    (photos / C1 / "0000.png").rename(photos / C1 / "@x\x1b[31m\tz.png")
    for path in sorted((photos / OSC).iterdir())[:5]:  # mistakes
        path.rename(photos / STRAY / f"moved-{path.name}")
    workspace = Workspace(root / ".retrain")
    fill_cache(
        BottleneckRequest(photos, SMALL_SPEC, settings=ExtractionSettings(8, 2)),
        workspace,
        load=lambda spec, device: FakeBackbone(),
    )
    config = TrainingConfig(optimizer="lbfgs", steps=4, testing_percentage=40)
    for name, changed in (("run", {}), ("other", {"l2": 1.0}), ("two", {"classes": (OSC, RED)})):
        settings = TrainingConfig(**{**vars(config), **changed})
        train_run(TrainRequest(settings, name=name), workspace)
    return root


@pytest.fixture
def show(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    monkeypatch.chdir(folder)

    def run(arguments: list[str], *, terminal: bool) -> str:
        forget_standard_error()
        monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
        screen = Console(file=sys.stdout, force_terminal=True, width=80, color_system="standard")
        monkeypatch.setattr(console, "_terminal", lambda: screen)
        with pytest.raises(SystemExit) as left, exit_codes():
            ROOT(args=hoist_global_options(arguments), prog_name="retrain")
        console.flush()
        out, err = capfd.readouterr()
        assert left.value.code in (0, None), err
        return out + err if terminal else out

    yield run
    console.configure(quiet=False, verbose=False)
    forget_standard_error()


@pytest.mark.parametrize("view", VIEWS, ids=" ".join)
def test_a_terminal_is_told_nothing_but_text(view: list[str], show: Callable[..., str]) -> None:
    shown = re.sub(r"\x1b\[[0-9;]*m", "", show(view, terminal=True))
    commanding = [c for c in shown if c != "\n" and not c.isprintable()]
    assert not commanding, shown
    assert not [line for line in shown.splitlines() if line.startswith("forged")], shown


@pytest.mark.parametrize("view", VIEWS, ids=" ".join)
def test_markup_in_a_name_is_a_name(view: list[str], show: Callable[..., str]) -> None:
    shown = re.sub(r"\x1b\[[0-9;]*m", "", show(view, terminal=True))
    assert shown.count("[red]") == shown.count("[bold]") == shown.count(RED)


@pytest.mark.parametrize(
    ("view", "columns"),
    [
        (["eval", "--misclassified", "--split", "all"], 4),
        (["eval", "--confused", "--split", "all"], None),
        (["compare", "run", "other", "--flips"], 4),
        (["similar", f"photos/{FORGED}/0000.png"], 3),
        (["similar", f"photos/{FORGED}/0000.png", f"photos/{RED}/0000.png"], 4),
    ],
)
def test_no_row_of_a_pipe_can_be_forged(
    view: list[str], columns: int | None, show: Callable[..., str]
) -> None:
    rows = show(view, terminal=False).splitlines()
    widths = {row.count("\t") + 1 for row in rows}
    assert widths <= {columns or next(iter(widths), 0)}
    assert not [row for row in rows if row.startswith("forged")]


@pytest.mark.parametrize(
    "view",
    [
        ["eval", "--misclassified", "--split", "all", "--csv"],
        ["eval", "--confusion", "--csv"],
        ["eval", "--csv"],
        ["label", "photos", "--csv"],
        ["compare", "run", "other", "--csv"],
    ],
    ids=" ".join,
)
def test_no_cell_of_csv_is_a_formula(view: list[str], show: Callable[..., str]) -> None:
    rows = [*csv.reader(io.StringIO(show(view, terminal=False)))]
    assert rows
    for cell in (cell for row in rows for cell in row):
        assert not cell.startswith(("=", "+", "@", "\t")), cell
        assert not cell.startswith("-") or re.fullmatch(r"-[\d.,e+-]+%?", cell), cell


@pytest.mark.parametrize("cell", ["=1+1", "+1x", "-", "@x", "\t=1", "'", "'=1", "--1", "-1+cmd"])
def test_a_formula_is_told_apart_and_can_be_had_back(cell: str) -> None:
    assert csv_cell(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "ant", "-0.5", "+3", "1e-05", "-1.5e-07", "-11.0%", "a=b"])
def test_texts_and_numbers_stay(cell: str) -> None:
    assert csv_cell(cell) == cell


def test_a_cell_of_a_pipe_can_be_had_back() -> None:
    name = "a\tb\nc\r\\t d\x1b\udcff"
    shown = tsv_cell(name)
    assert "\t" not in shown
    assert "\n" not in shown
    meant = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\\\": "\\"}
    back = re.sub(r"\\[\\tnr]", lambda found: meant[found[0]], shown)
    assert back == name


def test_json_keeps_every_name(show: Callable[..., str]) -> None:
    rows = [
        json.loads(line)
        for line in show(
            ["label", "photos", "--run", "run", "-k", "5", "--json"], terminal=False
        ).splitlines()
    ]
    assert {RED, OSC, FORGED} <= {label["label"] for row in rows for label in row["labels"]}
