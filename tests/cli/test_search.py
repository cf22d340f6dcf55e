"""`retrain search` as it is typed, and what it prints."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from commands import EVERY, ROOT, parameters
from rich.cells import cell_len

from retrain_cli.cli import console
from retrain_cli.cli.axis_options import METAVAR
from retrain_cli.cli.main import exit_codes
from retrain_cli.cli.tables import lay_out
from retrain_cli.cli.views.tuning.search import _table
from retrain_cli.errors import ConfigError
from retrain_cli.flags import flag_of
from retrain_cli.runs.run import RunStore
from retrain_cli.studies.search.axes import searchable
from retrain_cli.workflows.tuning.search import search
from retrain_cli.workflows.tuning.search_request import SearchRequest
from retrain_cli.workspace import Workspace

GRID = "--optimizer lbfgs,ridge --l2 0.001,0.01,0.1 --steps 20 --hidden none,8"
SPLIT = "--testing-percentage 25 --validation-percentage 25"
QUICK = ["search", *GRID.split(), *SPLIT.split(), "--workers", "1"]


@pytest.fixture
def say(
    photos: Path, fill: Any, workspace: Workspace, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Any:  # fmt: skip
    fill(photos)
    notes: list[str] = []
    errors: list[str] = []
    monkeypatch.setattr(console, "note", notes.append)
    monkeypatch.setattr(console, "warn", notes.append)
    monkeypatch.setattr(console, "error", errors.append)

    def run(*arguments: str) -> tuple[int, str, list[str]]:
        notes.clear()
        errors.clear()
        code = 0
        try:
            with exit_codes():
                words = ["--workspace", str(workspace.root), *arguments]
                ROOT(args=words, prog_name="retrain", standalone_mode=False)
        except SystemExit as left:
            code = int(str(left.code))
        return code, capsys.readouterr().out, [*notes, *errors]

    return run


def test_each_setting_has_an_option_that_takes_values() -> None:
    options = parameters(EVERY["search"])
    for name in searchable():
        assert options[name].opts == [flag_of(name)]
        assert options[name].metavar == METAVAR
        assert options[name].default is None


def test_a_table_in_a_pipe(say: Any, workspace: Workspace) -> None:
    code, out, notes = say(*QUICK, "--name", "the best")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("search: 6 trials (steps 20, hidden none), judged by ")
    assert "ranked by log loss (of equals: top-1)" in lines[0]
    assert lines[1].split() == ["optimizer", "l2", "log", "loss", "top-1", "seconds"]
    losses = [float(line.split()[3]) for line in lines[2:8]]
    assert losses == sorted(losses)
    assert lines[8].startswith("run the best: ")
    assert "left out 6 combination(s) that `train` refuses" in notes
    assert any("looks better on the photos that chose it" in note for note in notes)
    assert notes[-1] == "next: retrain eval --run 'the best'"
    run = RunStore(workspace.runs_dir).get("the best")
    assert run.provenance.commands(run.name, calibrated=False)


def test_csv_and_json_hold_every_trial(say: Any) -> None:
    code, out, _ = say(*QUICK, "--json")
    told = json.loads(out)
    assert code == 0
    assert told["left_out"] == {"senseless": 6, "alike": 0}
    assert told["varied"] == ["steps", "optimizer", "l2", "hidden"]
    assert told["trials"][0] == told["best"]
    code, out, _ = say(*QUICK, "--csv")
    columns = next(csv.reader(io.StringIO(out)))
    assert len({*columns}) == len(columns)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert (code, len(rows)) == (0, 6)
    assert [row["rank"] for row in rows] == [str(n) for n in range(1, 7)]
    for row, one in zip(rows, told["trials"], strict=True):
        assert row["optimizer"] == one["values"]["optimizer"]
        assert row["hidden"] == "none"
        assert float(row["log_loss"]) == pytest.approx(one["log_loss"], rel=1e-4)


def test_the_best_ten_or_all(say: Any) -> None:
    many = [*QUICK, "--l2", ",".join(str(n / 1000) for n in range(1, 8))]
    _, out, notes = say(*many)
    assert len(out.splitlines()) == 1 + 1 + 10 + 1
    assert "4 more: --all" in notes
    _, out, notes = say(*many, "--all")
    assert len(out.splitlines()) == 1 + 1 + 14 + 1


def test_a_plan_and_a_picture(say: Any, workspace: Workspace, tmp_path: Path) -> None:
    code, out, _ = say(*QUICK, "--plan")
    assert code == 0
    assert ["trials", "6"] in [line.split() for line in out.splitlines()]
    assert not RunStore(workspace.runs_dir).list()
    code, _, notes = say(*QUICK, "--plot", str(tmp_path / "a.svg"))
    assert code == 0
    assert f"wrote {tmp_path / 'a.svg'}" in notes
    text = (tmp_path / "a.svg").read_text()
    assert all(word in text for word in ("optimizer", "lbfgs", "log loss", "the best"))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--learning-rate", "x"], 2, "--learning-rate takes numbers such as 0.001,0.01"),
        (["--learning-rate", "0.1..0.2"], 2, "or add --random 40"),
        (["--learning-rate", "0"], 2, "--learning-rate must be a number above 0"),
        (["--optimizer", "adam,rigde"], 2, "did you mean ridge?"),
        (["--hidden", "8", "--optimizer", "ridge"], 2, "--hidden, --dropout and --head cosine"),
        (["--epochs", "3", "--steps", "3"], 2, "--epochs and --steps say the same"),
        (["--factor", "2"], 2, "--factor goes with --halving"),
        (["--cv", "1"], 2, "--cv must be at least 2"),
        (["--plot", "a.gif"], 2, "--plot takes a file ending in .png"),
        (["--json", "--csv"], 2, "choose one of"),
        (["--backbone", "vgg16"], 3, "knows none of vgg16"),
        (["--validation-percentage", "0"], 3, "--validation-percentage, or add --cv 5"),
        (["--name", "a/b"], 3, "name"),
    ],
)
def test_bad_input_is_one_clear_line(
    say: Any, arguments: list[str], code: int, said: str, workspace: Workspace
) -> None:
    left, out, told = say("search", *arguments)
    assert (left, out) == (code, "")
    assert said in told[-1]
    assert "\n" not in told[-1]
    assert not workspace.studies_dir.exists()


def test_values_of_a_file_of_settings(
    say: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "retrain.toml").write_text(
        '[search]\nl2 = [0.001, 0.01]\noptimizer = "lbfgs,ridge"\nhidden = "none"\nsteps = 20\n'
        "testing-percentage = 25.0\nvalidation-percentage = 25.0\nworkers = 1\n"
    )
    monkeypatch.chdir(tmp_path)
    code, out, _ = say("search", "--json")
    assert code == 0
    assert len(json.loads(out)["trials"]) == 4


@pytest.mark.parametrize("width", [60, 80])
def test_the_usual_search_fits_a_terminal(
    photos: Path, fill: Any, workspace: Workspace, width: int
) -> None:
    fill(photos)
    request = SearchRequest(
        {"steps": "20", "hidden": "none", "learning_rate": "0.0372"}, random=12, workers=1
    )
    result = search(request, workspace)
    lines = lay_out(_table(result, result.tried), width).lines
    assert max(cell_len(line.text) for line in lines) <= width
    assert len(lines) <= 12 + 4


def test_an_axis_that_is_no_setting_is_refused_in_a_notebook() -> None:
    with pytest.raises(ConfigError, match="a search varies steps, epochs, optimizer"):
        SearchRequest({"batch": "3"})
