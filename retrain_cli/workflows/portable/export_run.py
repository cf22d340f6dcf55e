"""`retrain export`: a run as a file of another program's format, checked against the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from retrain_cli import __version__, notices
from retrain_cli.backbones.digests import digest_folder
from retrain_cli.backbones.loader import BackboneLoader, loader_of
from retrain_cli.backbones.runtimes.converters import convert_network
from retrain_cli.backbones.runtimes.kept_models import KeptModel, converted_from, find_kept_model
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.trust import trust
from retrain_cli.durable import draft_folder, sync, sync_tree
from retrain_cli.engine import load_keras, openvino_core
from retrain_cli.errors import ExportError, MissingExtraError, RunError, setting
from retrain_cli.evaluation.curves.rejection import choose_rule
from retrain_cli.exporting.classifier_model import build_classifier
from retrain_cli.exporting.description import LABELS_FILE, ExportDescription
from retrain_cli.exporting.export_examples import example_name, example_of
from retrain_cli.exporting.export_formats import FormatRow, function_of
from retrain_cli.exporting.model_card import CardFile, write_card
from retrain_cli.exporting.parity import Answers, Parity, Scores, tolerance_for
from retrain_cli.exporting.runners.exported_model import open_exported
from retrain_cli.exporting.writers.export_parts import ExportParts, Photos
from retrain_cli.exporting.writers.openvino_head import with_head
from retrain_cli.files import hex_digest
from retrain_cli.heads.head import Head
from retrain_cli.images.decode import decode_image
from retrain_cli.runs.run import Run, RunStore
from retrain_cli.workflows.label import backbone_of
from retrain_cli.workflows.portable.export_photos import (
    ExportPhotos,
    calibration_pixels,
    read_export_photos,
)
from retrain_cli.workflows.portable.export_request import (
    REJECTED,
    ExportedFile,
    ExportRequest,
    ExportSummary,
    OnExport,
)
from retrain_cli.workspace import Workspace, to_json, writing_to

CALIBRATION_PHOTOS = 100
PARITY_FILE, CARD_FILE = "parity.json", "model_card.md"


def export_run(
    request: ExportRequest,
    workspace: Workspace,
    on_progress: OnExport = lambda doing, done, total: None,
    load: BackboneLoader | None = None,
) -> ExportSummary:
    """Write the files, run each by its own runtime on test photos, and keep what came of it.

    The folder is there whole or not at all. A file that does not answer as its run does ends with
    `.rejected`; see `ExportSummary.check`.

    Args:
        request: what to export, and how.
        workspace: where the run is.
        on_progress: is told what is being done.
        load: how to load the run's own backbone; None for the usual way.

    Raises:
        MissingExtraError: the package of a format is not installed.
        ExportError: the run cannot be written so, or the folder is there already.
        DatasetError: no test photo is there as it was.
        RetrainError: no such run, or its backbone is gone.
    """
    run = RunStore(workspace.runs_dir).get(request.run)
    rows = _installed(request, _able(request, run))
    folder = request.folder_for(run.name)
    _check_free(folder)
    photos = read_export_photos(run, request.photo_folder, "test", request.check_photos)
    job = _Job(request, run, photos, workspace, on_progress, load or loader_of(workspace))
    with writing_to(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with draft_folder(folder.parent) as drafts:
            draft = drafts / "export"
            draft.mkdir()
            _ = job.own  # what it is all held to, before anything is built
            files = [job.export(row, draft) for row in rows]
            summary = _summary(job, folder, files)
            _write_beside(job, draft, summary)
            sync_tree(draft)
            if folder.is_dir():
                folder.rmdir()  # an empty one
            draft.rename(folder)
            sync(folder.parent)
    for one in summary.files:
        if one.described.format == "savedmodel":
            trust(BackboneSpec(name=f"hub:{one.path / '1'}"), workspace)
    return summary


def _able(request: ExportRequest, run: Run) -> tuple[FormatRow, ...]:
    """The formats that can hold the run's network.

    Raises:
        ExportError: none of those that are wanted can.
    """
    kind, name = run.info.backbone.kind, run.info.backbone.name
    if kind == "table":
        return request.rows
    if kind == "hub":
        raise ExportError(
            f"run {run.name} has {name}, a SavedModel that somebody else finished and that is run "
            "as it is: other programs run it already, and `retrain bundle` takes the head elsewhere"
        )
    rows = tuple(row for row in request.rows if row.name == "openvino")
    if not rows:
        raise ExportError(
            f"run {run.name} has {name}, which Keras does not know, so that its run is written as "
            f"an OpenVINO model alone: choose {setting('format', 'openvino')}"
        )
    return rows


def _installed(request: ExportRequest, able: tuple[FormatRow, ...]) -> tuple[FormatRow, ...]:
    """The formats that can be written here; with `all` those without their package are left out."""
    rows = []
    for row in able:
        try:
            row.check_installed()
        except MissingExtraError as error:
            if request.format != "all":
                raise
            notices.tell(f"left out: {error}")
            continue
        rows.append(row)
    return tuple(rows)


def _check_free(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ExportError(
            f"an export is written into a new or an empty folder, and {folder} is there already: "
            f"remove it, or choose another {setting('output')}"
        )


@dataclass(frozen=True, eq=False)
class _Job:
    """An export under way; what it takes is made when it is first asked for."""

    request: ExportRequest
    run: Run
    photos: ExportPhotos
    workspace: Workspace
    on_progress: OnExport
    load: BackboneLoader

    @cached_property
    def spec(self) -> BackboneSpec:
        """The run's backbone, settled."""
        return backbone_of(self.run)

    @cached_property
    def backbone(self) -> Any:
        """The backbone in float32, which is what is exported: on Keras where that knows it."""
        self.on_progress("building the network", 0, 0)
        if self.is_openvino:
            from retrain_cli.backbones.runtimes.openvino_model import OpenvinoBackbone

            return OpenvinoBackbone(self.kept, "float32")
        from retrain_cli.backbones.runtimes.keras_model import build_keras_backbone

        if load_keras().backend.backend() != "tensorflow":
            raise ExportError(
                "TensorFlow writes exports, and Keras runs on another engine here: unset "
                "KERAS_BACKEND"
            )
        return build_keras_backbone(converted_from(self.spec), "cpu:0")

    @property
    def is_openvino(self) -> bool:
        """Whether it is a network that Keras does not know."""
        return self.spec.kind != "table"

    @cached_property
    def kept(self) -> KeptModel:
        """The network in float32 as OpenVINO runs it."""
        spec = replace(self.spec, runtime="openvino", precision="float32", model=None)
        models = self.workspace.models_dir
        return find_kept_model(models, spec) or convert_network(spec, models)

    @cached_property
    def model(self) -> Any:
        """Backbone and head."""
        if self.is_openvino:
            network = openvino_core().read_model(self.kept.xml)
            return with_head(network, self.run.head)
        return build_classifier(self.backbone.model, self.run.head)

    @cached_property
    def own(self) -> Answers:
        """What the run answers with its own network."""
        device = "auto" if self.spec.precision == "float16" else "cpu"  # which it needs a GPU for
        return self._ask("the run itself", self.load(self.spec, device))

    @cached_property
    def reference(self) -> Answers:
        """What it answers in float32: files of floats cannot be as another precision."""
        is_float32 = self.spec.precision == "float32"
        return self.own if is_float32 else self._ask("the run in float32", self.backbone)

    def _ask(self, who: str, backbone: Any) -> Answers:
        answer = partial(_answer, backbone, self.run.head, self.spec.resize_rule)
        return self._answers(who, answer)

    def _answers(self, who: str, answer: Callable[[bytes], Scores]) -> Answers:
        total = len(self.photos.photos)
        return Answers.of(
            self.photos.photos, answer, lambda done: self.on_progress(f"asking {who}", done, total)
        )

    @cached_property
    def calibration(self) -> Photos:
        """Training photos for int8."""
        size, rule = self.backbone.input_size, self.spec.resize_rule
        return calibration_pixels(
            self.run, self.request.photo_folder, size, rule, CALIBRATION_PHOTOS
        )

    def export(self, row: FormatRow, draft: Path) -> ExportedFile:
        """Write one format into the draft folder, and check it."""
        described = self.describe(row)
        ending = f"_{described.precision}" if self.request.quantise else ""
        path = draft / f"{self.run.name}{ending}{row.ending}"
        parts = ExportParts(self.model, described, lambda: self.calibration, self.is_openvino)
        self.on_progress(f"writing the {row.title}", 0, 0)
        function_of("writers", row.writer)(parts, path)
        opened = open_exported(path)
        parity = Parity(
            self.reference,
            self._answers(f"the {row.title}", opened.from_photo),
            self.photos.labels,
            tolerance_for(described.precision, self.request.tolerance),
            described.precision == "int8",
        )
        digest = digest_folder(path) if path.is_dir() else hex_digest(path)
        size = sum(one.stat().st_size for one in _files_of(path))
        if parity.fault is not None:
            path = path.rename(path.with_name(path.name + REJECTED))
        return ExportedFile(path, described, parity, size, digest)

    def describe(self, row: FormatRow) -> ExportDescription:
        """What the file of a format is to say of itself."""
        run, (height, width) = self.run, self.backbone.input_size
        least = threshold_of(run, self.request.max_error)
        digests = run.digests.files if run.digests else {}
        known = {name: one[-1] for name, one in digests.items() if name in _MADE_FROM}
        weights = str(converted_from(self.spec).identity()["weights"])
        return ExportDescription(
            run=run.name,
            created=run.info.created,
            version=__version__,
            labels=run.labels,
            format=row.name,
            input=self.request.input_of(row),
            height=height,
            width=width,
            resize=self.spec.resize_rule,
            backbone=run.info.backbone.label(),
            precision=self.request.precision,
            temperature=temperature_of(run),
            least_score=least,
            max_error=None if least is None else self.request.max_error,
            digests={"weights": weights, **{k: v for k, v in known.items() if v is not None}},
        )


_MADE_FROM = ("head.npz", "labels.json", "config.json", "calibration.npz")


def _answer(backbone: Any, head: Head, rule: str, data: bytes) -> Scores:
    pixels = decode_image(data, backbone.input_size, rule)[np.newaxis]
    return np.asarray(head.probabilities(backbone(pixels))[0], np.float32)


def temperature_of(run: Run) -> float | None:
    """What the run's logits are divided by; None where its scores are as trained."""
    if run.calibration is not None:
        return run.calibration.temperature
    fit = run.provenance.fit
    return None if fit is None else fit.temperature


def threshold_of(run: Run, max_error: float) -> float | None:
    """The least score of an answer, so that at most `max_error` of those on validation are wrong.

    None where the run has no validation photos, or so few wrong answers cannot be had.
    """
    predictions = run.predictions
    rows = predictions.rows("validation")
    if not len(rows):
        return None
    scores, right = predictions.top_scores[rows, 0], predictions.rank[rows] == 1
    try:
        rule = choose_rule(scores, right, np.zeros(len(rows), np.float32), max_error)
    except RunError:
        return None
    return rule.least_score


def _summary(job: _Job, folder: Path, files: list[ExportedFile]) -> ExportSummary:
    placed = tuple(replace(one, path=folder / one.path.name) for one in files)
    accuracy = job.own.accuracy(job.photos.labels)
    return ExportSummary(
        job.run.name,
        job.spec.precision,
        folder,
        job.own,
        placed,
        accuracy,
        job.photos.missing,
    )


def _write_beside(job: _Job, draft: Path, summary: ExportSummary) -> None:
    """Labels, card, figures and examples, beside the files."""
    texts = {
        LABELS_FILE: "".join(f"{label}\n" for label in job.run.labels),
        PARITY_FILE: to_json(summary.to_dict(), indent=2) + "\n",
        CARD_FILE: write_card(
            [CardFile(one.path.name, one.described, one.to_dict()) for one in summary.files],
            summary.own_figures(),
            _photos_in_words(job.run),
        ),
    }
    for one in summary.files:
        texts[example_name(one.described)] = example_of(one.described, one.path.name)
    for name, text in texts.items():
        (draft / name).write_text(text, encoding="utf-8", errors="backslashreplace")


def _photos_in_words(run: Run) -> str:
    counts = run.provenance.counts
    number = counts.trained_on or counts.training_images
    return "photos" if number is None else f"{number:,} photos"


def _files_of(path: Path) -> list[Path]:
    return [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
