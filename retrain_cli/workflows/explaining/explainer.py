"""`retrain explain`: which places of a photo speak for a class, in input order, as they come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.loader import LazyBackbone, loader_of
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.checks import check_choices, check_least
from retrain_cli.datasets.class_names import close_names, find_name, listed
from retrain_cli.errors import ConfigError, ImageError, RunError, setting
from retrain_cli.explaining.channels import LayerChannels
from retrain_cli.explaining.heatmap import Heatmap, Method
from retrain_cli.explaining.slopes import slopes_of
from retrain_cli.extraction.pipeline import ExtractionSettings, extractor_for
from retrain_cli.extraction.readers import ReaderKind
from retrain_cli.images.decode import upright_size
from retrain_cli.images.limits.limited import PHOTO_TIMEOUT
from retrain_cli.images.photo_files import read_file
from retrain_cli.images.placement import Placement
from retrain_cli.notebook.sheets import image_sheet, sheet
from retrain_cli.reports.heatmaps.heat_colours import SmallPhoto, levels
from retrain_cli.runs.run import Run, RunStore
from retrain_cli.storage.urls import absolute_place
from retrain_cli.workflows.explaining.heatmap_makers import Asked, HeatmapMaker, maker_of
from retrain_cli.workflows.label import backbone_of
from retrain_cli.workflows.shared.embedding import EmbeddedBatch, Embedder, Photos, Source
from retrain_cli.workspace import Workspace

if TYPE_CHECKING:
    from PIL import Image

PREDICTED, TRUE = "predicted", "true"
USUAL_TOP_K = 2


@dataclass(frozen=True)
class ExplainRequest:
    """What to explain, and how.

    Attributes:
        run: name of the run; None for the latest.
        of_class: for which class: its name, true for the class of the photo's folder, or predicted.
        top_k: for how many of the classes that score best; None for `USUAL_TOP_K`.
        contrast: two classes: why the first and not the second; empty for none.
        method: cam, layercam, fused or occlusion.
        layer: of layercam and fused, the layer; None for the last one that is finer. Of channels
            the layer; None for the first one.
        channels: in place of heatmaps, so many of the channels of a layer that answer most.
        beside: with channels, other weights of the same network, shown beside it: imagenet, random,
            a file, or a run of a finetune.
        batch_size: images a forward pass at most.
        workers: number of readers, who read and decode; None: one a processor.
        device: auto, cpu, gpu or gpu:N.
        readers: threads, processes or auto.
        photo_timeout: seconds of processor time for a photo that may take very long by its header;
            0 for no limit.
    """

    run: str | None = None
    of_class: str = PREDICTED
    top_k: int | None = None
    contrast: tuple[str, ...] = ()
    method: Method = "cam"
    layer: str | None = None
    channels: int | None = None
    beside: str | None = None
    batch_size: int = 32
    workers: int | None = None
    device: str = "auto"
    readers: ReaderKind = "auto"
    photo_timeout: float = PHOTO_TIMEOUT

    def __post_init__(self) -> None:
        check_choices(self)
        check_least(self, 1, "top_k", "channels")
        if self.top_k is not None and (self.of_class != PREDICTED or self.contrast):
            raise ConfigError(
                f"{setting('top_k')} is for the classes that score best, and one is named already: "
                f"leave out {setting('top_k')}, or the class"
            )
        if self.contrast and self.of_class != PREDICTED:
            raise ConfigError(
                f"{setting('contrast')} names both classes: leave out "
                f"{setting('ExplainRequest.of_class')}"
            )
        if self.contrast and len(self.contrast) != 2:
            raise ConfigError(
                f"{setting('contrast')} takes two classes with a comma between them, not "
                f"{len(self.contrast)}: name the one and the other"
            )
        self._check_layer()
        _ = self.settings  # it checks the rest

    def _check_layer(self) -> None:
        if self.channels is not None:
            usual = ExplainRequest()
            other = next((name for name in ("of_class", "top_k", "contrast", "method")
                          if getattr(self, name) != getattr(usual, name)), None)  # fmt: skip
            if other is not None:
                raise ConfigError(
                    f"{setting('channels')} shows a layer, which knows no classes: leave out "
                    f"{setting(f'ExplainRequest.{other}')}"
                )
            return
        if self.layer is not None and self.method not in ("layercam", "fused"):
            raise ConfigError(
                f"{setting('layer')} is for {setting('channels')} and for "
                f"{setting('method', 'layercam')} or fused, and {self.method} takes none: leave it "
                "out"
            )
        if self.beside is not None:
            raise ConfigError(
                f"{setting('beside')} shows channels of two networks: say how many, such as "
                f"{setting('channels', 16)}"
            )

    @property
    def settings(self) -> ExtractionSettings:
        """How to extract."""
        return ExtractionSettings.of(self)


@dataclass(frozen=True, eq=False)
class ExplainedPhoto:
    """The answer for one photo.

    Attributes:
        source: the photo as it was given.
        heatmaps: one a class and layer, the best class first; none for a bad file.
        channels: in their place, of each network the channels that answer most.
        placement: where the network's input lies on it; None for a bad file.
        error: why it could not be explained, or None.
    """

    source: Source
    heatmaps: tuple[Heatmap, ...] = ()
    channels: tuple[LayerChannels, ...] = ()
    placement: Placement | None = None
    error: str | None = None

    def picture(self) -> Image.Image:
        """The photo with its heatmaps beside it, as a picture of Pillow.

        Raises:
            ImageError: the photo cannot be read any more, or there is no heatmap of it.
        """
        from PIL import Image

        from retrain_cli.reports.heatmaps.heat_panels import SIDE, draw_panels

        if self.placement is None or not self.heatmaps:
            raise ImageError(self.error or "there is no heatmap of it")
        small = SmallPhoto.read(self.source.locate(), SIDE, PHOTO_TIMEOUT)
        heats = [levels(heatmap, self.placement, small.drawn) for heatmap in self.heatmaps]
        panels = draw_panels(small, self.heatmaps, heats, Path(self.source.name).name)
        return Image.fromarray(panels)

    def _repr_html_(self) -> str:
        try:
            return image_sheet(self.source.name, self.picture())
        except ImageError as error:
            return sheet(self.source.name, str(error))

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        if self.placement is None:
            return {"path": self.source.name, "maps": [], "error": self.error}
        answer: dict[str, Any] = {
            "path": self.source.name,
            "size": list(self.placement.photo),
            "box": [round(edge, 3) for edge in self.placement.box],
        }
        if self.channels:
            return answer | {"layers": [layer.to_dict() for layer in self.channels]}
        return answer | {"maps": [heatmap.to_dict() for heatmap in self.heatmaps]}


class Explainer:
    """A run that is ready to explain what it says; use it in a `with` block, or `close` it."""

    def __init__(
        self, request: ExplainRequest, workspace: Workspace, maker: HeatmapMaker | None = None
    ) -> None:
        """Open the run.

        Args:
            request: what is wanted.
            workspace: where the run is.
            maker: how heatmaps are made; None for the way of the request's method.

        Raises:
            RetrainError: no such run or class, or its backbone is gone.
        """
        self._request = request
        self._run = RunStore(workspace.runs_dir).get(request.run)
        self._head = self._run.head
        self._named = self._class_of(request.of_class)
        self._pair = self._pair_of(request.contrast)
        self._spec = backbone_of(self._run)
        plain = loader_of(workspace)
        self._maker: HeatmapMaker = maker or maker_of(
            request.method, request.layer, self._head, workspace, plain
        )
        self._backbone = LazyBackbone(self._spec, request.device, self._maker.load)
        extractor = extractor_for(self._spec, self._backbone, None, request.settings)
        self._embedder = Embedder.over(extractor)

    def close(self) -> None:
        """Further calls fail."""
        self._embedder.close()

    def __enter__(self) -> Explainer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def run(self) -> Run:
        """The run that is explained."""
        return self._run

    def explain(
        self, photos: Photos, classes: Mapping[str, tuple[int, ...]] | None = None
    ) -> Iterator[ExplainedPhoto]:
        """Explain photos as they come, in order; memory does not grow with their number.

        Args:
            photos: paths, bytes of files, pictures of Pillow or arrays; one or several.
            classes: by the name of each photo the indices of the classes that it is explained for,
                as many for each; None for those of the request.
        """
        self._classes = classes
        self._backbone.load()  # what cannot be explained at all is said before any photo
        for batch in self._embedder.embed(photos):
            answers = iter(self._answers(batch))
            for source, problem in zip(batch.sources, batch.problems, strict=True):
                yield ExplainedPhoto(source, error=problem) if problem else next(answers)

    def _answers(self, batch: EmbeddedBatch) -> list[ExplainedPhoto]:
        """The answers for the photos without a problem."""
        if not len(batch.vectors):
            return []
        usable = [
            source
            for source, problem in zip(batch.sources, batch.problems, strict=True)
            if problem is None
        ]
        vectors = self._maker.vectors(batch.vectors)
        wanted = self._wanted(vectors, usable, batch.digests)
        known = wanted.min(axis=1).tolist()
        heatmaps: list[list[Heatmap]] = [[] for _ in usable]
        for classes in np.maximum(wanted, 0).T:
            self._add_heatmaps(heatmaps, batch.vectors, vectors, classes)
        return [
            self._answer(source, tuple(found), known=is_known >= 0)
            for source, found, is_known in zip(usable, heatmaps, known, strict=True)
        ]

    def _wanted(
        self, vectors: NDArray[np.float32], sources: list[Source], digests: tuple[bytes, ...]
    ) -> NDArray[np.int64]:
        """The classes of each photo, `(n, classes)`; -1 for a true class that is not known."""
        if self._classes is not None:
            return np.array([self._classes[source.name] for source in sources], np.int64)
        if self._pair is not None:
            return np.full((len(vectors), 1), self._pair[0])
        if self._named is not None:
            return np.full((len(vectors), 1), self._named)
        if self._request.of_class == TRUE:
            pairs = zip(sources, digests, strict=True)
            return np.array([[self._true_class(*pair)] for pair in pairs], np.int64)
        return self._head.top_k(vectors, self._request.top_k or USUAL_TOP_K)[0].astype(np.int64)

    def _add_heatmaps(
        self,
        heatmaps: list[list[Heatmap]],
        rows: NDArray[np.float32],
        vectors: NDArray[np.float32],
        classes: NDArray[np.int64],
    ) -> None:
        """Put the heatmaps of one class of each photo to those of the photo."""
        against = None if self._pair is None else np.full(len(classes), self._pair[1])
        slopes = slopes_of(self._head, vectors, classes)
        if against is not None:
            slopes = slopes.less(slopes_of(self._head, vectors, against))
        scores = self._head.probabilities(vectors)[np.arange(len(classes)), classes]
        labels = self._head.labels
        for layer, grids in self._maker.grids(rows, Asked(classes, against, slopes)):
            for at, found in enumerate(heatmaps):
                heatmap = Heatmap(
                    labels[classes[at]],
                    float(scores[at]),
                    grids[at],
                    "" if against is None else labels[against[at]],
                    layer,
                    float(slopes.logits[at]),
                    float(slopes.bias[at]) if self._request.method == "cam" else None,
                )
                found.append(heatmap)

    def _answer(
        self, source: Source, heatmaps: tuple[Heatmap, ...], *, known: bool
    ) -> ExplainedPhoto:
        if not known:
            folder = absolute_place(source.name).parent.name
            reason = f"its true class is not known: {folder!r} is no class of run {self._run.name}"
            return ExplainedPhoto(source, error=reason)
        placed = place_on_photo(source, self._spec, self._backbone.input_size)
        return placed if placed.error else replace(placed, heatmaps=heatmaps)

    def _class_of(self, name: str) -> int | None:
        """The index of the class that is named; None where none is."""
        return None if name in (PREDICTED, TRUE) else self._index(name)

    def _pair_of(self, contrast: tuple[str, ...]) -> tuple[int, int] | None:
        """The indices of the two classes of a contrast; None where none is asked for."""
        if not contrast:
            return None
        first, second = (self._index(name) for name in contrast)
        if first == second:
            raise ConfigError(
                f"{setting('contrast')} takes two different classes, not {contrast[0]} twice: name "
                "the one and the other"
            )
        return first, second

    def _index(self, name: str) -> int:
        found = find_name(name, self._head.labels)
        if found is not None:
            return self._head.labels.index(found)
        near = close_names(name, self._head.labels)
        hint = f"did you mean {' or '.join(near)}?" if near else (
            f"it has {listed(self._head.labels[:5])}"
            f"{' and more' if len(self._head.labels) > 5 else ''}"
        )  # fmt: skip
        raise RunError(f"run {self._run.name} has no class {name!r}: {hint}")

    def _true_class(self, source: Source, digest: bytes) -> int:
        """Of a photo of the run by what it was taken for then, of another one by its folder."""
        if digest in self._known:
            return self._known[digest]
        found = find_name(absolute_place(source.name).parent.name, self._head.labels)
        return -1 if found is None else self._head.labels.index(found)

    @cached_property
    def _known(self) -> dict[bytes, int]:
        """The classes of the run's own photos, by their digests."""
        images = self._run.predictions.images
        rows = zip(images.digest, images.labels.tolist(), strict=True)
        return {row.tobytes(): label for row, label in rows}


def place_on_photo(
    source: Source, spec: BackboneSpec, input_size: tuple[int, int]
) -> ExplainedPhoto:
    """The answer for a photo as far as it says where the network's input lies on it."""
    try:
        data = source.data
        if data is None:
            data = read_file(source.name)
        size = upright_size(data)
    except (OSError, ImageError) as error:  # it was there a moment ago
        return ExplainedPhoto(source, error=str(error))
    height, width = input_size
    return ExplainedPhoto(
        source, placement=Placement.by_rule(size, (width, height), spec.resize_rule)
    )
