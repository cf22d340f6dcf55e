"""A network and what is trained of it, and where the numbers below that come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.loader import BackboneLoader, LazyBackbone
from retrain_cli.backbones.runtimes.kept_models import find_kept_model
from retrain_cli.backbones.runtimes.keras_model import build_network
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.engine import (
    choose_device,
    has_openvino,
    load_keras,
    on_device,
    quiet_engine,
)
from retrain_cli.errors import BackboneError, setting
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.finetuning.activation_cache import (
    ActivationCache,
    Missing,
    PhotoFile,
    bytes_each,
    check_room,
    count_arrays,
    open_activations,
    spec_at,
)
from retrain_cli.finetuning.batch_sources import BatchSource, CachedActivations, DecodedPhotos
from retrain_cli.finetuning.freeze_points import FreezePoint, choose_freeze_point, stages_of
from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.heads.softmax import check_learns
from retrain_cli.workspace import Workspace

PhotoCount = Callable[[int, int], None]

_UNKNOWN = {
    "hub": "is a SavedModel, which is one piece",
    "onnx": "is an ONNX file, which only computes",
    "timm": "is a network of timm, which Keras cannot train",
}
"""Why no other kind of backbone can be cut in two and trained."""


@dataclass(frozen=True, eq=False)
class Parts:
    """A network of the table, and where it is cut.

    Attributes:
        spec: the backbone, settled.
        network: the bare Keras network with its weights, in float32.
        point: what is trained, and where the activations come from.
        config: the settings.
    """

    spec: BackboneSpec
    network: Any
    point: FreezePoint
    config: TuningConfig

    @classmethod
    def build(cls, spec: BackboneSpec, config: TuningConfig, device: str = "auto") -> Parts:
        """Build the network of a settled spec and cut it.

        Raises:
            BackboneError: a network of the user's own, several layers side by side, or a layer
                inside a branch.
            RetrainError: the network cannot be built, or the layers do not exist.
        """
        check_layers_known(spec)
        check_learns(load_keras().backend.backend())
        plain = replace(spec, precision="float32", runtime="keras", model=None)
        with on_device(choose_device(device)), quiet_engine():
            network = build_network(plain)
        return cls(spec, network, choose_freeze_point(network, config.trainable), config)

    @property
    def streams(self) -> bool:
        """Whether photos are decoded anew in each epoch."""
        return self.config.stream or self.point.cut is None

    @property
    def cut_output(self) -> Any:
        """What leaves the layer at the freeze point, a symbolic tensor."""
        stages = stages_of(self.network)
        return next(one.operation.output for one in stages if one.name == self.point.cut)

    def frozen_spec_if_kept(self, workspace: Workspace) -> BackboneSpec | None:
        """The frozen part as a settled backbone; None where its network is to be converted yet."""
        spec = spec_at(self.spec, self.point)
        if spec.runtime != "openvino" or not has_openvino():
            return spec.settled_on_own()
        kept = find_kept_model(workspace.models_dir, spec)
        return None if kept is None else replace(spec, model=kept.digest)

    def frozen_spec(self, workspace: Workspace) -> BackboneSpec:
        """The frozen part as a settled backbone; its network is converted where need be."""
        spec = spec_at(self.spec, self.point)
        found = self.frozen_spec_if_kept(workspace)
        if found is None:
            from retrain_cli.backbones.runtimes.conversion import ConversionError, convert_backbone

            try:
                below = load_keras().Model(self.network.inputs, self.cut_output)
                digest = convert_backbone(spec, workspace.models_dir, below).digest
            except ConversionError:
                return spec.settled_on_own()  # slower, and the same numbers
            found = replace(spec, model=digest)
        return found


def check_layers_known(spec: BackboneSpec) -> None:
    """Refuse a backbone that cannot be cut in two and trained.

    Raises:
        BackboneError: a network of the user's own, or several layers side by side.
    """
    if spec.kind != "table":
        raise BackboneError(
            f"fine-tuning needs a network whose layers are known, and {spec.label()} "
            f"{_UNKNOWN[spec.kind]}: run `retrain bottlenecks` with a backbone of "
            "`retrain doctor --backbones`"
        )
    if len(spec.layers) > 1:
        raise BackboneError(
            f"fine-tuning trains a network that ends at one layer, and {spec.label()} takes "
            f"{len(spec.layers)} side by side: run `retrain bottlenecks` with one of them, or "
            f"without {setting('layer')}"
        )


@dataclass(frozen=True)
class TunedPhotos:
    """The photos of a dataset, and which of them train.

    Attributes:
        files: row by row.
        training: `(n_training,) int64`, the rows that views are wanted of.
    """

    files: Sequence[PhotoFile]
    training: NDArray[np.int64]

    @property
    def for_training(self) -> list[PhotoFile]:
        """Those that train."""
        return [self.files[row] for row in self.training.tolist()]


@dataclass(frozen=True, eq=False)
class Caches:
    """Activations of the plain photos and of the views that training draws from, open.

    Attributes:
        plain: of the photos.
        views: of the views; None for none.
    """

    plain: ActivationCache
    views: ActivationCache | None

    @classmethod
    @contextmanager
    def open(cls, parts: Parts, workspace: Workspace, spec: BackboneSpec) -> Iterator[Caches]:
        """Both files of the frozen part, a settled spec."""
        config = parts.config
        wanted = (config.distortion, config.views) if config.views else None
        at = (workspace, spec, parts.point, config.activations)
        with (
            open_activations(*at) as plain,
            open_activations(*at, wanted) if wanted else nullcontext() as views,
        ):
            yield cls(plain, views)

    def missing(self, photos: TunedPhotos) -> tuple[Missing, Missing]:
        """What is to be computed of photos and of views."""
        views = {} if self.views is None else self.views.missing(photos.for_training)
        return self.plain.missing(photos.files), views

    def fill(
        self,
        parts: Parts,
        photos: TunedPhotos,
        spec: BackboneSpec,
        load: BackboneLoader,
        settings: ExtractionSettings,
        on_photo: PhotoCount,
    ) -> None:
        """Compute and keep what is missing, where the disk has room for all of it.

        Raises:
            WorkspaceError: it has not.
            CacheError: a photo changed or went away since its bottleneck was computed.
        """
        missing = self.missing(photos)
        total, done = sum(map(count_arrays, missing)), 0
        if not total:
            return
        check_room(self.plain.folder, total * bytes_each(parts.point, parts.config.activations))

        def on_array(count: int) -> None:
            nonlocal done
            done += count
            on_photo(done, total)

        backbone = LazyBackbone(spec, settings.device, load)
        for cache, some in zip((self.plain, self.views), missing, strict=True):
            if cache is not None:
                cache.fill(some, spec, backbone, settings, on_array)


@contextmanager
def open_source(
    parts: Parts,
    photos: TunedPhotos,
    workspace: Workspace,
    settings: ExtractionSettings,
    load: BackboneLoader,
    on_photo: PhotoCount = lambda done, total: None,
) -> Iterator[BatchSource]:
    """The numbers of photos for the part that is trained, computed first where they are cached.

    Args:
        parts: the network.
        photos: of the dataset.
        workspace: where the cache is.
        settings: how photos are read.
        load: how to load the frozen part.
        on_photo: is told of each photo, or view of one, that goes through the frozen part.

    Raises:
        RetrainError: no room on the disk, a photo that changed, another command at work.
    """
    if parts.streams:
        paths = [photo.path for photo in photos.files]
        side, rule = parts.spec.input_size, parts.spec.resize_rule
        assert side is not None
        yield DecodedPhotos(paths, side, rule, parts.config.distortion, settings.workers)
        return
    spec = parts.frozen_spec(workspace)
    with Caches.open(parts, workspace, spec) as caches:
        with workspace.lock("finetune"):
            caches.fill(parts, photos, spec, load, settings, on_photo)
        digests = [photo.digest for photo in photos.files]
        yield CachedActivations(digests, caches.plain, caches.views)
