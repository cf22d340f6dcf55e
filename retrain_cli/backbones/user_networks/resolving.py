"""What is open in the spec of a user's network, filled in from its file or by timm.

Nothing here knows `BackboneSpec`, which uses this: it is given one, and says which fields change.
"""

from __future__ import annotations

from typing import Any

from retrain_cli.backbones.digests import digest_file
from retrain_cli.backbones.user_networks.onnx_file import digest_onnx
from retrain_cli.backbones.user_networks.onnx_network import ONNX_PREFIX, describe_onnx
from retrain_cli.backbones.user_networks.scalings import canonical_scaling
from retrain_cli.backbones.user_networks.timm_network import (
    TIMM_PREFIX,
    describe_timm,
    fetch_timm_weights,
)
from retrain_cli.errors import BackboneError, WeightsError, setting

BY_DIGEST = "blake2b:"
"""What `BackboneSpec.weights` begins with where they are in a file that the name says; `resolve`
sets it, so that whoever comes later is told when that file has changed."""
_PUBLISHED = "imagenet"  # the default of `BackboneSpec.weights`


def resolve_onnx(spec: Any) -> dict[str, Any]:
    """The fields of a spec that its ONNX file says; all of them are known once its digest is.

    Raises:
        BackboneError: options that do not go with it, or something that the file leaves open.
        WeightsError: there is no such file, or it is no ONNX file.
    """
    path = spec.onnx_path
    refuse_options(
        spec, f"an {ONNX_PREFIX} backbone is a finished network", "alpha", "layer", "weights"
    )
    check_runtime(spec)
    refuse_whole_maps(spec)
    _check_own(spec)
    if not path.is_file():
        what = "that is a folder" if path.is_dir() else "there is no such file"
        known = f" (with BLAKE2b {spec.weights.removeprefix(BY_DIGEST)})"
        raise WeightsError(
            f"{setting('BackboneSpec.name', ONNX_PREFIX)} takes an ONNX file, and {path}"
            f"{known if spec.weights.startswith(BY_DIGEST) else ''}: {what}: put it there, or "
            "check the path"
        )
    name = f"{ONNX_PREFIX}{path}"
    if spec.weights.startswith(BY_DIGEST):  # all the rest was filled in with it
        return {"name": name}
    network = describe_onnx(path, spec.output, spec.scaling, spec.input_size)
    height, width = network.size
    return {
        "name": name,
        "weights": BY_DIGEST + digest_onnx(path),
        # The size of images that are no squares is not said: the file has one, and counts itself.
        "input_size": height if height == width else None,
        "scaling": network.scaling,
        "output": network.output,
    }


def resolve_timm(spec: Any) -> dict[str, Any]:
    """The fields of a spec that timm says; where all are known, timm is not imported.

    Raises:
        MissingExtraError: timm is needed, and is not installed.
        BackboneError: options that do not go with it, or it has no such network.
        WeightsError: its weights cannot be fetched.
    """
    refuse_options(spec, f"{spec.name} is a network of timm", "alpha", "layer", "output")
    check_runtime(spec)
    refuse_whole_maps(spec)
    if spec.weights != _PUBLISHED and spec.scaling and spec.input_size and spec.resize != "auto":
        return {"scaling": canonical_scaling(spec.scaling)}
    network = describe_timm(spec.timm_name)
    weights = spec.weights
    if weights == _PUBLISHED:
        weights = BY_DIGEST + digest_file(fetch_timm_weights(network))
    by_timm = spec.resize == "auto"
    return {
        "name": TIMM_PREFIX + network.name,
        "weights": weights,
        "input_size": spec.input_size or network.input_size,
        "scaling": canonical_scaling(spec.scaling or network.scaling),
        "resize": "crop" if by_timm else spec.resize,
        "crop": network.crop if by_timm else None,
    }


def refuse_options(spec: Any, what: str, *fields_: str) -> None:
    """Refuse options that this kind of backbone does not have.

    Raises:
        BackboneError: one of these fields was given.
    """
    for option in fields_:
        value = getattr(spec, option)
        if option == "weights" and (
            value in (_PUBLISHED, "saved_model") or value.startswith(BY_DIGEST)
        ):
            continue
        if value is not None:
            raise BackboneError(
                f"{what}, so {setting(option)} cannot change it: leave "
                f"{setting(option)} out, or choose another backbone"
            )


def check_runtime(spec: Any) -> None:
    """Refuse a runtime, or a precision, that does not run networks of this kind.

    Raises:
        BackboneError: it does not.
    """
    if spec.precision == "float16" and spec.own_runtime != "keras":
        raise BackboneError(
            f"{spec.name} is computed in float32, bfloat16 or int8, not in "
            f"{setting('precision', 'float16')}: leave {setting('precision')} out"
        )
    if spec.runtime not in ("auto", "openvino", spec.own_runtime):
        raise BackboneError(
            f"{spec.name} is run by {spec.own_runtime} or openvino, not by "
            f"{setting('runtime', spec.runtime)}: leave {setting('runtime')} out"
        )


def check_pooling(spec: Any) -> None:
    """Refuse to take a token of what has none, or a pooling of its own.

    Raises:
        BackboneError: `pooling` is cls or own.
    """
    _check_own(spec)
    if spec.pooling == "cls":
        raise BackboneError(
            f"{setting('pooling', 'cls')} takes the first of a network's tokens, and {spec.name} "
            "gives a map or a vector: choose avg or max"
        )


def refuse_whole_maps(spec: Any) -> None:
    """Refuse to keep a map as it is where the network is no Keras model of the table.

    Raises:
        BackboneError: `pooling` is none.
    """
    if spec.pooling == "none":
        raise BackboneError(
            f"{setting('pooling', 'none')} is for backbones of the table, and {spec.name} is none "
            "of them: choose avg or max"
        )


def _check_own(spec: Any) -> None:
    """Refuse the pooling that only networks of timm tell.

    Raises:
        BackboneError: `pooling` is own.
    """
    if spec.pooling == "own":
        raise BackboneError(
            f"{setting('pooling', 'own')} is for {TIMM_PREFIX} networks, which tell their own "
            f"pooling, and {spec.name} is none: leave {setting('pooling')} out"
        )


def check_onnx_unchanged(spec: Any) -> None:
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
