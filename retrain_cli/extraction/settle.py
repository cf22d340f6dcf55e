"""From `auto` to one precision, one runtime and, for OpenVINO, one converted model.

A cache that already holds most of the photos decides first: computing them again in a faster
precision takes longer than going on. Then the machine decides.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from retrain_cli.backbones.machine import Choice, choose_for_machine
from retrain_cli.backbones.precisions import Precision
from retrain_cli.backbones.runtimes.kept_models import KeptModel, find_kept_model
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.cache_files import cache_files
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.engine import has_openvino
from retrain_cli.errors import BackboneError, CacheError, RetrainError, setting
from retrain_cli.extraction.photo_tree import PhotoTree
from retrain_cli.extraction.readers import ThreadReaders
from retrain_cli.extraction.reading import read_ready
from retrain_cli.images.decode import Pixels, decode_image
from retrain_cli.images.limits.limited import PHOTO_TIMEOUT
from retrain_cli.parallel import usable_processors
from retrain_cli.workspace import Workspace

_MOST = 0.5
CALIBRATION_PHOTOS = 192
"""Photos that show 8-bit quantisation which values occur."""

_PREFERRED: tuple[Precision, ...] = ("int8", "float16", "bfloat16", "float32")
"""The later, the better, where several caches hold as much; nobody gets 8 bits unasked."""


@dataclass(frozen=True, slots=True)
class _Cached:
    """A cache that this backbone could go on with, and the share of the photos that it holds."""

    backbone: BackboneSpec
    share: float

    @property
    def may_lose(self) -> bool:
        """Whether heads may be worse on its vectors than on those of float32."""
        tolerated = self.backbone.tolerates_bfloat16
        return self.backbone.precision not in ("float32", *(["bfloat16"] if tolerated else []))

    @property
    def rank(self) -> tuple[float, int]:
        """The higher, the better to go on with; of equals that which the machine would take."""
        precision = self.backbone.precision
        fast = precision == "bfloat16" and not self.may_lose
        return self.share, len(_PREFERRED) if fast else _PREFERRED.index(precision)


def settle_backbone(
    spec: BackboneSpec,
    device: str,
    workspace: Workspace,
    photos: PhotoTree,
    *,
    convert: bool,
    on_stage: Callable[[str], None] = lambda stage: None,
    photo_timeout: float = PHOTO_TIMEOUT,
) -> Choice:
    """Settle a resolved spec.

    Args:
        spec: what was asked for.
        device: auto, cpu, gpu or gpu:N.
        workspace: where the caches and the converted models are.
        photos: the photos to compute.
        convert: whether to convert a network that no one has converted yet; else its model stays
            open, and so the spec is not settled.
        on_stage: called with what is about to take a while.
        photo_timeout: as of `ExtractionSettings`, for photos that a network is calibrated on.

    Raises:
        RetrainError: what was asked for cannot be had on this machine.
    """
    if spec.is_settled:
        return Choice(spec)
    cached = _fullest_cache(spec, workspace, photos)
    if cached is not None and _can_go_on(cached, device):
        return Choice(cached.backbone, _going_on(spec, cached, device))
    choice = choose_for_machine(spec, device)
    if choice.backbone.is_settled:
        return choice
    try:
        converter = _Converter(workspace.models_dir, photos, on_stage, photo_timeout)
        kept = _kept_model(choice.backbone, workspace.models_dir, converter if convert else None)
    except RetrainError as error:
        if spec.runtime == "openvino" or not _can_do_without(spec, error):
            raise
        own = spec.settled_on_own()
        engine = "Keras" if own.runtime == "keras" else own.runtime
        return Choice(own, f"going on with {engine}, which is slower: {error}")
    return replace(choice, backbone=replace(choice.backbone, model=kept.digest if kept else None))


def _can_do_without(spec: BackboneSpec, error: RetrainError) -> bool:
    """Whether it is OpenVINO alone that has no use for the network."""
    from retrain_cli.backbones.runtimes.conversion import ConversionError

    installed = spec.own_runtime == "keras" or find_spec(spec.own_runtime) is not None
    return isinstance(error, ConversionError) and installed


def _fullest_cache(spec: BackboneSpec, workspace: Workspace, photos: PhotoTree) -> _Cached | None:
    """The cache of this backbone, in any precision that `spec` leaves open, with most photos."""
    found = []
    for path in cache_files(workspace.cache_dir):
        try:
            with BottleneckStore(path, read_only=True) as store:
                backbone = _as_in(store.identity, spec)
                if backbone is not None:
                    found.append(_Cached(backbone, photos.share_in(store)))
        except CacheError:
            continue  # whoever uses that one will be told
    return max(found, key=lambda cached: cached.rank, default=None)


def _as_in(identity: dict[str, Any], spec: BackboneSpec) -> BackboneSpec | None:
    """`spec` with what it leaves open as a cache has it; None if that is another backbone."""
    held = replace(
        spec,
        precision=identity.get("precision", "float32"),
        runtime=identity.get("runtime", "keras"),
        model=identity.get("model"),
    )
    asked = ((spec.precision, held.precision), (spec.runtime, held.runtime))
    if any(wanted not in ("auto", there) for wanted, there in asked):
        return None
    try:
        return held if held.identity() == identity else None
    except RetrainError:
        return None  # of a newer version


def _can_go_on(cached: _Cached, device: str) -> bool:
    if cached.share <= _MOST or cached.share == 1:
        return cached.share == 1  # complete: nothing is to be computed
    on_own = cached.backbone.runtime == cached.backbone.own_runtime
    return on_own or (has_openvino() and not device.startswith("gpu"))


def _going_on(spec: BackboneSpec, cached: _Cached, device: str) -> str:
    """What to tell where the machine alone would have chosen something else.

    Of a complete cache nothing is computed, so the machine is not asked: that imports an engine.
    Then only a precision is told that may cost accuracy and that nobody asked for.
    """
    held = cached.backbone
    if cached.share == 1 and not (spec.precision == "auto" and cached.may_lose):
        return ""
    if cached.share == 1:
        wanted = "--precision float32"
    else:
        best = choose_for_machine(spec, device).backbone
        if (best.precision, best.runtime) == (held.precision, held.runtime):
            return ""
        wanted = f"--precision {best.precision} --runtime {best.runtime}"
    return (
        f"going on in {held.precision} with {held.runtime}, for that cache holds "
        f"{cached.share:.0%} of these photos; `retrain bottlenecks {wanted}` "
        f"computes all of them anew"
    )


@dataclass(frozen=True, slots=True)
class _Converter:
    """Makes the converted networks that are not kept yet."""

    models: Path
    photos: PhotoTree
    on_stage: Callable[[str], None]
    photo_timeout: float

    def convert(self, spec: BackboneSpec) -> KeptModel:
        """Convert, or for 8 bits quantise what was converted."""
        if spec.precision == "int8":
            from retrain_cli.backbones.runtimes.quantisation import check_installed, quantise

            check_installed()
            base = _kept_model(replace(spec, precision="float32"), self.models, self)
            assert base is not None
            self.on_stage(f"calibrating 8 bits on up to {CALIBRATION_PHOTOS} of your photos, once")
            images = partial(_calibration_images, spec, self.photos, self.photo_timeout)
            return quantise(base, spec, self.models, images)
        from retrain_cli.backbones.runtimes.converters import convert_network

        self.on_stage("converting the network for OpenVINO, once")
        return convert_network(spec, self.models)


def _kept_model(spec: BackboneSpec, models: Path, converter: _Converter | None) -> KeptModel | None:
    """The converted model of a spec for OpenVINO, made where there is none."""
    kept = find_kept_model(models, spec)
    return kept if kept is not None or converter is None else converter.convert(spec)


def _calibration_images(
    spec: BackboneSpec, photos: PhotoTree, photo_timeout: float
) -> list[Pixels]:
    """The first good photos in the order of their digests; extraction tells of the bad ones."""
    if spec.input_size is None:
        raise BackboneError(
            f"{setting('precision', 'int8')} is calibrated on square images, and {spec.label()} "
            "takes others: choose another precision"
        )
    side = spec.input_size
    decode = partial(decode_image, size=(side, side), rule=spec.resize_rule, timeout=photo_timeout)
    with (
        ThreadReaders(decode, None, usable_processors()) as readers,
        closing(read_ready(readers, photos.by_digest(), str, usable_processors())) as results,
    ):
        decoded = (seen.pixels for _, seen in results if seen.pixels is not None)
        return list(islice(decoded, CALIBRATION_PHOTOS))
