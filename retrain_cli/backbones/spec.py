"""Which bottleneck is meant: the backbone and everything that makes two vectors comparable.

Nothing here imports Keras, so that a command can find its cache without an engine; only an address
of TensorFlow Hub needs TensorFlow, to say which files it stands for.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from retrain_cli.backbones.digests import digest_file, digest_folder
from retrain_cli.backbones.hub import HUB_PREFIX, find_saved_model, is_handle
from retrain_cli.backbones.precisions import Precision, Runtime, check_pair, only_runtime
from retrain_cli.backbones.table import DEFAULT_BACKBONE, KerasBackbone, find_backbone
from retrain_cli.checks import check_choices, check_types
from retrain_cli.errors import BackboneError, ConfigError, WeightsError, setting
from retrain_cli.images.decode import PREPROCESSING_VERSION
from retrain_cli.images.resizing import ResizeRule
from retrain_cli.paths import absolute, is_plain_name

Pooling = Literal["avg", "max", "none"]
"""How a feature map (h, w, channels) becomes one vector: mean, maximum, or all numbers in a row."""

IMAGENET = "imagenet"
RANDOM = "random"
BUNDLED = "bundled"
SAVED_MODEL = "saved_model"
"""Values of `BackboneSpec.weights` that are no path; the last two are set by `resolve` alone."""

RANDOM_SEED = 0
_DATA_FOLDER = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """What the flags say about the backbone; `resolve()` checks them and fills in the rest.

    Attributes:
        name: a name from the table, or "hub:" and a TensorFlow Hub address or SavedModel folder.
        alpha: width multiplier of the MobileNets; None for the default.
        layer: name of an earlier layer to take the bottleneck at; None for the last one.
        pooling: how a feature map (h, w, channels) becomes one vector.
        weights: "imagenet", "random" or the path of a weights file.
        input_size: side in pixels; None for the backbone's own.
        resize: how a photo is brought to that square.
        precision: what the network computes in; bottlenecks are float32 in any case.
        runtime: what runs the network: Keras on its engine, or OpenVINO on the processor.
        model: digest of the converted model that OpenVINO runs; None where there is none yet.

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

    @property
    def is_hub(self) -> bool:
        """Whether this is a SavedModel, not a row of the table."""
        return self.name.startswith(HUB_PREFIX)

    @property
    def hub_source(self) -> str:
        """The address or folder after "hub:"."""
        return self.name.removeprefix(HUB_PREFIX)

    @property
    def is_settled(self) -> bool:
        """Whether precision, runtime and, for OpenVINO, the converted model are chosen."""
        chosen = "auto" not in (self.precision, self.runtime)
        return chosen and (self.runtime == "keras" or self.model is not None)

    def settled_on_keras(self) -> BackboneSpec:
        """The same on Keras, in float32 where the precision is open."""
        precision: Precision = "float32" if self.precision == "auto" else self.precision
        return replace(self, precision=precision, runtime="keras", model=None)

    @property
    def weights_file(self) -> Path | None:
        """The weights file on disk, the user's or a bundled one; None where there is none."""
        if self.weights == BUNDLED:
            return _DATA_FOLDER / str(find_backbone(self.name).bundled)
        named = self.weights in (IMAGENET, RANDOM, SAVED_MODEL)
        return None if named else Path(self.weights)

    def resolve(self) -> BackboneSpec:
        """The same with all defaults filled in and all paths absolute; cheap, and idempotent.

        Raises:
            ConfigError: a value outside its choices.
            BackboneError: an unknown backbone, or options that do not go with it.
            WeightsError: the weights file or the SavedModel folder is not there.
        """
        check_choices(self)
        check_pair(self.precision, self.runtime)
        return _resolve_hub(self) if self.is_hub else _resolve_keras(self)

    def identity(self) -> dict[str, str | int | float | None]:
        """Everything that two vectors must share to be comparable, as JSON values.

        Weights count by their digest: a moved or renamed file is the same backbone.

        Raises:
            BackboneError: OpenVINO is to run it, and the model is not converted yet.
            RetrainError: as `resolve`.
        """
        spec = self.resolve()
        if spec.runtime == "auto":
            spec = spec.settled_on_keras()
        if not spec.is_settled:
            raise BackboneError(f"{spec.name} on OpenVINO has no converted model yet")
        identity: dict[str, str | int | float | None] = {
            "name": HUB_PREFIX.rstrip(":") if spec.is_hub else spec.name,
            "alpha": spec.alpha,
            "layer": spec.layer,
            "pooling": spec.pooling,
            "weights": _identify_weights(spec),
            "input_size": spec.input_size,
            "resize": spec.resize,
            "precision": spec.precision,
            "preprocessing": PREPROCESSING_VERSION,
        }
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
        if self.is_hub or self.layer is not None:
            return None
        return find_backbone(self.name).variant(self.alpha).width

    def default_source_classes(self) -> str:
        """What `--source-classes` is when it is not given: "imagenet", "none" or a bundled file."""
        if self.is_hub or self.weights == RANDOM:
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
        if not self.is_hub:
            return self.name
        return "hub_" + "_".join(self.hub_source.rstrip("/").split("/")[-2:])


def settings_of(values: Mapping[str, Any]) -> str:
    """Whatever is not the usual in a resolved spec's fields, or in an identity, for people."""
    details = [
        f"alpha {values['alpha']:g}" if values["alpha"] is not None else "",
        values["layer"] or "",
        f"{values['input_size']} px" if values["input_size"] else "",
        {"max": "max pooling", "none": "no pooling"}.get(values["pooling"], ""),
        values["resize"] if values["resize"] != "squash" else "",
        "random weights" if values["weights"].startswith(RANDOM) else "",
        values["precision"] if values["precision"] not in ("auto", "float32") else "",
        "OpenVINO" if values.get("runtime") == "openvino" else "",
    ]
    return ", ".join(detail for detail in details if detail)


def identity_fingerprint(identity: Mapping[str, Any]) -> str:
    """12 hex digits of BLAKE2b over an identity as canonical JSON."""
    text = json.dumps(dict(identity), sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def check_identity(identity: object) -> None:
    """Hold what another machine calls a backbone's identity to be one.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(identity, dict):
        raise ValueError("that is no record")
    for key, (kinds, may_miss) in _IDENTITY_KINDS.items():
        value = identity.get(key)
        if key not in identity and not may_miss:
            raise ValueError(f"it has no {key}")
        if key in identity and (not isinstance(value, kinds) or isinstance(value, bool)):
            raise ValueError(f"its {key} is {value!r:.40}")
    if unknown := sorted(set(identity) - set(_IDENTITY_KINDS)):
        raise ValueError(f"it has a {unknown[0]!r:.40}")
    if not is_plain_name(identity["name"]):
        raise ValueError(f"its name is {identity['name']!r:.40}")


_IDENTITY_KINDS: dict[str, tuple[tuple[type, ...], bool]] = {
    "name": ((str,), False),
    "alpha": ((float, int, type(None)), False),
    "layer": ((str, type(None)), False),
    "pooling": ((str,), False),
    "weights": ((str,), False),
    "input_size": ((int, type(None)), False),
    "resize": ((str,), False),
    "precision": ((str,), False),
    "preprocessing": ((int,), False),
    "runtime": ((str,), True),
    "model": ((str, type(None)), True),
}
"""Of each entry of an identity its kinds, and whether it may be missing."""


def _resolve_keras(spec: BackboneSpec) -> BackboneSpec:
    row = find_backbone(spec.name)
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
    refused = {
        "alpha": spec.alpha is not None,
        "layer": spec.layer is not None,
        "weights": spec.weights not in (IMAGENET, SAVED_MODEL),
        "precision": spec.precision not in ("auto", "float32"),
        "runtime": spec.runtime not in ("auto", "keras"),
    }
    for option, given in refused.items():
        if given:
            raise BackboneError(
                f"a {HUB_PREFIX} backbone is a finished SavedModel, so {setting(option)} cannot "
                f"change it: leave {setting(option)} out, or choose a backbone by name"
            )
    source = spec.hub_source
    if not is_handle(source):
        source = str(find_saved_model(source))
    # Its inputs, outputs and operations are its author's, so it runs where it was made to run.
    return replace(spec.settled_on_keras(), name=HUB_PREFIX + source, weights=SAVED_MODEL)


def _identify_weights(spec: BackboneSpec) -> str:
    """What stands for the weights of a resolved `spec` in its identity."""
    if spec.is_hub:
        return digest_folder(find_saved_model(spec.hub_source))
    if spec.weights == RANDOM:
        return f"random:{RANDOM_SEED}"
    if spec.weights_file is not None:
        return digest_file(spec.weights_file)
    published = find_backbone(spec.name).published_weights(spec.alpha, spec.input_size or 0)
    return f"{published.file_name}:{published.digest or ''}"
