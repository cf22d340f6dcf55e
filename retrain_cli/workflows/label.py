"""`retrain label`: name the classes of new images, in input order, as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.lazy import BackboneLoader
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.engine import check_device
from retrain_cli.errors import ConfigError, RunError
from retrain_cli.heads.runs import Run, RunStore
from retrain_cli.workflows.embedding import Embedder, Source
from retrain_cli.workspace import Workspace


@dataclass(frozen=True)
class LabelRequest:
    """How to label.

    Attributes:
        run: name of the run; None for the latest.
        top_k: labels an image.
        threshold: labels with a lower score are left out.
        batch_size: images a forward pass at most.
        workers: threads that read and decode; None: one a processor.
        device: auto, cpu, gpu or gpu:N.
    """

    run: str | None = None
    top_k: int = 5
    threshold: float = 0.0
    batch_size: int = 32
    workers: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        for flag, value in (
            ("--top-k", self.top_k),
            ("--batch-size", self.batch_size),
            ("--workers", self.workers),
        ):
            if value is not None and value < 1:
                raise ConfigError(f"{flag} must be at least 1, not {value}")
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"--threshold must be from 0 to 1, not {self.threshold:g}")
        check_device(self.device)


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
    """

    path: str
    labels: tuple[Label, ...]
    error: str | None = None


class Labeller:
    """A run that is ready to label: head, cache and, once needed, the backbone.

    Use it in a `with` block, or `close` it.
    """

    def __init__(
        self, request: LabelRequest, workspace: Workspace, load: BackboneLoader | None = None
    ) -> None:
        """Open the run.

        Raises:
            RetrainError: no such run, or its backbone is not to be had any more.
        """
        self._request = request
        self._run = RunStore(workspace.runs_dir).get(request.run)
        self._head = self._run.head
        self._embedder = Embedder(
            _same_backbone(self._run), workspace, request.device, request.workers, load
        )

    def close(self) -> None:
        """Close the cache; further calls fail."""
        self._embedder.close()

    def __enter__(self) -> Labeller:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def run(self) -> Run:
        """The run that labels."""
        return self._run

    def label(self, sources: Iterable[Source]) -> Iterator[LabelledImage]:
        """Label images as they come, in order; memory does not grow with their number."""
        for batch in self._embedder.embed(sources, self._request.batch_size):
            answers = iter(self._labels(batch.vectors))
            for source, problem in zip(batch.sources, batch.problems, strict=True):
                yield LabelledImage(source.name, () if problem else next(answers), problem)

    def _labels(self, vectors: NDArray[np.float32]) -> list[tuple[Label, ...]]:
        if not len(vectors):
            return []
        indices, scores = self._head.top_k(vectors, self._request.top_k)
        return [
            tuple(
                Label(self._head.labels[index], score)
                for index, score in zip(classes, probabilities, strict=True)
                if score >= self._request.threshold
            )
            for classes, probabilities in zip(indices.tolist(), scores.tolist(), strict=True)
        ]


def _same_backbone(run: Run) -> BackboneSpec:
    """The backbone that the run was trained on.

    Raises:
        RunError: the weights file changed since.
    """
    spec = BackboneSpec.from_dict(run.info.backbone).resolve()
    if spec.fingerprint() != run.info.cache:
        raise RunError(
            f"run {run.name} was trained on other weights than {spec.weights} holds now: put the "
            "old file back, or run `retrain bottlenecks` and `retrain train` again"
        )
    return spec
