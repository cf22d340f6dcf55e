"""`retrain report`: the page in a real browser, its numbers, and what happens when parts lack."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import browser_or_skip, visit
from helpers import RETRAIN, SMALL_SPEC, FakeBackbone, make_photos

from retrain_cli.cache.store import BottleneckStore
from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.errors import ConfigError, ReportError, RunError
from retrain_cli.evaluation.predictions import ImageTable, predict
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import HistoryRow
from retrain_cli.reports import pdf
from retrain_cli.reports.html import render_html
from retrain_cli.reports.markdown import render_markdown
from retrain_cli.runs.info import RunInfo
from retrain_cli.runs.provenance import Provenance
from retrain_cli.runs.run import RunContents, RunStore
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.check import CheckRequest, check_dataset
from retrain_cli.workflows.report import ReportRequest, make_report, write_report
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

HOSTILE = "<script>window.hacked=1<∕script>\"'&{{7*7}}"
CONFIG = TrainingConfig(steps=40, eval_every=10, batch_size=20)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Path]:
    """A cross-validated run on six classes, one of a hostile name; photos hard to tell apart."""
    root = tmp_path_factory.mktemp("report")
    photos = make_photos(root / "photos", {"ant": 24, "bee": 24, HOSTILE: 30, "teapot": 24})
    make_photos(photos, {"ant b": 24, "wasp": 12}, seed=3)
    (photos / "bee" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    (photos / "bee" / "by\udcfftes.png").write_bytes((photos / "ant" / "0000.png").read_bytes())
    workspace = Workspace(root / "workspace")
    request = BottleneckRequest(photos, SMALL_SPEC, settings=ExtractionSettings(batch_size=8))
    fill_cache(request, workspace, load=lambda spec, device: FakeBackbone())
    train_run(TrainRequest(CONFIG, name="first", cv=3), workspace)
    return workspace, photos


@pytest.fixture(scope="module")
def page(made: tuple[Workspace, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(ReportRequest(split="all", html=path), made[0])
    return path


def retrain(*arguments: str) -> str:
    done = subprocess.run([RETRAIN, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def eval_json(workspace: Workspace, *flags: str) -> Any:
    root = str(workspace.root)
    return json.loads(retrain("--workspace", root, "eval", "--json", "--top5", *flags))


def test_the_numbers_are_those_of_eval(made: tuple[Workspace, Path], page: Path) -> None:
    with visit(page) as visited:
        shown = visited.page.evaluate(
            "JSON.parse(document.getElementById('report-data').textContent)"
        )
        assert shown["evaluation"] == eval_json(made[0], "--split", "all")
        rows = visited.page.evaluate(
            "[...document.querySelectorAll('#class-table tbody tr')]"
            ".map(row => [...row.cells].map(cell => cell.textContent.trim()))"
        )
        cards = visited.page.locator(".card-value").all_text_contents()
    expected = shown["evaluation"]
    assert [row[0] for row in rows] == [row["class"] for row in expected["per_class"]]
    for row, values in zip(rows, expected["per_class"], strict=True):
        assert row[2] == str(values["images"])
        assert row[3] == f"{values['top1']:.1%}"
        assert row[7] == f"{values['auc']['value']:.3f}"
    assert cards[0] == f"{expected['top'][0]['overall']['value']:.1%}"


def test_the_table_sorts_and_filters(page: Path) -> None:
    def column(number: int) -> list[str]:
        cells = visited.page.locator(f"#class-table tbody tr:visible > :nth-child({number})")
        return list(map(str, cells.all_text_contents()))

    with visit(page) as visited:
        photos = visited.page.get_by_role("button", name="Photos")
        photos.click()
        counts = [int(text) for text in column(3)]
        assert counts == sorted(counts)
        assert len(set(counts)) > 1
        photos.click()
        assert [int(text) for text in column(3)] == sorted(counts, reverse=True)
        heading = visited.page.locator("#class-table th", has_text="Photos")
        assert heading.get_attribute("aria-sort") == "descending"
        assert visited.page.locator("#class-table [aria-sort]").count() == 1
        visited.page.get_by_label("Find a class").fill("AN")
        assert sorted(column(1)) == ["ant", "ant b"]
        assert "2 of 6 classes" in visited.page.locator("#class-count").text_content()
        visited.page.get_by_label("Find a class").fill("")
        visited.page.get_by_label("Show").select_option("INT")
        assert column(2) == ["INT"] * len(column(2))


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_chart_is_drawn_and_nothing_sticks_out(page: Path, width: int, scheme: str) -> None:
    """A canvas is drawn where it holds more than one colour."""
    with visit(page, width, scheme) as visited:
        blank = visited.page.evaluate(
            """[...document.querySelectorAll('canvas')].filter(canvas => {
                const context = canvas.getContext('2d');
                const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
                return new Set(new Uint32Array(data.buffer)).size < 3;
            }).map(canvas => canvas.id)"""
        )
        assert blank == []
        assert visited.page.locator("canvas").count() == 7
        widths = visited.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert widths[0] <= widths[1]
        images = visited.page.evaluate("[...document.images].every(image => image.naturalWidth)")
        assert images
        background = visited.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(252, 251, 248)") == (scheme == "light")


def test_choices_redraw_charts(page: Path) -> None:
    with visit(page) as visited:
        for select, canvas in (("curve-class", "roc-chart"), ("map-class", "map-chart")):
            before = visited.page.evaluate(f"document.getElementById('{canvas}').toDataURL()")
            visited.page.locator(f"#{select}").select_option(index=2)
            after = visited.page.evaluate(f"document.getElementById('{canvas}').toDataURL()")
            assert before != after


def test_hostile_names_are_text(page: Path) -> None:
    with visit(page) as visited:
        assert visited.page.evaluate("window.hacked") is None
        names = visited.page.locator("#class-table tbody th").all_text_contents()
        assert HOSTILE in names
    assert "{{7*7}}" in page.read_text(encoding="utf-8")
    assert "by\\udcfftes.png" in page.read_text(encoding="utf-8")


def test_landmarks_headers_and_contrast(page: Path) -> None:
    with visit(page) as visited:
        for landmark in ("banner", "navigation", "main", "contentinfo"):
            assert visited.page.get_by_role(landmark).count() == 1, landmark
        assert visited.page.title() == "first: report of a run"
        unnamed = visited.page.evaluate(
            """[...document.querySelectorAll('section, canvas, img, select, input')]
            .filter(one => !(one.getAttribute('aria-label') || one.getAttribute('aria-labelledby')
                || one.hasAttribute('alt') || one.closest('label'))).length"""
        )
        assert unnamed == 0
        broken = visited.page.evaluate(
            "[...document.querySelectorAll('a[href^=\"#\"]')]"
            ".filter(a => !document.querySelector(a.getAttribute('href'))).length"
        )
        assert broken == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(page: Path, scheme: str) -> None:
    """4.5 to 1 as WCAG 2 asks for small text, for each colour of text on the page's ground."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    with visit(page, scheme=scheme) as visited:
        ground = visited.page.evaluate("getComputedStyle(document.body).backgroundColor")
        selectors = ("body", ".note", ".faint", "a", "thead th", ".card-value", ".photo .path")
        for selector in (*selectors, ".verdict"):
            colour = visited.page.evaluate(
                f"getComputedStyle(document.querySelector('{selector}')).color"
            )
            one, other = sorted((luminance(ground), luminance(colour)))
            assert (other + 0.05) / (one + 0.05) >= 4.5, (selector, colour, ground)


def test_mistakes_stand_beside_their_neighbours(made: tuple[Workspace, Path]) -> None:
    report = make_report(ReportRequest(split="test"), made[0])
    run = RunStore(made[0].runs_dir).get("first")
    wrong = run.predictions.rows("test")
    wrong = wrong[run.predictions.rank[wrong] > 1]
    assert len(report.mistakes) == report.n_mistakes == len(wrong) > 0
    training = {run.predictions.images.paths[row] for row in run.predictions.rows("training")}
    for mistake in report.mistakes:
        assert mistake.photo.source is not None
        assert {near.path for near in mistake.nearest} <= training
        similarity = [near.similarity or 0.0 for near in mistake.nearest]
        assert similarity == sorted(similarity, reverse=True)
        assert len(similarity) == 3
    scores = [mistake.score for mistake in report.mistakes]
    assert scores == sorted(scores, reverse=True)


def test_problems_are_found(made: tuple[Workspace, Path]) -> None:
    problems = {p.title: p for p in make_report(ReportRequest(), made[0]).problems}
    assert "broken.jpg" in problems["files that could not be used"].items[0]
    assert problems["photos that stand in more than one class"].count == 1


def test_without_a_check_only_exact_copies_are_known(
    made: tuple[Workspace, Path], tmp_path: Path
) -> None:
    workspace, _ = copied(made, tmp_path)
    photos = RunStore(workspace.runs_dir).get("first").predictions.images.paths
    told = f"of {len(photos)} of {len(photos)} photos only exact copies are known"
    unchecked = make_report(ReportRequest(), workspace)
    assert told in render_html(unchecked)
    assert told in render_markdown(unchecked)
    check_dataset(CheckRequest(labels=False), workspace)
    checked = make_report(ReportRequest(), workspace)
    assert "near duplicates" not in checked.missing
    assert "only exact copies" not in render_html(checked) + render_markdown(checked)


def test_photos_that_moved_changed_or_went(made: tuple[Workspace, Path], tmp_path: Path) -> None:
    workspace, photos = copied(made, tmp_path)
    report = make_report(ReportRequest(split="all", mistakes=250), workspace)
    paths = [m.photo.path for m in report.mistakes if "udcff" not in m.photo.path][:3]
    (photos / paths[0]).unlink()
    (photos / paths[1]).write_bytes((photos / paths[2]).read_bytes() + b"more")
    (photos / paths[2]).rename(photos / "teapot" / "elsewhere.png")
    request = BottleneckRequest(photos, SMALL_SPEC)
    fill_cache(request, workspace, load=lambda spec, device: FakeBackbone())
    again = make_report(ReportRequest(split="all", mistakes=250), workspace)
    found = {mistake.photo.path: mistake.photo for mistake in again.mistakes}
    assert found[paths[0]].problem == "no longer there: moved or removed"
    assert found[paths[1]].problem == "changed since this run"
    assert found[paths[2]].source is not None
    assert found[paths[2]].note == "now teapot/elsewhere.png"
    assert "no longer there" in render_html(again)


def copied(made: tuple[Workspace, Path], tmp_path: Path) -> tuple[Workspace, Path]:
    """The workspace and the photos at another place; the run is told of it."""
    workspace = Workspace(tmp_path / "workspace")
    shutil.copytree(made[1], tmp_path / "photos")
    request = BottleneckRequest(tmp_path / "photos", SMALL_SPEC)
    fill_cache(request, workspace, load=lambda spec, device: FakeBackbone())
    train_run(TrainRequest(CONFIG, name="first"), workspace)
    return workspace, tmp_path / "photos"


def test_without_the_cache_the_rest_stands(made: tuple[Workspace, Path], tmp_path: Path) -> None:
    shutil.copytree(made[0].root, tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare" / "cache")
    (tmp_path / "bare" / "index.sqlite").unlink()
    bare = Workspace(tmp_path / "bare")
    report = make_report(ReportRequest(), bare)
    assert set(report.missing) == {"nearest", "map", "bad files", "near duplicates"}
    assert report.photo_map is None
    assert report.mistakes[0].photo.source is not None
    assert all(mistake.nearest == () for mistake in report.mistakes)
    path = tmp_path / "bare.html"
    write_report(ReportRequest(html=path), bare)
    with visit(path) as visited:
        text = visited.page.locator("main").text_content()
        assert "The map is missing: the cache" in text
        assert visited.page.locator("#map canvas").count() == 0


def test_cross_validation_is_reported(made: tuple[Workspace, Path], tmp_path: Path) -> None:
    path = tmp_path / "cv.html"
    report = write_report(ReportRequest(split="cv", html=path), made[0]).report
    assert report.evaluation == eval_json(made[0], "--split", "cv")
    with visit(path) as visited:
        cells = visited.page.locator("#folds tbody tr").first.locator("td").all_text_contents()
    assert report.cross_validation is not None
    folds = report.cross_validation["top1"]
    assert cells[0].startswith(f"{folds['mean']:.1%}")
    assert cells[2:] == [f"{value:.1%}" for value in folds["folds"]]
    assert all(near.path != m.photo.path for m in report.mistakes for near in m.nearest)


def test_the_commands_make_the_same_run_again(made: tuple[Workspace, Path]) -> None:
    """Typed into a shell, `train` of the report gives the same head."""
    report = make_report(ReportRequest(), made[0])
    assert "--backbone mobilenet" in report.commands[0].text
    assert "--weights random" in report.commands[0].text
    arguments = shlex.split(report.commands[1].text)
    assert arguments[0] == "retrain"
    retrain(*arguments[1:])
    store = RunStore(made[0].runs_dir)
    first, again = store.get("first"), store.get("first-again")
    assert again.config == first.config
    assert "cross_validation" in again.metrics
    np.testing.assert_array_equal(again.head.weights, first.head.weights)
    store.remove("first-again")


def test_markdown_says_the_same(made: tuple[Workspace, Path]) -> None:
    report = make_report(ReportRequest(split="all"), made[0])
    text = render_markdown(report)
    assert f"{report.evaluation['top'][0]['overall']['value']:.1%}" in text
    assert "<script>" not in text
    assert all(row["class"] in text for row in report.evaluation["per_class"][:1])
    assert text.count("\n## ") >= 9


def test_pdf_by_the_browser(made: tuple[Workspace, Path], tmp_path: Path) -> None:
    browser_or_skip()
    write_report(ReportRequest(pdf=tmp_path / "a.pdf"), made[0])
    data = (tmp_path / "a.pdf").read_bytes()
    assert data.startswith(b"%PDF-")
    assert len(data) > 50_000
    assert [path.name for path in tmp_path.iterdir()] == ["a.pdf"]


def test_pdf_without_a_browser_is_refused_at_once(
    made: tuple[Workspace, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(pdf.ENVIRONMENT_VARIABLE, "/nowhere/chrome")
    with pytest.raises(ReportError, match="/nowhere/chrome was not found: install one"):
        write_report(ReportRequest(pdf=tmp_path / "a.pdf"), made[0])
    monkeypatch.setenv(pdf.ENVIRONMENT_VARIABLE, "false")
    with pytest.raises(ReportError, match="printed nothing"):
        write_report(ReportRequest(pdf=tmp_path / "a.pdf"), made[0])
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_reported(made: tuple[Workspace, Path], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run 'second'"):
        make_report(ReportRequest("second"), made[0])
    with pytest.raises(ConfigError, match="mistakes must be from 0"):
        ReportRequest(mistakes=-1)
    with pytest.raises(ConfigError, match="map_method takes one of"):
        ReportRequest(map_method="umap")  # type: ignore[arg-type]
    workspace, _ = copied(made, tmp_path)
    config = replace(CONFIG, testing_percentage=0.0)
    train_run(TrainRequest(config, name="untested"), workspace)
    with pytest.raises(RunError, match="none in its test split"):
        make_report(ReportRequest("untested"), workspace)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A run of 1,000 classes and 20,000 photos that exist as bottlenecks only."""
    workspace = Workspace(tmp_path_factory.mktemp("large") / "workspace")
    workspace.prepare()
    generator = np.random.default_rng(0)
    names = tuple(f"class number {label:04} of a long name" for label in range(1000))
    labels = np.repeat(np.arange(1000, dtype=np.int32), 20)
    centres = generator.normal(size=(1000, 64)).astype(np.float32)
    bottlenecks = centres[labels] + generator.normal(size=(20_000, 64)).astype(np.float32) * 2.5
    digests = np.arange(20_000, dtype=">u8").repeat(2).view(np.uint8).reshape(20_000, 16)
    splits = np.tile(np.repeat(np.arange(3, dtype=np.uint8), (12, 3, 5)), 1000)
    paths = [f"{names[label]}/photo_{row:05}.jpg" for row, label in enumerate(labels)]
    images = ImageTable(splits, digests, paths, labels)
    head = Head(names, centres.T.copy(), -0.5 * (centres**2).sum(axis=1))
    spec = SMALL_SPEC.resolve()
    with BottleneckStore(workspace.cache_dir / f"{spec.slug()}.sqlite", spec.identity()) as store:
        store.put([digest.tobytes() for digest in digests], bottlenecks)
    info = RunInfo(
        Provenance(workspace.root / "photos", spec, CONFIG),
        spec.fingerprint(),
        {},
        100,
        "steps",
    )
    history = [HistoryRow(step, 1 / step, 0.5, 1.0, 0.5) for step in range(1, 3000)]
    origins = [ClassOrigin(name, None, (), "") for name in names]
    predictions = predict(head, bottlenecks, images)
    with RunStore(workspace.runs_dir).create("large") as draft:
        draft.commit(RunContents(info, origins, head, history, predictions, {}))
    return workspace


def test_a_thousand_classes_stay_usable(large: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "large.html"
    report = write_report(ReportRequest(html=path, mistakes=100), large).report
    assert path.stat().st_size < 4_000_000
    assert report.n_mistakes > 500
    assert report.missing.keys() == {"bad files", "near duplicates"}
    assert report.mistakes[0].photo.problem == "no longer there: moved or removed"
    with visit(path, width=390) as visited:
        assert visited.page.locator("#class-table tbody tr").count() == 1000
        visited.page.get_by_role("button", name="F1").click()
        visited.page.get_by_label("Find a class").fill("0999")
        assert visited.page.locator("#class-table tbody tr:visible").count() == 1
        canvas = visited.page.locator("#confusion-chart")
        canvas.scroll_into_view_if_needed()
        canvas.hover(position={"x": 20, "y": 20})
        assert "taken for" in visited.page.locator("#confusion-reading").text_content()
