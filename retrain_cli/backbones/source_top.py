"""The backbone's own classifier: the last layer that the networks for source classes end in.

Bottlenecks are what that layer takes, so its weights alone turn cached bottlenecks into the scores
of the whole network. Weights files are read here without building anything.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.spec import IMAGENET, RANDOM, BackboneSpec
from retrain_cli.backbones.table import PublishedWeights, find_backbone
from retrain_cli.backbones.weight_files import StoredLayer, open_weights
from retrain_cli.errors import BackboneError, WeightsError, setting
from retrain_cli.paths import absolute

_TOP = "top"


@dataclass(frozen=True, eq=False)
class SourceTop:
    """The last layer of a network for source classes.

    Attributes:
        weights: `(width, n_classes) float32`.
        bias: `(n_classes,) float32`.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]


def load_source_top(spec: BackboneSpec, n_classes: int, top: Path | None = None) -> SourceTop:
    """The classifier that belongs to a backbone.

    Args:
        spec: the backbone; its bottleneck must be the mean of its last layer.
        n_classes: number of source classes.
        top: a weights file of the same network with its classifier; None for the backbone's own
            weights file if that has one, or for the file that Keras publishes.

    Raises:
        BackboneError: bottlenecks of this kind are not what the classifier takes.
        WeightsError: there is no such file, it has no such layer, or is of another network.
    """
    spec = spec.resolve()
    _check_bottleneck(spec)
    own = _own_weights(spec)
    path = _with_top(spec, own) if top is None else _existing(top)
    found, layers = _read_top(path, n_classes)
    if found is None:
        raise WeightsError(_no_top(path, n_classes, spec))
    if path != own:
        _check_same_network(layers, path, own)
    width = spec.width()
    if width is not None and found.weights.shape[0] != width:
        raise WeightsError(_no_top(path, n_classes, spec))
    return found


def _check_bottleneck(spec: BackboneSpec) -> None:
    """Refuse bottlenecks that no classifier was trained on.

    Raises:
        BackboneError: an earlier layer, maximum pooling, random weights or a SavedModel.
    """
    reasons = {
        "it is a SavedModel": spec.is_hub,
        "it is a network of your own": spec.kind in ("onnx", "timm"),
        "its weights are random": spec.weights == RANDOM,
        f"its bottleneck is taken at {spec.layer}": spec.layer is not None,
        "its bottleneck is a maximum": spec.pooling == "max",
        "its bottleneck is a whole map": spec.pooling == "none",
    }
    for reason, applies in reasons.items():
        if applies:
            raise BackboneError(
                "a backbone's own classifier works on the mean of its last layer, and that of "
                f"{spec.label()} cannot be used, for {reason}: run `retrain bottlenecks` with a "
                f"pre-trained backbone without {setting('layer')} and {setting('pooling')}"
            )


def _own_weights(spec: BackboneSpec) -> Path:
    """The file that the backbone's weights come from, downloaded where they are Keras's."""
    if spec.weights == IMAGENET:
        from retrain_cli.backbones.downloads import fetch_weights

        return fetch_weights(_published(spec), spec.name)
    assert spec.weights_file is not None
    return spec.weights_file


def _with_top(spec: BackboneSpec, own: Path) -> Path:
    """The file to look for the classifier in, where the user names none.

    Raises:
        WeightsError: it cannot be downloaded.
    """
    if spec.weights != IMAGENET or _published(spec).package:
        return own
    from retrain_cli.backbones.downloads import fetch_weights

    published = _published(spec).with_top
    try:
        return fetch_weights(published, spec.name)
    except WeightsError as error:
        raise WeightsError(
            f"the classifier of {spec.name} cannot be downloaded: get {published.url} elsewhere "
            f"and give it as {setting(_TOP, published.file_name)}"
        ) from error


def _published(spec: BackboneSpec) -> PublishedWeights:
    row = find_backbone(spec.name)
    return row.published_weights(spec.alpha, spec.input_size or row.input_size)


def _existing(path: Path) -> Path:
    full = absolute(path)
    if not full.is_file():
        raise WeightsError(
            f"{setting(_TOP)} takes a Keras weights file with its classifier, and {str(path)!r} is "
            "no file: check the path"
        )
    return full


def _read_top(path: Path, n_classes: int) -> tuple[SourceTop | None, Counter[bytes]]:
    """The one layer that ends in `n_classes`, if there is one; and digests of all other layers."""
    with open_weights(path, _TOP) as stored:
        tops = [layer for layer in stored.layers if _ends_in(layer, n_classes)]
        others = Counter(_digest(layer) for layer in stored.layers if layer not in tops)
        if len(tops) != 1:
            return None, others
        kernel, bias = (np.asarray(array, np.float32) for array in tops[0].arrays)
    # MobileNet's last layer is a convolution over one pixel: the same numbers in four dimensions.
    return SourceTop(np.ascontiguousarray(kernel.reshape(-1, n_classes)), bias), others


def _ends_in(layer: StoredLayer, n_classes: int) -> bool:
    if len(layer.arrays) != 2:
        return False
    kernel, bias = (tuple(array.shape) for array in layer.arrays)
    is_dense = len(kernel) == 2 or (len(kernel) == 4 and kernel[:2] == (1, 1))
    return is_dense and kernel[-1] == n_classes and bias == (n_classes,)


def _digest(layer: StoredLayer) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for array in layer.arrays:
        values: NDArray[Any] = np.ascontiguousarray(array, np.float32)
        digest.update(str(values.shape).encode() + values.tobytes())
    return digest.digest()


def _check_same_network(layers: Counter[bytes], path: Path, own: Path) -> None:
    """Hold the file with the classifier to the backbone's weights, array by array.

    Raises:
        WeightsError: one of them differs, or there is more between bottleneck and classes than
            one layer.
    """
    with open_weights(own) as stored:
        ours = Counter(_digest(layer) for layer in stored.layers)
    missing, more = (ours - layers).total(), (layers - ours).total()
    if missing:
        raise WeightsError(
            f"{setting(_TOP)} takes the network of the backbone's own weights with its classifier, "
            f"and {missing} of the {ours.total()} layers of {own.name} are not in {path}: give the "
            "file that those weights come from"
        )
    if more:
        raise WeightsError(
            f"a backbone's own classifier must be one layer on top of the bottleneck, and {path} "
            f"has {more} more: this backbone's scores cannot be computed from its bottlenecks"
        )


def _no_top(path: Path, n_classes: int, spec: BackboneSpec) -> str:
    return (
        f"the backbone's own classifier is needed, and {path} has none for {n_classes} source "
        f"classes on bottlenecks of {spec.name}: give a weights file of the same network with its "
        f"top as {setting(_TOP, 'FILE')}"
    )
