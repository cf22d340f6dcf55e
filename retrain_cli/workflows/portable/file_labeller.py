"""Labelling without a run of the workspace: with an exported file, or with a bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.loader import BackboneLoader
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.trust import WARNING, is_trusted, trust
from retrain_cli.errors import ExportError, setting
from retrain_cli.evaluation.curves.rejection import RejectionRule, ScoreThreshold
from retrain_cli.evaluation.ranking import top_k
from retrain_cli.exporting.runners.exported_model import (
    ExportedModel,
    format_of,
    open_exported,
    saved_model_folder,
)
from retrain_cli.extraction.pipeline import extractor_at
from retrain_cli.paths import as_path
from retrain_cli.workflows.label import (
    USUAL_TOP_K,
    LabelledImage,
    Labeller,
    LabelRequest,
    answers_of,
    labelled,
)
from retrain_cli.workflows.portable.bundling import open_bundle
from retrain_cli.workflows.portable.photo_classifier import PhotoClassifier
from retrain_cli.workflows.shared.embedding import Embedder, Photos
from retrain_cli.workspace import Workspace


class AnyLabeller(Protocol):
    """Whatever labels photos: see `Labeller`."""

    @property
    def title(self) -> str:
        """What labels, in a word."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that a photo can get."""

    @property
    def rule(self) -> RejectionRule | None:
        """When a photo is left unnamed, as validation told it; None where it was not asked."""

    @property
    def unknown_rejected(self) -> float | None:
        """The share of photos of an unknown class that is expected to be left unnamed."""

    def label(self, photos: Photos) -> Iterator[LabelledImage]:
        """Label photos as they come, in order."""

    def classifier(self) -> PhotoClassifier:
        """The same for photos that come in no order."""

    def __enter__(self) -> AnyLabeller: ...

    def __exit__(self, *_: object) -> None: ...


ModelOpener = Callable[[LabelRequest, Workspace], AnyLabeller]
"""Opens what a request names: `open_labeller`, or what a test has in its place."""


def open_labeller(
    request: LabelRequest, workspace: Workspace, load: BackboneLoader | None = None
) -> AnyLabeller:
    """Whatever the request names: a run of the workspace, an exported file, or a bundle.

    Raises:
        RetrainError: it is not there, is damaged, or cannot be used here.
    """
    if request.model is not None:
        return FileLabeller(request, as_path(request.model), workspace)
    if request.bundle is None:
        return Labeller(request, workspace, load)
    bundle = as_path(request.bundle)
    opened = open_bundle(bundle, workspace)
    threshold = None
    if request.reject:
        threshold = _threshold(bundle, opened.least_score)
    return Labeller(request, workspace, load, opened.run, threshold)


def _threshold(path: Path, least_score: float | None) -> ScoreThreshold:
    if least_score is None:
        raise ExportError(
            f"{setting('reject')} takes the threshold that {path} carries, and it carries none, "
            "for its run had no validation photos that tell one: label without it, or with the run"
        )
    return ScoreThreshold(least_score)


@dataclass(frozen=True, eq=False)
class _FileForward:
    """An exported file as what turns pixels into vectors: its scores."""

    opened: ExportedModel
    any_batch_size: bool = True
    batches_at_once: int = 1

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.opened.scores(images)


class FileLabeller:
    """An exported file that is ready to label; photos are decoded as for a run.

    Args:
        request: how to label.
        path: the file or folder.
        workspace: where it is noted which SavedModels may run.

    Raises:
        ExportError: it is not there, is damaged, or is a SavedModel that nobody trusts.
        MissingExtraError: its runtime is not installed.
    """

    def __init__(self, request: LabelRequest, path: Path, workspace: Workspace) -> None:
        if format_of(path) == "savedmodel":
            _check_trusted(request, path, workspace)
        opened = open_exported(path)
        self._request, self._described = request, opened.description
        self._name = path.name
        self._threshold = _threshold(path, self._described.least_score) if request.reject else None
        self._forward = _FileForward(opened)
        extractor = extractor_at(
            self._forward,
            self._described.size,
            self._described.resize,
            None,
            request.settings,
        )
        self._embedder = Embedder.over(extractor)

    def __enter__(self) -> FileLabeller:
        return self

    def __exit__(self, *_: object) -> None:
        self._embedder.close()

    @property
    def title(self) -> str:
        """What labels, in a word: the file's name."""
        return self._name

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that a photo can get."""
        return self._described.labels

    @property
    def rule(self) -> RejectionRule | None:
        """Of a file no more is known than its threshold."""
        return None

    @property
    def unknown_rejected(self) -> float | None:
        """Nobody measured it."""
        return None

    def classifier(self) -> PhotoClassifier:
        """The same for photos that come in no order; as `Labeller.classifier`."""
        described, rule = self._described, self._threshold
        return PhotoClassifier(
            described.labels,
            described.size,
            described.resize,
            self._forward,
            lambda scores: scores,  # a file gives them itself
            None if rule is None else rule.judge,
        )

    def label(self, photos: Photos) -> Iterator[LabelledImage]:
        """Label photos as they come, in order; as `Labeller.label`."""
        return labelled(self._embedder.embed(photos), self._answers)

    def _answers(self, scores: NDArray[np.float32]) -> list[LabelledImage]:
        if not len(scores):
            return []
        most = min(self._request.top_k or USUAL_TOP_K, scores.shape[1])
        best = top_k(scores, most)
        values = np.take_along_axis(scores, best, axis=1)
        rule = self._threshold
        judged = None if rule is None else rule.judge(scores, values[:, 0])
        return answers_of(self.labels, best, values, self._request.threshold, judged)


def _check_trusted(request: LabelRequest, path: Path, workspace: Workspace) -> None:
    spec = BackboneSpec(name=f"hub:{saved_model_folder(path)}")
    if request.trust_model:
        workspace.prepare()
        trust(spec, workspace)
    elif not is_trusted(spec, workspace):
        raise ExportError(
            f"{WARNING}, so it runs only where somebody trusts it, and {path} was not exported "
            f"here: if you know who made it, say {setting('trust_model', True)} once"
        )
