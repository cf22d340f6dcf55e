"""Which bottleneck is meant: the backbone and everything that makes two vectors comparable.

Nothing here imports Keras, so that a command can find its cache without an engine; only an address
of TensorFlow Hub needs TensorFlow, to say which files it stands for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from retrain_cli.backbones.digests import (
    digest_file,
    digest_folder,
    identity_fingerprint,
    settings_of,
)
from retrain_cli.backbones.hub import HUB_PREFIX, find_saved_model, is_handle
from retrain_cli.backbones.precisions import Precision, Runtime, check_pair, only_runtime
from retrain_cli.backbones.table import DEFAULT_BACKBONE, RETIRED_BACKBONES, find_backbone
from retrain_cli.backbones.user_networks.onnx_network import ONNX_PREFIX
from retrain_cli.backbones.user_networks.resolving import (
    BY_DIGEST,
    check_onnx_unchanged,
    check_pooling,
    check_runtime,
    refuse_options,
    refuse_whole_maps,
    resolve_onnx,
    resolve_timm,
)
from retrain_cli.backbones.user_networks.timm_network import TIMM_PREFIX
from retrain_cli.checks import check_choices, check_types
from retrain_cli.errors import BackboneError, ConfigError, WeightsError, setting
from retrain_cli.images.decode import PREPROCESSING_VERSION
from retrain_cli.paths import absolute

Pooling = Literal["auto", "avg", "max", "cls", "own", "none"]
Resize = Literal["auto", "squash", "crop", "letterbox"]
Kind = Literal["table", "hub", "onnx", "timm"]
"""Where a backbone comes from: a row of the table, or one of the user's, by what its name says."""

IMAGENET = "imagenet"
RANDOM = "random"
SAVED_MODEL = "saved_model"
"""Values of `BackboneSpec.weights` that are no path; the last one is set by `resolve` alone."""

RANDOM_SEED = 0

AUTO_LAYER = "auto"
"""Value of `BackboneSpec.layer` that leaves the choice to a cross-validation on the photos."""


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """What the flags say about the backbone; `resolve()` checks them and fills in the rest.

    Attributes:
        name: a name from the table; "hub:" and a TensorFlow Hub address or SavedModel folder;
            "onnx:" and a file; "timm:" and the name of one of its networks.
        alpha: width multiplier of the MobileNets; None for the default.
        layer: name of an earlier layer to take the bottleneck at; several with commas are taken
            side by side; auto chooses by the photos; None for the last one.
        pooling: how a feature map (h, w, channels), or a row of tokens, becomes one vector; cls
            takes the first token, own what the network itself does, none all numbers of a map in a
            row; auto is own for networks of timm, avg for all others.
        weights: "imagenet", "random" or the path of a weights file.
        input_size: side in pixels; None for the backbone's own.
        resize: how a photo is brought to that square; auto is squash, and for networks of timm
            what they were trained with.
        precision: what the network computes in; bottlenecks are float32 in any case.
        runtime: what runs the network: Keras on its engine, or OpenVINO on the processor.
        model: digest of the converted model that OpenVINO runs; None where there is none yet.
        output: of an ONNX file, the output to take; None for its only one.
        scaling: of an ONNX file or a network of timm, how 8-bit RGB becomes its input, see
            `scalings`; None where the file or timm tells.
        crop: with resize "crop", the share and filter that timm has; `resolve` alone sets it.

    `auto` is settled by the workflows, which know the machine and the caches. Where nobody settles
    it, it means Keras in float32.
    """

    name: str = DEFAULT_BACKBONE
    alpha: float | None = None
    layer: str | None = None
    pooling: Pooling = "auto"
    weights: str = IMAGENET
    input_size: int | None = None
    resize: Resize = "auto"
    precision: Precision = "auto"
    runtime: Runtime = "auto"
    model: str | None = None
    output: str | None = None
    scaling: str | None = None
    crop: str | None = None

    @property
    def kind(self) -> Kind:
        """Where the backbone comes from."""
        return next((kind for prefix, kind in _KINDS if self.name.startswith(prefix)), "table")

    @property
    def is_hub(self) -> bool:
        """Whether this is a SavedModel, not a row of the table."""
        return self.kind == "hub"

    @property
    def hub_source(self) -> str:
        """The address or folder after "hub:"."""
        return self.name.removeprefix(HUB_PREFIX)

    @property
    def is_retired(self) -> bool:
        """Whether earlier versions had it, and this one has not."""
        return self.name in RETIRED_BACKBONES

    @property
    def onnx_path(self) -> Path:
        """The file after "onnx:"."""
        return absolute(self.name.removeprefix(ONNX_PREFIX))

    @property
    def timm_name(self) -> str:
        """The name after "timm:"."""
        return self.name.removeprefix(TIMM_PREFIX)

    @property
    def resize_rule(self) -> str:
        """How decoding brings a photo to the square: see `resizing.ResizeRule`."""
        return f"{self.resize} {self.crop}" if self.crop else self.resize

    @property
    def layers(self) -> tuple[str, ...]:
        """The names in `layer`, in their order; none for the last layer."""
        return () if self.layer is None else tuple(self.layer.split(","))

    @property
    def settles_itself(self) -> tuple[str, ...]:
        """Fields that are as `resolve` fills them in, so that nobody has to say them again."""
        as_usual = {
            "pooling": self.pooling == _usual_pooling(self),
            "resize": self.resize == "squash" or self.crop is not None,
            "weights": self.weights == SAVED_MODEL or self.weights.startswith(BY_DIGEST),
        }
        return ("model", "crop", *(field for field, usual in as_usual.items() if usual))

    @property
    def own_runtime(self) -> Runtime:
        """The runtime that this network is made for."""
        return _OWN_RUNTIMES[self.kind]

    @property
    def tolerates_bfloat16(self) -> bool:
        """Whether it is known that heads are as good on vectors in bfloat16."""
        return self.kind == "table" and find_backbone(self.name).tolerates_bfloat16

    @property
    def is_settled(self) -> bool:
        """Whether precision, runtime and, for OpenVINO, the converted model are chosen."""
        chosen = "auto" not in (self.precision, self.runtime)
        return chosen and (self.runtime != "openvino" or self.model is not None)

    def settled_on_own(self) -> BackboneSpec:
        """The same on the runtime that it is made for, in float32 where the precision is open."""
        precision: Precision = "float32" if self.precision == "auto" else self.precision
        return replace(self, precision=precision, runtime=self.own_runtime, model=None)

    @property
    def weights_file(self) -> Path | None:
        """The user's weights file on disk; None where there is none."""
        named = self.weights in (IMAGENET, RANDOM, SAVED_MODEL)
        return None if named or self.weights.startswith(BY_DIGEST) else Path(self.weights)

    def resolve(self) -> BackboneSpec:
        """The same with all defaults filled in and all paths absolute; cheap, and idempotent.

        Raises:
            ConfigError: a value outside its choices.
            BackboneError: an unknown backbone, or options that do not go with it.
            WeightsError: the weights file or the SavedModel folder is not there.
        """
        check_choices(self)
        check_pair(self.precision, self.runtime)
        return _RESOLVERS[self.kind](_with_usual(self))

    def identity(self) -> dict[str, str | int | float | None]:
        """Everything that two vectors must share to be comparable, as JSON values.

        Weights count by their digest: a moved or renamed file is the same backbone.

        Raises:
            BackboneError: OpenVINO is to run it, and the model is not converted yet.
            RetrainError: as `resolve`.
        """
        spec = self.resolve()
        if spec.layer == AUTO_LAYER:
            raise BackboneError(
                f"{setting('layer', AUTO_LAYER)} is for `retrain bottlenecks`, which looks at the "
                "photos: name a layer here"
            )
        if spec.runtime == "auto":
            spec = spec.settled_on_own()
        if not spec.is_settled:
            raise BackboneError(f"{spec.name} on OpenVINO has no converted model yet")
        identity: dict[str, str | int | float | None] = {
            "name": _identify_name(spec),
            "alpha": spec.alpha,
            "layer": spec.layer,
            "pooling": spec.pooling,
            "weights": _identify_weights(spec),
            "input_size": spec.input_size,
            "resize": spec.resize_rule,
            "precision": spec.precision,
            "preprocessing": PREPROCESSING_VERSION,
        }
        if spec.kind in ("onnx", "timm"):
            identity |= {"output": spec.output, "scaling": spec.scaling}
        # Keras was the first runtime: its caches are from before the word existed.
        if spec.runtime == "keras":
            return identity
        return {**identity, "runtime": spec.runtime, "model": spec.model}

    def fingerprint(self) -> str:
        """12 hex digits of BLAKE2b over the identity as canonical JSON.

        Raises:
            RetrainError: as `resolve`.
        """
        return identity_fingerprint(self.identity())

    def slug(self) -> str:
        """A file name for the cache, such as "inception_v3-mixed8-1a2b3c4d5e6f"."""
        layers = self.layer if len(self.layers) < 3 else f"{len(self.layers)}_layers"
        parts = [self._short_name(), layers, self.fingerprint()]
        return "-".join(re.sub(r"[^\w.]+", "_", part) for part in parts if part)

    def label(self) -> str:
        """A short text for people, such as "inception_v3 (mixed8, 299 px, bfloat16)".

        Of a resolved spec; no file is looked at.
        """
        text = settings_of(self.to_dict())
        return f"{self._short_name()} ({text})" if text else self._short_name()

    def width(self) -> int | None:
        """Length of the bottleneck where it is known without building the network.

        Raises:
            BackboneError: an unknown backbone or alpha.
        """
        if self.kind != "table" or self.layer is not None:
            return None
        return find_backbone(self.name).variant(self.alpha).width

    def default_source_classes(self) -> str:
        """What `--source-classes` is when it is not given: "imagenet" or "none"."""
        return "none" if self.kind != "table" or self.weights == RANDOM else IMAGENET

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values, for a run's config.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BackboneSpec:
        """The inverse of `to_dict`.

        Raises:
            ConfigError: a field that this version does not know, or of the wrong kind.
        """
        unknown = sorted(set(data) - {field.name for field in fields(cls)})
        if unknown:
            raise ConfigError(
                f"a backbone's description holds only known fields, not {', '.join(unknown)}: "
                "it was written by a newer retrain: update this one (git pull, pip install .)"
            )
        spec = cls(**{"runtime": "keras", **data})  # descriptions from before there were two
        try:
            check_types(spec)
        except TypeError as error:
            raise ConfigError(f"a backbone's description is of the wrong kind ({error})") from error
        return spec

    def _short_name(self) -> str:
        if self.kind == "onnx":
            return f"onnx_{self.onnx_path.stem}"
        if not self.is_hub:
            return self.name.replace(":", "_")
        return "hub_" + "_".join(self.hub_source.rstrip("/").split("/")[-2:])


_KINDS: tuple[tuple[str, Kind], ...] = (
    (HUB_PREFIX, "hub"),
    (ONNX_PREFIX, "onnx"),
    (TIMM_PREFIX, "timm"),
)
_OWN_RUNTIMES: dict[Kind, Runtime] = {
    "table": "keras", "hub": "keras", "onnx": "onnxruntime", "timm": "torch"
}  # fmt: skip


def _usual_pooling(spec: BackboneSpec) -> Pooling:
    return "own" if spec.kind == "timm" else "avg"


def _with_usual(spec: BackboneSpec) -> BackboneSpec:
    """`spec` with the pooling and, but for timm, the resizing that `auto` stands for."""
    if spec.pooling == "auto":
        spec = replace(spec, pooling=_usual_pooling(spec))
    if spec.resize == "auto" and spec.kind != "timm":
        spec = replace(spec, resize="squash")
    return spec


def _resolve_keras(spec: BackboneSpec) -> BackboneSpec:
    row = find_backbone(spec.name)
    refuse_options(spec, f"{row.name} is a backbone of the table", "output", "scaling")
    check_runtime(spec)
    check_pooling(spec)
    size = row.input_size if spec.input_size is None else spec.input_size
    if size < row.min_size:
        raise BackboneError(
            f"{setting('input_size')} of {row.name} must be at least {row.min_size} px, not "
            f"{size}: leave it out for the usual {row.input_size}"
        )
    return replace(
        spec,
        runtime=only_runtime(spec.precision) or spec.runtime,
        alpha=row.variant(spec.alpha).alpha,
        layer=_resolve_layers(spec.layer),
        input_size=size,
        weights=_resolve_weights(spec.weights),
    )


def _resolve_layers(layer: str | None) -> str | None:
    """The names without spaces about them."""
    if layer is None:
        return None
    names = [name.strip() for name in layer.split(",")]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None and twice:
        raise BackboneError(
            f"{setting('layer')} takes each layer once, and {twice} is named "
            f"{names.count(twice)} times: name it once"
        )
    if "" in names or (len(names) > 1 and AUTO_LAYER in names):
        raise BackboneError(
            f"{setting('layer')} takes a layer, several with a comma between them, or "
            f"{AUTO_LAYER}, not {layer!r}: leave it out for the last layer"
        )
    return ",".join(names)


def _resolve_weights(weights: str) -> str:
    if weights in (IMAGENET, RANDOM):
        return weights
    path = absolute(weights)
    if path.is_file():
        return str(path)
    what = "that is a folder" if path.is_dir() else "there is no such file"
    hint = (
        f" (a SavedModel folder is {setting('BackboneSpec.name', HUB_PREFIX + 'FOLDER')})"
        if path.is_dir()
        else ""
    )
    raise WeightsError(
        f"{setting('weights')} takes imagenet, random or a file (.h5, .keras, .safetensors), not "
        f"{weights!r}: {what}{hint}"
    )


def _resolve_hub(spec: BackboneSpec) -> BackboneSpec:
    finished = f"a {HUB_PREFIX} backbone is a finished SavedModel"
    refuse_options(spec, finished, "alpha", "layer", "weights", "output", "scaling")
    if spec.precision not in ("auto", "float32"):
        refuse_options(spec, finished, "precision")
    if spec.runtime not in ("auto", "keras"):
        refuse_options(spec, finished, "runtime")
    refuse_whole_maps(spec)
    check_pooling(spec)
    source = spec.hub_source
    if not is_handle(source):
        source = str(find_saved_model(source))
    # Its inputs, outputs and operations are its author's, so it runs where it was made to run.
    return replace(spec.settled_on_own(), name=HUB_PREFIX + source, weights=SAVED_MODEL)


def _resolve_onnx(spec: BackboneSpec) -> BackboneSpec:
    found = replace(spec, **resolve_onnx(spec))
    return replace(found, runtime=only_runtime(spec.precision) or spec.runtime)


def _resolve_timm(spec: BackboneSpec) -> BackboneSpec:
    if spec.weights not in (IMAGENET, RANDOM) and not spec.weights.startswith(BY_DIGEST):
        spec = replace(spec, weights=_resolve_weights(spec.weights))
    found = replace(spec, **resolve_timm(spec))
    return replace(found, runtime=only_runtime(spec.precision) or spec.runtime)


_RESOLVERS: dict[Kind, Callable[[BackboneSpec], BackboneSpec]] = {
    "table": _resolve_keras,
    "hub": _resolve_hub,
    "onnx": _resolve_onnx,
    "timm": _resolve_timm,
}


def _identify_name(spec: BackboneSpec) -> str:
    """What stands for the name: a file's place does not count, for its digest does."""
    return spec.kind if spec.kind in ("hub", "onnx") else spec.name.replace(":", "_")


def _identify_weights(spec: BackboneSpec) -> str:
    """What stands for the weights of a resolved `spec` in its identity."""
    if spec.is_hub:
        return digest_folder(find_saved_model(spec.hub_source))
    if spec.kind == "onnx":
        check_onnx_unchanged(spec)
    if spec.weights.startswith(BY_DIGEST):
        return spec.weights.removeprefix(BY_DIGEST)
    if spec.weights == RANDOM:
        return f"random:{RANDOM_SEED}"
    if spec.weights_file is not None:
        return digest_file(spec.weights_file)
    published = find_backbone(spec.name).published_weights(spec.alpha, spec.input_size or 0)
    return f"{published.file_name}:{published.digest or ''}"
