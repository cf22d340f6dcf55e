"""`retrain label`: name the classes of new images, in input order, as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.loader import BackboneLoader
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.checks import check_choices, check_least, check_share, check_views
from retrain_cli.errors import ConfigError, RunError, setting
from retrain_cli.evaluation.averaging import AveragingHead
from retrain_cli.evaluation.curves.rejection import (
    Rejected,
    RejectionRule,
    ScoreThreshold,
)
from retrain_cli.extraction.distributed.cluster_settings import ClusterSettings
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.extraction.readers import ReaderKind
from retrain_cli.heads.balancing.class_prior import Prior
from retrain_cli.heads.head import Head
from retrain_cli.images.limits.limited import PHOTO_TIMEOUT
from retrain_cli.notebook.sheets import Cell, Grid, sheet
from retrain_cli.paths import StrPath
from retrain_cli.runs.run import Run, RunStore
from retrain_cli.workflows.augmentation.averaged import distortion_of
from retrain_cli.workflows.portable.photo_classifier import PhotoClassifier
from retrain_cli.workflows.portable.rejector import Rejector
from retrain_cli.workflows.sharding.by_cluster import check_labels_by_cluster
from retrain_cli.workflows.shared.embedding import EmbeddedBatch, Embedder, Photos
from retrain_cli.workspace import Workspace

USUAL_TOP_K = 5


@dataclass(frozen=True)
class LabelRequest:
    """How to label.

    Attributes:
        run: name of the run; None for the latest.
        model: a file that `retrain export` wrote, in place of a run.
        bundle: a file that `retrain bundle` wrote, in place of a run.
        trust_model: whether a SavedModel may run: it can read and write files as any program.
        top_k: labels an image; None for `USUAL_TOP_K`.
        threshold: labels with a lower score are left out.
        batch_size: images a forward pass at most.
        workers: number of readers, who read and decode; None: one a processor.
        device: auto, cpu, gpu or gpu:N.
        reject: whether to leave photos unnamed that are unlike the training photos, or unsure.
        max_error: the share of the named photos that may be wrong; known photos of at most this
            share are taken for novel.
        readers: threads, processes or auto: processes where photos that need not be waited for are
            many.
        photo_timeout: seconds of processor time for a photo that may take very long by its header;
            0 for no limit.
        views: average the scores over this many distorted views of each photo, too.
        cluster: who computes: this process, or workers of a cluster.
        prior: the scores are for photos of which each class is as likely, or for photos in the
            shares of training; None for what the run was trained for.
    """

    run: str | None = None
    top_k: int | None = None
    threshold: float = 0.0
    batch_size: int = 32
    workers: int | None = None
    device: str = "auto"
    reject: bool = False
    max_error: float = 0.05
    readers: ReaderKind = "auto"
    photo_timeout: float = PHOTO_TIMEOUT
    views: int = 0
    prior: Prior | None = None
    model: StrPath | None = None
    bundle: StrPath | None = None
    trust_model: bool = False
    cluster: ClusterSettings = field(default_factory=ClusterSettings)

    def __post_init__(self) -> None:
        check_choices(self)
        _check_one_source(self)
        check_labels_by_cluster(self)
        check_least(self, 1, "top_k")
        check_views(self)
        check_share(self, "max_error")
        check_share(self, "threshold", with_0=True, with_1=True)
        _ = self.settings  # it checks the rest

    @property
    def settings(self) -> ExtractionSettings:
        """How to extract."""
        return ExtractionSettings.of(self)


def _check_one_source(request: LabelRequest) -> None:
    """Refuse two that label at once, and options that an exported file or a bundle cannot follow.

    Raises:
        ConfigError: there are such.
    """
    named = [name for name in ("run", "model", "bundle") if getattr(request, name) is not None]
    if len(named) > 1:
        raise ConfigError(
            f"one of {setting('run')}, {setting('model')} and {setting('bundle')} labels, not "
            f"{' and '.join(setting(name) for name in named)}: leave the others out"
        )
    fixed = [name for name in ("prior", "views") if getattr(request, name)]
    if request.model is not None and fixed:
        raise ConfigError(
            f"an exported file answers as it was exported, without {setting(fixed[0])}: leave it "
            "out, or label with the run"
        )


@dataclass(frozen=True)
class Label:
    """A class and its score, the head's probability."""

    label: str
    score: float


@dataclass(frozen=True)
class LabelledImage:
    """The answer for one image.

    Attributes:
        path: as it was given.
        labels: best first; empty for a bad file, or where no score reaches the threshold.
        error: why the file could not be labelled, or None.
        rejected: why it is left unnamed, with `LabelRequest.reject`; its labels are then empty.
        best: the label that it would have had.
        novelty: how unlike the training photos it is, in standard deviations of known photos;
            None without `reject`.
    """

    path: str
    labels: tuple[Label, ...]
    error: str | None = None
    rejected: Rejected | None = None
    best: Label | None = None
    novelty: float | None = None

    def _repr_html_(self) -> str:
        rows: list[list[Cell]] = [[one.label, one.score] for one in self.labels]
        return sheet(self.path, self.reason, Grid(("label", "score"), rows, bars=True))

    @property
    def reason(self) -> str:
        """Why it has no label, in words; empty where it has one."""
        if self.error is not None:
            return self.error
        likely = f", most like {self.best.label} ({self.best.score:.1%})" if self.best else ""
        return f"{self.rejected}{likely}" if self.rejected else "" if self.labels else "no label"


class Labeller:
    """A run that is ready to label: head, cache and, once needed, the backbone.

    Use it in a `with` block, or `close` it.
    """

    def __init__(
        self,
        request: LabelRequest,
        workspace: Workspace,
        load: BackboneLoader | None = None,
        run: Run | None = None,
        threshold: ScoreThreshold | None = None,
    ) -> None:
        """Open the run.

        Args:
            request: how to label.
            workspace: where the run and its cache are.
            load: how to load the backbone; None for the usual way.
            run: a run from elsewhere; None for the one that the request names.
            threshold: what leaves its photos unnamed, with `reject`; None to learn it here.

        Raises:
            RetrainError: no such run, or its backbone is gone.
        """
        self._request = request
        self._run = run or RunStore(workspace.runs_dir).get(request.run)
        self._head = head_for(self._run, request.prior)
        self._rejector: Rejector | ScoreThreshold | None = None
        if request.reject:
            self._rejector = threshold or Rejector.of(
                self._run, workspace, request.max_error, self._head
            )
        views = (distortion_of(self._run, workspace), request.views) if request.views else None
        self._asked = AveragingHead(self._head, request.views) if views else self._head
        self._embedder = Embedder(
            backbone_of(self._run), workspace, request.settings, load, views, request.cluster
        )

    def close(self) -> None:
        """Close the cache; further calls fail."""
        self._embedder.close()

    def __enter__(self) -> Labeller:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def rule(self) -> RejectionRule | None:
        """When a photo is left unnamed; None without `reject`."""
        found = self._rejector
        return found.rule if isinstance(found, Rejector) else None

    @property
    def unknown_rejected(self) -> float | None:
        """The share of photos of an unknown class that is expected to be left unnamed, 0 to 1."""
        found = self._rejector
        return found.unknown_rejected if isinstance(found, Rejector) else None

    @property
    def run(self) -> Run:
        """The run that labels."""
        return self._run

    @property
    def title(self) -> str:
        """What labels, in a word: the run's name."""
        return self._run.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that a photo can get."""
        return self._run.labels

    def classifier(self) -> PhotoClassifier:
        """The same for photos that come in no order, one at a time; the network is loaded here.

        It needs neither the cache nor this labeller, which may be closed.
        """
        backbone = self._embedder.backbone
        assert backbone is not None  # only an exported file has none
        judge = None if self._rejector is None else self._rejector.judge
        loaded = backbone.load()
        return PhotoClassifier(
            self._head.labels,
            loaded.input_size,
            backbone_of(self._run).resize_rule,
            loaded,
            self._head.probabilities,
            judge,
            loaded.device,
        )

    def label(self, photos: Photos) -> Iterator[LabelledImage]:
        """Label photos as they come, in order; memory does not grow with their number.

        A photo is a path, the bytes of a file, a picture of Pillow, or an array (height, width,
        channels) from 0 to 255 or of fractions from 0 to 1; one alone is as good as a list.

        Those of a list, or of `Ready`, are read as if all were there; any other source may be slow,
        and each image is answered as soon as there is no other one to wait for.
        """
        return labelled(self._embedder.embed(photos), self._answers)

    def _answers(self, vectors: NDArray[np.float32]) -> list[LabelledImage]:
        """An answer for each image, without its name."""
        if not len(vectors):
            return []
        indices, scores = self._asked.top_k(vectors, self._request.top_k or USUAL_TOP_K)
        judged = None
        if self._rejector is not None:
            judged = self._rejector.judge(vectors[:, : self._head.width], scores[:, 0])
        return answers_of(self._head.labels, indices, scores, self._request.threshold, judged)


def labelled(
    batches: Iterable[EmbeddedBatch],
    answer: Callable[[NDArray[np.float32]], list[LabelledImage]],
) -> Iterator[LabelledImage]:
    """The answers for batches of photos, in order and under their names.

    Args:
        batches: the photos.
        answer: of the vectors of those that can be used, an answer each without its name.
    """
    for batch in batches:
        answers = iter(answer(batch.vectors))
        for source, problem in zip(batch.sources, batch.problems, strict=True):
            if problem:
                yield LabelledImage(source.name, (), problem)
            else:
                yield replace(next(answers), path=source.name)


def answers_of(
    names: tuple[str, ...],
    indices: NDArray[np.integer],
    scores: NDArray[np.float32],
    threshold: float,
    judged: list[tuple[float | None, Rejected | None]] | None,
) -> list[LabelledImage]:
    """An answer for each image, without its name.

    Args:
        names: of the classes.
        indices: `(n_images, k)` classes, best first.
        scores: `(n_images, k)` their probabilities.
        threshold: labels with a lower score are left out.
        judged: novelty of each image, and why it should not be named; None where nobody asked.
    """
    labels = [
        tuple(Label(names[index], score) for index, score in zip(classes, some, strict=True))
        for classes, some in zip(indices.tolist(), scores.tolist(), strict=True)
    ]

    def high_enough(some: tuple[Label, ...]) -> tuple[Label, ...]:
        return tuple(label for label in some if label.score >= threshold)

    if judged is None:
        return [LabelledImage("", high_enough(some)) for some in labels]
    return [
        LabelledImage("", () if reason else high_enough(some), None, reason, some[0], novelty)
        for some, (novelty, reason) in zip(labels, judged, strict=True)
    ]


def head_for(run: Run, prior: Prior | None) -> Head:
    """The head of a run whose scores are for a prior; None for what it was trained for.

    Raises:
        RunError: the run does not know the shares that its classes had.
    """
    if prior is not None and run.head.prior is None:
        reason = f"was not trained with {setting('balance', 'prior')}"
        if run.config.balance == "prior":  # its parent was
            reason = "is of a head that add-class or finetune has changed since"
        raise RunError(
            f"{setting('prior', prior)} takes a run that knows the shares its classes had in "
            f"training, and run {run.name} {reason}: train one with {setting('balance', 'prior')}"
        )
    return run.head if prior is None else run.head.for_prior(prior)


def backbone_of(run: Run) -> BackboneSpec:
    """The backbone that the run was trained on.

    Raises:
        RunError: the weights file changed since.
    """
    spec = run.info.backbone.resolve()
    if spec.fingerprint() != run.info.cache:
        raise RunError(
            f"run {run.name} was trained on other weights than {spec.weights} holds now: put the "
            "old file back, or run `retrain bottlenecks` and `retrain train` again"
        )
    return spec
