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

from retrain_cli.backbones.digests import digest_file, digest_folder, identity_fingerprint
from retrain_cli.backbones.hub import HUB_PREFIX, find_saved_model, is_handle
from retrain_cli.backbones.precisions import Precision, Runtime, check_pair, only_runtime
from retrain_cli.backbones.table import DEFAULT_BACKBONE, KerasBackbone, find_backbone
from retrain_cli.backbones.user_networks.onnx_file import digest_onnx
from retrain_cli.backbones.user_networks.onnx_network import ONNX_PREFIX, describe_onnx
from retrain_cli.checks import check_choices, check_types
from retrain_cli.errors import BackboneError, ConfigError, WeightsError, setting
from retrain_cli.images.decode import PREPROCESSING_VERSION
from retrain_cli.images.resizing import ResizeRule
from retrain_cli.paths import absolute

Pooling = Literal["avg", "max", "cls"]
Kind = Literal["table", "hub", "onnx", "timm"]
"""Where a backbone comes from: a row of the table, or one of the user's, by what its name says."""

IMAGENET = "imagenet"
RANDOM = "random"
BUNDLED = "bundled"
SAVED_MODEL = "saved_model"
"""Values of `BackboneSpec.weights` that are no path; the last two are set by `resolve` alone."""

BY_DIGEST = "blake2b:"
"""What `BackboneSpec.weights` begins with where they are in a file that the name says; `resolve`
sets it, so that whoever comes later is told when that file has changed."""

RANDOM_SEED = 0
_DATA_FOLDER = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """What the flags say about the backbone; `resolve()` checks them and fills in the rest.

    Attributes:
        name: a name from the table; "hub:" and a TensorFlow Hub address or SavedModel folder;
            "onnx:" and a file; "timm:" and the name of one of its networks.
        alpha: width multiplier of the MobileNets; None for the default.
        layer: name of an earlier layer to take the bottleneck at; None for the last one.
        pooling: how a feature map (h, w, channels), or a row of tokens, becomes one vector; cls
            takes the first token.
        weights: "imagenet", "random" or the path of a weights file.
        input_size: side in pixels; None for the backbone's own.
        resize: how a photo is brought to that square.
        precision: what the network computes in; bottlenecks are float32 in any case.
        runtime: what runs the network: Keras on its engine, or OpenVINO on the processor.
        model: digest of the converted model that OpenVINO runs; None where there is none yet.
        output: of an ONNX file, the output to take; None for its only one.
        scaling: of an ONNX file, how 8-bit RGB becomes its input, see `scalings`; None where the
            file tells.

    `auto` is settled by the workflows, which know the machine and the caches. Where nobody settles
    it, it means Keras in float32.
    """

    name: str = DEFAULT_BACKBONE
    alpha: float | None = None
    layer: str | None = None
    pooling: Pooling = "avg"
    weights: str = IMAGENET
    input_size: int | None = None
    resize: ResizeRule = "squash"
    precision: Precision = "auto"
    runtime: Runtime = "auto"
    model: str | None = None
    output: str | None = None
    scaling: str | None = None

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
    def onnx_path(self) -> Path:
        """The file after "onnx:"."""
        return absolute(self.name.removeprefix(ONNX_PREFIX))

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
        """The weights file on disk, the user's or a bundled one; None where there is none."""
        if self.weights == BUNDLED:
            return _DATA_FOLDER / str(find_backbone(self.name).bundled)
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
        return _RESOLVERS[self.kind](self)

    def identity(self) -> dict[str, str | int | float | None]:
        """Everything that two vectors must share to be comparable, as JSON values.

        Weights count by their digest: a moved or renamed file is the same backbone.

        Raises:
            BackboneError: OpenVINO is to run it, and the model is not converted yet.
            RetrainError: as `resolve`.
        """
        spec = self.resolve()
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
            "resize": spec.resize,
            "precision": spec.precision,
            "preprocessing": PREPROCESSING_VERSION,
        }
        if spec.kind == "onnx":
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
        parts = [self._short_name(), self.layer, self.fingerprint()]
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
        """What `--source-classes` is when it is not given: "imagenet", "none" or a bundled file."""
        if self.kind != "table" or self.weights == RANDOM:
            return "none"
        source = find_backbone(self.name).source_classes
        return source if source == IMAGENET else str(_DATA_FOLDER / source)

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
            return self.name
        return "hub_" + "_".join(self.hub_source.rstrip("/").split("/")[-2:])


def settings_of(values: Mapping[str, Any]) -> str:
    """Whatever is not the usual in a resolved spec's fields, or in an identity, for people."""
    details = [
        f"alpha {values['alpha']:g}" if values["alpha"] is not None else "",
        values["layer"] or "",
        f"{values['input_size']} px" if values["input_size"] else "",
        values.get("output") or "",
        f"scaling {values['scaling']}" if values.get("scaling") else "",
        f"{values['pooling']} pooling" if values["pooling"] != "avg" else "",
        values["resize"] if values["resize"] != "squash" else "",
        "random weights" if values["weights"].startswith(RANDOM) else "",
        values["precision"] if values["precision"] not in ("auto", "float32") else "",
        _RUNTIME_NAMES.get(values.get("runtime") or "", ""),
    ]
    return ", ".join(detail for detail in details if detail)


_RUNTIME_NAMES = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime", "torch": "torch"}
_KINDS: tuple[tuple[str, Kind], ...] = ((HUB_PREFIX, "hub"), (ONNX_PREFIX, "onnx"))
_OWN_RUNTIMES: dict[Kind, Runtime] = {
    "table": "keras", "hub": "keras", "onnx": "onnxruntime", "timm": "torch"
}  # fmt: skip


def _resolve_keras(spec: BackboneSpec) -> BackboneSpec:
    row = find_backbone(spec.name)
    _refuse(spec, f"{row.name} is a backbone of the table", "output", "scaling")
    _check_runtime(spec)
    _check_tokens(spec)
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
        input_size=size,
        weights=_resolve_weights(spec.weights, row),
    )


def _resolve_weights(weights: str, row: KerasBackbone) -> str:
    if row.bundled and weights in (IMAGENET, BUNDLED):
        return BUNDLED
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
    _refuse(spec, finished, "alpha", "layer", "weights", "output", "scaling")
    _refuse(spec, finished, *_unless("precision", spec.precision, "auto", "float32"))
    _refuse(spec, finished, *_unless("runtime", spec.runtime, "auto", "keras"))
    _check_tokens(spec)
    source = spec.hub_source
    if not is_handle(source):
        source = str(find_saved_model(source))
    # Its inputs, outputs and operations are its author's, so it runs where it was made to run.
    return replace(spec.settled_on_own(), name=HUB_PREFIX + source, weights=SAVED_MODEL)


def _resolve_onnx(spec: BackboneSpec) -> BackboneSpec:
    path = spec.onnx_path
    _refuse(spec, f"an {ONNX_PREFIX} backbone is a finished network", "alpha", "layer", "weights")
    _check_runtime(spec)
    if not path.is_file():
        what = "that is a folder" if path.is_dir() else "there is no such file"
        known = f" (with BLAKE2b {spec.weights.removeprefix(BY_DIGEST)})"
        raise WeightsError(
            f"{setting('BackboneSpec.name', ONNX_PREFIX)} takes an ONNX file, and {path}"
            f"{known if spec.weights.startswith(BY_DIGEST) else ''}: {what}: put it there, or "
            "check the path"
        )
    runtime = only_runtime(spec.precision) or spec.runtime
    spec = replace(spec, name=f"{ONNX_PREFIX}{path}", runtime=runtime)
    if spec.weights.startswith(BY_DIGEST):  # all the rest was filled in with it
        return spec
    network = describe_onnx(path, spec.output, spec.scaling, spec.input_size)
    height, width = network.size
    return replace(
        spec,
        weights=BY_DIGEST + digest_onnx(path),
        # The size of images that are no squares is not said: the file has one, and counts itself.
        input_size=height if height == width else None,
        scaling=network.scaling,
        output=network.output,
    )


_RESOLVERS: dict[Kind, Callable[[BackboneSpec], BackboneSpec]] = {
    "table": _resolve_keras,
    "hub": _resolve_hub,
    "onnx": _resolve_onnx,
}


def _unless(field: str, value: str, *taken: str) -> tuple[str, ...]:
    return () if value in taken else (field,)


def _refuse(spec: BackboneSpec, what: str, *fields_: str) -> None:
    """Refuse options that this kind of backbone does not have.

    Raises:
        BackboneError: one of these fields was given.
    """
    for option in fields_:
        value = getattr(spec, option)
        if option == "weights" and (
            value in (IMAGENET, SAVED_MODEL) or value.startswith(BY_DIGEST)
        ):
            continue
        if value is not None:
            raise BackboneError(
                f"{what}, so {setting(option)} cannot change it: leave "
                f"{setting(option)} out, or choose another backbone"
            )


def _check_runtime(spec: BackboneSpec) -> None:
    """Refuse a runtime that does not run networks of this kind.

    Raises:
        BackboneError: it does not.
    """
    if spec.runtime not in ("auto", "openvino", spec.own_runtime):
        raise BackboneError(
            f"{spec.name} is run by {spec.own_runtime} or openvino, not by "
            f"{setting('runtime', spec.runtime)}: leave {setting('runtime')} out"
        )


def _check_tokens(spec: BackboneSpec) -> None:
    """Refuse to take a token of what has none.

    Raises:
        BackboneError: `pooling` is cls.
    """
    if spec.pooling == "cls":
        raise BackboneError(
            f"{setting('pooling', 'cls')} takes the first of a network's tokens, and {spec.name} "
            "gives a map or a vector: choose avg or max"
        )


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


def check_onnx_unchanged(spec: BackboneSpec) -> None:
    """Hold the file of a resolved ONNX backbone to the digest that was taken of it.

    Raises:
        WeightsError: it changed since, or it cannot be read.
    """
    then, now = spec.weights.removeprefix(BY_DIGEST), digest_onnx(spec.onnx_path)
    if now != then:
        raise WeightsError(
            f"this was computed with the network of BLAKE2b {then}, and {spec.onnx_path} has "
            f"{now} now: put the old file back, or run `retrain bottlenecks` with "
            f"{setting('BackboneSpec.name', spec.name)} and `retrain train` again"
        )
