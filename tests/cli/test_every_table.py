"""Every table that is printed anywhere, with the longest names there are, at several widths."""

from __future__ import annotations

import ast
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import ROOT
from helpers import PROJECT, SMALL_SPEC, FakeBackbone, make_photos
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text
from table_checks import check_cells

from retrain_cli.cli import console
from retrain_cli.cli.commands.classes import _table as class_infos
from retrain_cli.cli.commands.photos.dataset_split import show_split
from retrain_cli.cli.commands.similar import _print_rows
from retrain_cli.cli.commands.train import folds_table
from retrain_cli.cli.tables import Table
from retrain_cli.cli.views import (
    bottlenecks,
    check,
    compare,
    eval_lists,
    eval_scores,
    runs,
    signals,
    study,
)
from retrain_cli.cli.views import eval as eval_view
from retrain_cli.cli.views.label import LabelView
from retrain_cli.cli.views.portable.parity_table import show_export
from retrain_cli.cli.views.tuning import advise as advice_view
from retrain_cli.cli.views.tuning import finetune, search
from retrain_cli.datasets.moves import MoveScript
from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.exporting.description import ExportDescription
from retrain_cli.exporting.parity import Answers, Parity
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.run import RunStore
from retrain_cli.similarity.familiarity import Familiarity
from retrain_cli.studies.means import Mean
from retrain_cli.studies.search.axes import searchable
from retrain_cli.studies.study import Cell, StudyResult, StudyTable
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.calibrate import calibrate
from retrain_cli.workflows.check import CheckRequest, check_dataset
from retrain_cli.workflows.classes import ClassInfo, SeenClass
from retrain_cli.workflows.compare import compare_runs
from retrain_cli.workflows.evaluate import EvalRequest, evaluate
from retrain_cli.workflows.label import Label, LabelledImage
from retrain_cli.workflows.portable.export_request import ExportedFile, ExportSummary
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.shared.plan import plan_bottlenecks
from retrain_cli.workflows.signals.imaging import SignalSummary
from retrain_cli.workflows.signals.request import Drawing
from retrain_cli.workflows.similar import SimilarImages, SimilarPhoto
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workflows.transfer.advise import AdviceRequest, advise
from retrain_cli.workflows.transfer.split_by_similarity import SimilaritySplit, SplitClass
from retrain_cli.workflows.tuning.search_plan import SearchPlan
from retrain_cli.workflows.tuning.search_result import Round, SearchResult, TriedSettings
from retrain_cli.workflows.tuning.tuning_plan import FinetunePlan
from retrain_cli.workspace import Workspace

CLI = PROJECT / "retrain_cli" / "cli"
LONG = "a_name_of_sixty_letters_which_is_as_long_as_names_may_well_be"[:59]
NAMES = [f"{LONG}{number}" for number in range(4)] + ["猫" * 30, "n01440764 tench, Tinca tinca"]
RUNS = (f"{LONG}a", f"{LONG}b")
SHARE = Mean(1.0, 0.87, 1.0, 5)


def printing_functions() -> set[tuple[str, str]]:
    """File and function of each place where the command line makes a table."""
    found = set()
    for path in CLI.rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef):
                calls = [one.func for one in ast.walk(function) if isinstance(one, ast.Call)]
                if any(ast.unparse(call) == "console.Table" for call in calls):
                    found.add((path.name, function.name))
    return found


class Recorder:
    """Stands for `console.Table`, and notes who makes one."""

    def __init__(self) -> None:
        self.tables: list[Table] = []
        self.makers: set[tuple[str, str]] = set()

    def __call__(self, *args: Any, **kwargs: Any) -> Table:
        code = sys._getframe(1).f_code
        self.makers.add((Path(code.co_filename).name, code.co_name))
        self.tables.append(Table(*args, **kwargs))
        return self.tables[-1]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two runs of long names, of classes of long names, with mistakes."""
    root = tmp_path_factory.mktemp("tables")
    photos = make_photos(root / "photos", dict.fromkeys(NAMES, 30))
    for name, other in zip(NAMES, [*NAMES[1:], NAMES[0]], strict=True):
        for path in sorted((photos / name).glob("000*.png"))[:8]:
            path.rename(photos / other / f"{name[:20]} {path.name}")
    (photos / NAMES[0] / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    made = Workspace(root / "workspace")
    fill_it(photos, made)
    pair = make_photos(root / "pair", dict.fromkeys(NAMES[:2], 30))
    for name, steps, folds in ((RUNS[0], 5, 7), (RUNS[1], 400, None)):
        config = TrainingConfig(steps=steps, testing_percentage=40, learning_rate=0.03)
        train_run(TrainRequest(config, name, cv=folds), made)
    fill_it(pair, made)
    train_run(TrainRequest(TrainingConfig(steps=20), "pair"), made)
    fill_it(photos, made)
    calibrate(RUNS[1], made)
    return made


def fill_it(photos: Path, workspace: Workspace) -> Any:
    request = BottleneckRequest(photos, SMALL_SPEC, settings=ExtractionSettings(8, 2))
    return fill_cache(request, workspace, load=lambda spec, device: FakeBackbone())


def an_export(place: Path) -> ExportSummary:
    """One with long figures."""
    some = Answers(np.array([[0.0, 1.0]], np.float32), np.array([1234.5]))
    other = Answers(np.array([[1.0, 1e-9]], np.float32), np.array([98765.4]))
    parity = Parity(some, other, np.array([0]), 0.001, by_accuracy=False)
    described = ExportDescription(
        LONG, "2026-01-01", "1", tuple(NAMES), "savedmodel", "any-size", 224, 224, "squash", LONG
    )
    file = ExportedFile(place / LONG, described, parity, 12_345_678_901, "0" * 32)
    return ExportSummary(LONG, "bfloat16", place, some, (file, file), 1.0, 1_234)


def show_all(workspace: Workspace) -> None:
    """Print every table."""
    photos = Path(LastUsed.load(workspace).image_dir)
    bottlenecks.show_summary(fill_it(photos, workspace), "text")
    plan = plan_bottlenecks(BottleneckRequest(photos, SMALL_SPEC), workspace)
    bottlenecks.show_plan(plan, "text")
    problems = check_dataset(CheckRequest(), workspace)
    show_export(an_export(photos), "text")
    tuning = FinetunePlan(
        SMALL_SPEC.label(), 1_234, 56, 7_890, NAMES[0], (7, 7, 320), 9, 1_234_567, 10, 0.0005, 8,
        9_876, 123_456_789, 12, 345.6, 7_890.1,
    )  # fmt: skip
    finetune.show_plan(tuning, "text")
    counts: dict[str | None, int] = dict.fromkeys(NAMES, 1_234_567)
    drawn = SignalSummary(photos, Drawing(), 3, tuple(NAMES), counts, counts, {LONG: 1_234_567})
    signals.show(drawn, "text")
    asked = advise(AdviceRequest(), workspace)
    seen = Familiarity(6.9, 3.2, 0.76, 0.47, 0.35, 0.002)
    advice_view.show_advice(replace(asked, familiarity=seen, why_not=None), "text")
    search.show_plan(
        SearchPlan(30, (Round(30, 111), Round(10, 333)), 40, 3, 2, 1, 99, 5, 2, 9.0), "text"
    )
    show_search()
    check.show_report(problems, MoveScript(photos, photos, ()), "text")
    compared = compare_runs(RUNS, workspace)
    compare.show_comparisons(compared, "text")
    compare.show_flips(compared, "text")
    for name in (*RUNS, "pair"):
        evaluation = evaluate(EvalRequest(name, "test", (1, 2, 3, 4, 5)), workspace)
        for full in (True, False):
            eval_view.show_evaluation(evaluation, "text", full=full)
        eval_lists.show_confusion(evaluation, "text")
        eval_lists.show_misclassified(evaluation, "text")
        eval_lists.show_confused(evaluation, "text")
        eval_scores.show_coverage(evaluation, "text")
        runs.show_run(RunStore(workspace.runs_dir).get(name))
    eval_scores.show_calibration(calibrate(RUNS[0], workspace), "text")
    console.table(folds_table(folds_of(workspace)))
    for words in ("runs", "cache info", "doctor --backbones", "config show train"):
        ROOT(args=["--workspace", str(workspace.root), *words.split()], standalone_mode=False)
    show_classes()
    show_study()
    halves = tuple(SplitClass(name, 1_234_567, 123_456) for name in NAMES)
    show_split(SimilaritySplit(photos, (photos,), halves, 0.1234, 0.1234))
    found = tuple(SimilarPhoto(f"{photos}/{name}/1.png", name, 0.9) for name in NAMES)
    _print_rows(SimilarImages(str(photos / "new.png"), found), several=True)
    view = LabelView("text", NAMES, 1, sorts=False)
    for name in NAMES:
        view.show(LabelledImage(f"{name}.png", (Label(name, 1.0),)), None)
    view.summarise()


def folds_of(workspace: Workspace) -> Any:
    from retrain_cli.workflows.cross_validate import saved_figures

    return saved_figures(RunStore(workspace.runs_dir).get(RUNS[0]))


def show_classes() -> None:
    for suggest in (False, True):
        seen = SeenClass("n01440764", NAMES[0], 0.5)
        origins = [
            ClassOrigin(name, "INT", ("n1", "n2"), "n02012849 crane; n03126707 crane")
            for name in NAMES
        ]
        infos = [ClassInfo(origin, 1_234_567, (seen,), seen) for origin in origins]
        console.table(class_infos(infos, suggest))


def show_study() -> None:
    """Means with intervals, class names, sentences."""
    columns = ("INT share", "INT", "EXT", "all top-1", "INT top-1", "EXT top-1", "all top-5")
    mixes: list[list[Cell]] = [["100%", 10, 0, *[SHARE] * 4]] * 11
    needs = ("class", "now", "wanted", "images it would take", "verdict")
    sentence = "cannot be told, at least 1,000,000 of each class"
    rows: list[list[Cell]] = [[name, SHARE, 0.9, 12_345, sentence] for name in NAMES]
    tables = (StudyTable("mixes", columns, mixes), StudyTable("more images needed", needs, rows))
    study.show_study(StudyResult("int-ext", "a headline", tables, ()), "text")


def show_search() -> None:
    """Every setting varied, none of them told in few letters."""
    config, axes = TrainingConfig(), ("backbone", *searchable())
    values = {name: (16_384,) * 3 if name == "hidden" else 0.000123 for name in searchable()}
    ones = [
        TriedSettings(
            number, LONG, LONG, config, {**values, "backbone": f"{LONG}{number}"}, 1, 10_000,
            1_234.5, {"log_loss": 1.5, "top1": 1.0},
        )
        for number in range(1, 12)
    ]  # fmt: skip
    ones[-1] = replace(ones[-1], outcome={"diverged": "at step 1"}, values=dict.fromkeys(axes))
    rounds = (Round(11, 333), Round(4, 1000))
    found = SearchResult(ones, None, axes, rounds, "log-loss", 5, 99, 3, 2, "run")
    search.show_result(found, "text", show_all=True)


def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Print from here on as at a terminal of 80 columns."""
    made = Recorder()
    monkeypatch.setattr(console, "Table", made)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(console, "_stdout", lambda: Console(width=80, force_terminal=True))
    return made


def test_no_cell_of_any_table_is_cut(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = at_a_terminal(monkeypatch)
    show_all(workspace)
    assert recorder.makers == printing_functions(), "show_all should print every table"
    for table in recorder.tables:
        for width in (60, 80, 140):
            check_cells(table, width)


@pytest.mark.parametrize("run", [*RUNS, "pair"])
def test_an_evaluation_fits_a_terminal_of_24_lines(
    run: str,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    at_a_terminal(monkeypatch)
    evaluation = evaluate(EvalRequest(run, "test", (1, 5)), workspace)
    capsys.readouterr()
    eval_view.show_evaluation(evaluation, "text", full=False)
    lines = [Text.from_ansi(line).plain for line in capsys.readouterr().out.splitlines()]
    assert f"run {run} on test" in lines[0]
    assert len(lines) <= 20  # and two of notes, the command, and the prompt
    assert max(map(cell_len, lines[1:])) <= 80
