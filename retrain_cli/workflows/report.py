"""`retrain report`: everything about a run in one page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from retrain_cli.cache.cache_files import cache_file
from retrain_cli.cache.store import BottleneckStore, open_to_read
from retrain_cli.checks import check_choices, check_positive, check_suffix
from retrain_cli.datasets.dataset import load_dataset
from retrain_cli.datasets.file_index import FileIndex
from retrain_cli.errors import CacheError, ConfigError, RetrainError, setting
from retrain_cli.evaluation.predictions import Predictions, misclassified_rows
from retrain_cli.images.limits.limited import PHOTO_TIMEOUT
from retrain_cli.paths import StrPath, as_path
from retrain_cli.reports.content import Command, HeatSection, Mistake, PhotoMap, Report
from retrain_cli.reports.curve_lines import curve_section
from retrain_cli.reports.data_problems import find_problems
from retrain_cli.reports.html import write_html
from retrain_cli.reports.markdown import write_markdown
from retrain_cli.reports.pdf import find_browser, write_pdf
from retrain_cli.reports.projection import MapMethod
from retrain_cli.runs.command_lines import options_of
from retrain_cli.runs.run import Run
from retrain_cli.workflows.cross_validate import saved_figures
from retrain_cli.workflows.evaluate import EvalRequest, Evaluated, Evaluation, evaluate
from retrain_cli.workflows.reporting.report_heatmaps import add_heatmaps
from retrain_cli.workflows.reporting.report_photos import Album, Tick, map_photos, worst_mistakes
from retrain_cli.workflows.reporting.report_setup import commands_of_run, settings_of_run
from retrain_cli.workflows.shared.leaks import count_unchecked, known_alike
from retrain_cli.workspace import Workspace

MOST_MISTAKES = 250  # with their neighbours 5 MB of photos, and 8 MB of pure noise


@dataclass(frozen=True)
class ReportRequest:
    """What to report.

    Attributes:
        run: name of the run; None for the latest.
        split: what is evaluated, as in `EvalRequest`.
        html: where the page is written; None for none.
        markdown: where the Markdown is written; None for none.
        pdf: where the PDF is written; None for none.
        map_method: how the map is made: pca, tsne or none.
        mistakes: how many mistakes are shown, at most.
        heatmaps: whether to show where the run looks: auto does where OpenVINO runs its backbone,
            which takes some seconds, all does with any backbone.
        photo_timeout: seconds of processor time for a photo that may take very long by its header;
            0 for no limit.
    """

    run: str | None = None
    split: Evaluated = "test"
    html: StrPath | None = None
    markdown: StrPath | None = None
    pdf: StrPath | None = None
    map_method: MapMethod = "pca"
    mistakes: int = 24
    heatmaps: Literal["auto", "all", "none"] = "auto"
    photo_timeout: float = PHOTO_TIMEOUT

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "photo_timeout", with_0=True)
        check_suffix(self, "html", ".html", ".htm")
        check_suffix(self, "markdown", ".md")
        check_suffix(self, "pdf", ".pdf")
        if not 0 <= self.mistakes <= MOST_MISTAKES:
            raise ConfigError(
                f"{setting('mistakes')} must be from 0 to {MOST_MISTAKES}, not {self.mistakes}"
            )


@dataclass(frozen=True, eq=False)
class ReportFiles:
    """What was written.

    Attributes:
        report: what it says.
        files: where it is.
    """

    report: Report
    files: tuple[Path, ...]


def write_report(
    request: ReportRequest, workspace: Workspace, tick: Tick = lambda doing: None
) -> ReportFiles:
    """Write the report of a run in the forms that were asked for.

    Args:
        request: what to report.
        workspace: where the run is.
        tick: is told what is being done.

    Raises:
        RetrainError: as `make_report`; a file that cannot be written; no browser for a PDF.
    """
    if request.pdf is not None:
        find_browser()  # what cannot work is said before the work
    report = make_report(request, workspace, tick)
    written: list[Path] = []
    writers: list[tuple[StrPath | None, Callable[[Report, Path], None]]] = [
        (request.html, write_html),
        (request.markdown, write_markdown),
        (request.pdf, write_pdf),
    ]
    for path, write in writers:
        if path is not None:
            file = as_path(path)
            tick(f"writing {file.name}")
            write(report, file)
            written.append(file)
    return ReportFiles(report, tuple(written))


def make_report(
    request: ReportRequest, workspace: Workspace, tick: Tick = lambda doing: None
) -> Report:
    """Gather everything about a run; what is missing is named in `Report.missing`.

    Raises:
        RunError: no such run, a damaged one, or one without images in the split.
        ConfigError: a split, method or number that does not exist.
        MissingExtraError: t-SNE without scikit-learn.
    """
    tick("figures")
    evaluation = evaluate(EvalRequest(request.run, request.split, (1, 5)), workspace)
    with ExitStack() as stack:
        return _Gathering(request, evaluation, workspace, stack, tick).report(request.map_method)


class _Gathering:
    """The parts of a report, and why some are missing."""

    def __init__(
        self,
        request: ReportRequest,
        evaluation: Evaluation,
        workspace: Workspace,
        stack: ExitStack,
        tick: Tick,
    ) -> None:
        self._request, self._evaluation = request, evaluation
        self._workspace, self._tick = workspace, tick
        self._missing: dict[str, str] = {}
        self._root = evaluation.run.info.provenance.image_dir
        self._store = self._open_store(stack)
        self._bad_files, self._known = self._read_index()

    @property
    def _run(self) -> Run:
        return self._evaluation.run

    @property
    def _predictions(self) -> Predictions:
        return self._evaluation.predictions

    def report(self, method: MapMethod) -> Report:
        """Put it together."""
        run, split = self._run, self._evaluation.request.chosen
        timeout = self._request.photo_timeout
        album = Album(self._root, self._predictions, run.labels, self._known, timeout)
        folds = saved_figures(run)
        mistakes, heatmaps = self._explained(album, self._mistakes(album))
        photo_map = self._map(album, method)
        alike = known_alike(self._workspace)
        if unchecked := count_unchecked(run.predictions.images, alike):
            self._missing["near duplicates"] = (
                f"of {unchecked:,} of {len(run.predictions):,} photos only exact copies are known; "
                "`retrain check` looks for the others"
            )
        evaluation = self._evaluation.to_dict()
        if evaluation.get("curves_missing"):
            self._missing["curves"] = str(evaluation["curves_missing"])
        elif self._evaluation.curves.macro_auc is None:
            self._missing["mean of the classes' curves"] = (
                "no class has a curve, for the split holds photos of one class alone"
            )
        return Report(
            run=run.name,
            created=run.info.created.replace("T", " ")[:16],
            data_folder=str(self._root),
            backbone=run.info.backbone.label(),
            result=self._evaluation.result,
            evaluation=evaluation,
            cross_validation=None if folds is None else folds.to_dict(),
            history=[asdict(row) for row in run.history],
            best_step=run.info.best_step,
            curves=None
            if evaluation["curves"] is None
            else curve_section(self._evaluation.curves, self._evaluation.result),
            mistakes=mistakes,
            n_mistakes=len(misclassified_rows(self._predictions, split)),
            photo_map=photo_map,
            problems=find_problems(run.predictions.images, run.labels, self._bad_files, alike),
            settings=settings_of_run(run),
            commands=self._commands(),
            missing=self._missing,
            heatmaps=heatmaps,
        )

    def _commands(self) -> tuple[Command, ...]:
        """What makes all this again, the report with the same choices."""
        choices = options_of(self._request, leave_out=("run", "html", "markdown", "pdf"))
        return commands_of_run(self._run, self._request.split, tuple(choices), self._workspace)

    def _open_store(self, stack: ExitStack) -> BottleneckStore | None:
        path = cache_file(self._workspace, self._run.info.cache)
        try:
            if path is None:
                raise CacheError(
                    f"the cache {self._run.info.cache} of this run is not in the workspace any "
                    "more: `retrain bottlenecks` with its backbone computes it again"
                )
            return stack.enter_context(open_to_read(path))
        except CacheError as error:
            self._missing["nearest"] = self._missing["map"] = str(error)
            return None

    def _read_index(self) -> tuple[list[tuple[str, str]], dict[bytes, str]]:
        """Files that could not be used, and where each photo is by digest."""
        try:
            if not self._workspace.index_path.is_file():
                raise CacheError("the index of photos is not in the workspace any more")
            with FileIndex.to_read(self._workspace.index_path) as index:
                dataset = load_dataset(index, self._root)
        except RetrainError as error:
            self._missing["bad files"] = str(error)
            return [], {}
        return dataset.problems, dict(zip(dataset.digests, dataset.paths, strict=True))

    def _mistakes(self, album: Album) -> tuple[Mistake, ...]:
        split, most = self._evaluation.request.chosen, self._request.mistakes
        try:
            return worst_mistakes(album, split, most, self._store, self._tick)
        except CacheError as error:
            self._missing["nearest"] = str(error)
            return worst_mistakes(album, split, most, None, self._tick)

    def _explained(
        self, album: Album, mistakes: tuple[Mistake, ...]
    ) -> tuple[tuple[Mistake, ...], HeatSection | None]:
        """The mistakes with heatmaps, and the other ones; None where none are wanted or possible.

        Photos that are not where they were have none.
        """
        wanted, run = self._request.heatmaps, self._run
        if wanted == "none" or (wanted == "auto" and run.info.backbone.runtime != "openvino"):
            return mistakes, None
        pairs = self._evaluation.to_dict()["confused_pairs"]
        split = self._evaluation.request.chosen
        try:
            return add_heatmaps(run, album, split, mistakes, pairs, self._workspace, self._tick)
        except RetrainError as error:
            self._missing["heatmaps"] = str(error)
            return mistakes, None

    def _map(self, album: Album, method: MapMethod) -> PhotoMap | None:
        if method == "none":
            self._missing["map"] = "it was left out, as was asked for"
            return None
        if self._store is None:
            return None
        split = self._evaluation.request.chosen
        try:
            return map_photos(album, split, self._store, method, self._tick)
        except CacheError as error:
            self._missing["map"] = str(error)
            return None
