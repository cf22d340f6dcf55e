"""What a layer of the backbone sees of photos, before any head."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from retrain_cli.backbones.loader import Backbone, LazyBackbone
from retrain_cli.backbones.spec import IMAGENET, RANDOM, BackboneSpec
from retrain_cli.errors import RunError
from retrain_cli.explaining.channels import ChannelBackbone
from retrain_cli.explaining.gradients import FIRST, GradientNetwork
from retrain_cli.extraction.pipeline import extractor_for
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.explaining.explainer import (
    ExplainedPhoto,
    ExplainRequest,
    place_on_photo,
)
from retrain_cli.workflows.label import backbone_of
from retrain_cli.workflows.shared.embedding import Embedder, Source
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workspace import Workspace

_MOST_AT_ONCE = 8
"""Photos a forward pass: the first layers of a network are large."""


class ActivationViewer:
    """The strongest channels of a layer; use it in a `with` block, or `close` it."""

    def __init__(self, request: ExplainRequest, workspace: Workspace) -> None:
        """Open the backbone of the run, or the one last used where there is no run.

        Args:
            request: what is wanted; `channels` of it is a number.
            workspace: where the run is.

        Raises:
            RetrainError: no such run, or its backbone is gone.
        """
        assert request.channels is not None
        self._spec = _backbone(request.run, workspace)
        others = [] if request.beside is None else [_other(self._spec, request.beside, workspace)]
        self._specs = [self._spec, *others]
        self._layer, self._count = request.layer or FIRST, request.channels
        self._asked: ChannelBackbone | None = None
        self._backbone = LazyBackbone(self._spec, request.device, self._load)
        settings = request.settings
        settings = replace(settings, batch_size=min(settings.batch_size, _MOST_AT_ONCE))
        self._embedder = Embedder.over(extractor_for(self._spec, self._backbone, None, settings))

    def close(self) -> None:
        """Further calls fail."""
        self._embedder.close()

    def __enter__(self) -> ActivationViewer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def explain(self, sources: Iterable[Source]) -> Iterator[ExplainedPhoto]:
        """The channels of photos as they come, in order."""
        self._backbone.load()  # what cannot be shown at all is said before any photo
        assert self._asked is not None
        for batch in self._embedder.embed(sources):
            rows = iter(batch.vectors)
            for source, problem in zip(batch.sources, batch.problems, strict=True):
                if problem:
                    yield ExplainedPhoto(source, error=problem)
                    continue
                found = self._asked.channels(next(rows))
                placed = place_on_photo(source, self._spec, self._backbone.input_size)
                yield replace(placed, channels=() if placed.error else found)

    def _load(self, spec: BackboneSpec, device: str) -> Backbone:
        named = [(_weights(one), GradientNetwork(one.resolve(), self._layer))
                 for one in self._specs]  # fmt: skip
        side = self._spec.resolve().input_size
        assert side is not None
        self._asked = ChannelBackbone(named, self._count, side)
        return self._asked


def _backbone(name: str | None, workspace: Workspace) -> BackboneSpec:
    store = RunStore(workspace.runs_dir)
    if name is None and not store.list():
        return LastUsed.load(workspace).backbone
    return backbone_of(store.get(name))


def _other(spec: BackboneSpec, weights: str, workspace: Workspace) -> BackboneSpec:
    """The same network with other weights: published, random, of a file or of a run."""
    if weights not in (IMAGENET, RANDOM) and not Path(weights).is_file():
        try:
            return backbone_of(RunStore(workspace.runs_dir).get(weights))
        except RunError:  # what it says of weights says more
            pass
    return replace(spec.settled_on_own(), weights=weights).resolve()


def _weights(spec: BackboneSpec) -> str:
    """Which weights a network has, in a few words."""
    weights = spec.resolve().weights
    if weights == RANDOM:
        return "random weights"
    if weights == IMAGENET:
        return "ImageNet weights"
    return Path(weights).name
