"""A TF2 SavedModel as a backbone: from TensorFlow Hub, or exported by the user.

Images go in as RGB in [0, 1], TensorFlow Hub's convention for image models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.hub import find_saved_model
from retrain_cli.backbones.spec import BackboneSpec, Pooling
from retrain_cli.engine import load_tensorflow, quiet_engine
from retrain_cli.errors import BackboneError, WeightsError, reason_of, setting

DEFAULT_INPUT_SIZE = 224
"""Side in pixels where neither the model nor the user says one."""

_SIGNATURES = ("serving_default", "default")
_OUTPUTS = ("default", "feature_vector")


class SavedModelBackbone:
    """A SavedModel that turns images into vectors; `load_backbone` makes it.

    Attributes:
        width: length of a bottleneck.
        input_size: (height, width) in pixels.
        device: such as "cpu:0".
        any_batch_size: no: a graph may be compiled for each.
        batches_at_once: one, for it is not known what is in it.
    """

    any_batch_size = False
    batches_at_once = 1

    def __init__(
        self,
        loaded: Any,
        spec: BackboneSpec,
        device: str,
        pooled: Callable[[Any, Pooling], Any] | None = None,
    ) -> None:
        """Get ready; `pooled` makes a vector of a feature map in place of the usual pooling."""
        function, tensor = _entry_point(loaded, spec)
        self._loaded = loaded  # its variables live only as long as it does
        self.device = device
        self.input_size = _input_size(tensor, spec)
        self._run = _compile(function, tensor, self.input_size, spec.pooling, pooled or pool_map)
        self.width = _probe_width(self, spec)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Bottlenecks of a batch: (n, height, width, 3) uint8 RGB to (n, width) float32."""
        with load_tensorflow().device(self.device):
            return np.asarray(self._run(images).numpy(), dtype=np.float32)


def build_saved_model_backbone(
    spec: BackboneSpec, device: str, pooled: Callable[[Any, Pooling], Any] | None = None
) -> SavedModelBackbone:
    """Load the SavedModel of a resolved hub spec.

    Args:
        spec: the spec.
        device: a device of Keras.
        pooled: makes a vector of a feature map `(n, h, w, channels)`; None for the usual pooling.

    Raises:
        WeightsError: it cannot be found or read.
        BackboneError: it takes no image, or gives no vector.
    """
    folder = find_saved_model(spec.hub_source)
    tensorflow = load_tensorflow()
    with tensorflow.device(device), quiet_engine():
        return SavedModelBackbone(_load(tensorflow, folder), spec, device, pooled)


def _load(tensorflow: Any, folder: Path) -> Any:
    try:
        return tensorflow.saved_model.load(str(folder))
    except Exception as error:  # a damaged model raises anything from OSError to DecodeError
        raise WeightsError(
            f"{setting('BackboneSpec.name')} hub: takes an intact TF2 SavedModel, and {folder} "
            f"cannot be read ({reason_of(error)}): export or download it again"
        ) from error


def _entry_point(loaded: Any, spec: BackboneSpec) -> tuple[Any, Any]:
    """The function to call with one image tensor, and the specification of that tensor."""
    signatures = getattr(loaded, "signatures", {})
    for key in _SIGNATURES:
        if key in signatures:
            names = signatures[key].structured_input_signature[1]
            if len(names) == 1:
                ((name, tensor),) = names.items()
                return _by_name(signatures[key], name), tensor
    if callable(loaded):
        for concrete in getattr(loaded.__call__, "concrete_functions", ()):
            positional = concrete.structured_input_signature[0]
            tensors = [spec for spec in positional if hasattr(spec, "shape")]
            if len(tensors) == 1:
                return loaded, tensors[0]
    raise BackboneError(
        f"{spec.name} must be callable with one tensor of images, or have a signature "
        f"serving_default that is; it has the signatures {', '.join(signatures) or 'none'}: "
        "export the model with such a signature"
    )


def _by_name(signature: Any, name: str) -> Any:
    return lambda images: signature(**{name: images})


def _input_size(tensor: Any, spec: BackboneSpec) -> tuple[int, int]:
    shape = tensor.shape.as_list() if tensor.shape.rank is not None else [None] * 3 + [3]
    if len(shape) != 4 or shape[3] not in (3, None) or shape[0] is not None:
        raise BackboneError(
            f"a hub: backbone takes batches of RGB images (None, height, width, 3), and "
            f"{spec.name} takes {tensor.shape}: export the model with that input"
        )
    wanted = spec.input_size or DEFAULT_INPUT_SIZE
    size = (shape[1] or wanted, shape[2] or wanted)
    if spec.input_size is not None and size != (spec.input_size, spec.input_size):
        raise BackboneError(
            f"{spec.name} takes images of {size[0]} x {size[1]} px only, not "
            f"{setting('input_size', spec.input_size)}: leave {setting('input_size')} out"
        )
    return size


def pool_map(features: Any, pooling: Pooling) -> Any:
    """A feature map (n, h, w, channels) of TensorFlow as vectors (n, channels)."""
    tensorflow = load_tensorflow()
    reduce = tensorflow.reduce_max if pooling == "max" else tensorflow.reduce_mean
    return reduce(features, axis=(1, 2))


def _compile(
    function: Any,
    tensor: Any,
    size: tuple[int, int],
    pooling: Pooling,
    pooled: Callable[[Any, Pooling], Any],
) -> Any:
    tensorflow = load_tensorflow()

    def run(images: Any) -> Any:
        if tensor.dtype != tensorflow.uint8:  # a model for 8-bit pixels scales them by itself
            images = tensorflow.cast(images, tensor.dtype) / 255
        vectors = tensorflow.cast(_choose_output(function(images)), tensorflow.float32)
        return pooled(vectors, pooling) if vectors.shape.rank == 4 else vectors

    signature = [tensorflow.TensorSpec((None, *size, 3), tensorflow.uint8)]
    return tensorflow.function(run, input_signature=signature, autograph=False)


def _choose_output(outputs: Any) -> Any:
    if not isinstance(outputs, Mapping):
        return outputs
    if len(outputs) == 1:
        return next(iter(outputs.values()))
    for key in _OUTPUTS:
        if key in outputs:
            return outputs[key]
    raise ValueError(f"it has the outputs {', '.join(sorted(outputs))}, none called feature_vector")


def _probe_width(backbone: SavedModelBackbone, spec: BackboneSpec) -> int:
    """Length of the vectors, from one black image."""
    try:
        vectors = backbone(np.zeros((1, *backbone.input_size, 3), np.uint8))
    except Exception as error:  # whatever the user's graph raises
        raise BackboneError(
            f"{spec.name} must turn RGB images of {backbone.input_size[0]} x "
            f"{backbone.input_size[1]} px into vectors, and fails on one ({reason_of(error)}): "
            f"check {setting('input_size')}, or export the model without other inputs"
        ) from error
    if vectors.ndim != 2:
        raise BackboneError(
            f"a hub: backbone gives one vector per image (n, width), and {spec.name} gives "
            f"{vectors.shape}: export the model with such an output"
        )
    return int(vectors.shape[1])
