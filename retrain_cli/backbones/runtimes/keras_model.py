"""A row of the table as a Keras model: 8-bit pixels in, bottlenecks out, on any Keras engine."""

from __future__ import annotations

import importlib
import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.downloads import fetch_weights
from retrain_cli.backbones.layer_names import find_layer
from retrain_cli.backbones.precisions import Precision
from retrain_cli.backbones.runtimes.jax_forward import JaxForward, describe
from retrain_cli.backbones.spec import IMAGENET, RANDOM, RANDOM_SEED, BackboneSpec, Pooling
from retrain_cli.backbones.table import KerasBackbone, Scaling, find_backbone
from retrain_cli.backbones.user_networks.scalings import (
    CAFFE_MEAN,
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
)
from retrain_cli.backbones.weights import load_weights_file, set_random_weights
from retrain_cli.engine import load_keras, on_device, quiet_engine
from retrain_cli.errors import BackboneError, ConfigError, setting


class KerasModelBackbone:
    """A backbone of the table with its weights; `load_backbone` makes it.

    Scaling and pooling are part of the compiled graph, so that 8-bit pixels, a quarter of the
    bytes, travel to the device. One graph is compiled per batch shape: keep the shape constant.

    Attributes:
        model: the Keras model.
        width: length of a bottleneck.
        layer_widths: how much of it each layer gives.
        input_size: (height, width) in pixels.
        device: such as "cpu:0", or "gpu:0-3" where JAX shares a batch among four.
        any_batch_size: no: a graph is compiled for each.
        batches_at_once: calls that may run side by side; on JAX one travels to the device while
            another is computed.
    """

    any_batch_size = False

    def __init__(
        self, model: Any, devices: Sequence[str], layer_widths: tuple[int, ...] = ()
    ) -> None:
        self.model = model
        self.device = describe(devices)
        self._first = devices[0]
        on_jax = load_keras().backend.backend() == "jax"
        self._spread = JaxForward(model, devices) if on_jax else None
        self.batches_at_once = 2 if on_jax else 1
        self.width = int(model.output_shape[-1])
        self.layer_widths = layer_widths or (self.width,)
        self.input_size = (int(model.input_shape[1]), int(model.input_shape[2]))

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Bottlenecks of a batch: (n, height, width, 3) uint8 RGB to (n, width) float32."""
        if self._spread is not None:
            return self._spread(images)
        with on_device(self._first):
            return np.asarray(self.model.predict_on_batch(images), dtype=np.float32)


def build_keras_backbone(
    spec: BackboneSpec, *devices: str, network: Any = None
) -> KerasModelBackbone:
    """Build a resolved spec of the table on Keras devices and load its weights.

    Several devices share each batch, on JAX; another engine uses the first one.

    Args:
        spec: the backbone, resolved.
        devices: Keras devices.
        network: its bare network with its weights, where there is one already; it is shared.

    Raises:
        BackboneError: an unknown layer, or one without a feature map or vector.
        WeightsError: the weights cannot be found or downloaded, or do not fit.
    """
    keras = load_keras()
    with on_device(devices[0]), quiet_engine():
        network = network or build_network(spec)
        widths = tuple(int(output.shape[-1]) for output in network.outputs)
        images, maps = maps_of_pixels(network, spec)
        vectors = pooled_maps(maps, spec)
        joined = keras.ops.concatenate(vectors, axis=-1) if len(vectors) > 1 else vectors[0]
        model = keras.Model(images, joined)
        return KerasModelBackbone(model, devices, widths if len(widths) > 1 else ())


def build_network(spec: BackboneSpec) -> Any:
    """The bare network of a resolved spec of the table with its weights, a Keras model.

    It takes what `scale_pixels` gives and ends with a feature map (n, h, w, channels) or a vector.

    Raises:
        RetrainError: as `build_keras_backbone`.
    """
    keras = load_keras()
    if keras.config.image_data_format() != "channels_last":
        raise ConfigError(
            "backbones need the image data format channels_last, and Keras is set to "
            "channels_first: change image_data_format in ~/.keras/keras.json"
        )
    row = find_backbone(spec.name)
    with _building(keras, spec.precision):
        base = _build_base(row, spec)
        network = base
        if spec.layer is not None:
            outputs = [find_layer(base, name).output for name in spec.layers]
            network = keras.Model(base.inputs, outputs if len(outputs) > 1 else outputs[0])
    _load_weights(spec, row, base, network)
    return network


def build_without_weights(spec: BackboneSpec) -> Any:
    """The network of a resolved spec of the table as a Keras model, without its weights."""
    keras = load_keras()
    with on_device("cpu:0"), quiet_engine(), _building(keras, "float32"):
        return _build_base(find_backbone(spec.name), spec)


@contextmanager
def _building(keras: Any, precision: Precision) -> Iterator[None]:
    """Build in a precision; leave Keras's policy and Python's random numbers as they were.

    Keras draws the seeds of its initialisers from the `random` module.
    """
    policy, state = keras.config.dtype_policy(), random.getstate()
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MobileNets warn of sizes without weights of their own
            yield
    finally:
        keras.config.set_dtype_policy(policy)
        random.setstate(state)


def _build_base(row: KerasBackbone, spec: BackboneSpec) -> Any:
    module_name, _, function_name = row.builder.partition(":")
    builder = getattr(importlib.import_module(module_name), function_name)
    if module_name != "keras.applications":
        return builder(input_size=spec.input_size)
    options: dict[str, Any] = {}
    if spec.alpha is not None:
        options["alpha"] = spec.alpha
    if row.norm_after_pooling:
        options["pooling"] = spec.pooling
    shape = (spec.input_size, spec.input_size, 3)
    return builder(include_top=False, weights=None, input_shape=shape, **options)


def _load_weights(spec: BackboneSpec, row: KerasBackbone, base: Any, network: Any) -> None:
    if spec.weights == RANDOM:
        set_random_weights(base, RANDOM_SEED)
        return
    published = row.published_weights(spec.alpha, spec.input_size or row.input_size)
    path = fetch_weights(published, row.name) if spec.weights == IMAGENET else spec.weights_file
    assert path is not None
    models = [base] if network is base else [base, network]
    load_weights_file(path, models, row.name, published.digest)


def maps_of_pixels(network: Any, spec: BackboneSpec) -> tuple[Any, list[Any]]:
    """The input of 8-bit pixels, and what each layer of the bare network gives of them.

    Args:
        network: as `build_network` gives it.
        spec: its spec, resolved.

    Returns:
        The Keras input, and a feature map or a vector a layer, in float32: pooling in that keeps
        what a mean over a feature map gains in a lower precision.
    """
    keras = load_keras()
    images = keras.Input((spec.input_size, spec.input_size, 3), dtype="uint8", name="images")
    features = network(scale_pixels(keras.ops, images, find_backbone(spec.name).scaling))
    maps = features if isinstance(features, (list, tuple)) else [features]
    return images, [keras.ops.cast(one, "float32") for one in maps]


def pooled_maps(maps: Sequence[Any], spec: BackboneSpec) -> list[Any]:
    """The part of a bottleneck that each layer gives, pooled as the spec says."""
    ops = load_keras().ops
    return [
        pool_features(ops, one, spec.pooling, name)
        for one, name in zip(maps, spec.layers or (None,), strict=True)
    ]


def scale_pixels(ops: Any, images: Any, scaling: Scaling) -> Any:
    """8-bit RGB as a network wants it."""
    pixels = ops.cast(images, "float32")
    if scaling == "tf":
        return pixels / 127.5 - 1.0
    if scaling == "torch":
        mean = np.asarray(IMAGENET_MEAN, np.float32)
        return (pixels / 255.0 - mean) / np.asarray(IMAGENET_DEVIATION, np.float32)
    if scaling == "caffe":
        return ops.flip(pixels, axis=-1) - np.asarray(CAFFE_MEAN, np.float32)
    return pixels


def pool_features(ops: Any, features: Any, pooling: Pooling, layer: str | None) -> Any:
    """A feature map (n, h, w, channels) as vectors (n, width); a vector stays as it is.

    Raises:
        BackboneError: it is neither.
    """
    rank = len(features.shape)
    if rank == 2:
        return features
    if rank != 4:
        raise BackboneError(
            f"{setting('layer')} takes a layer with a feature map or a vector, and {layer} "
            f"gives arrays of shape {tuple(features.shape)}: choose another, such as the end of a "
            "block"
        )
    if pooling == "none":
        return ops.reshape(features, (-1, int(np.prod(features.shape[1:]))))
    reduce = ops.max if pooling == "max" else ops.mean
    return reduce(features, axis=(1, 2))
