"""Eight bits: NNCF's post-training quantisation of a converted model, calibrated on photos."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.runtimes.kept_models import XML, KeptModel, keep_model
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.engine import load_openvino, openvino_core, quiet_engine
from retrain_cli.errors import (
    BackboneError,
    DatasetError,
    MissingExtraError,
    last_reason_of,
    setting,
)

LEAST_PHOTOS = 10
Images = Sequence[NDArray[np.uint8]]


def check_installed() -> None:
    """Say so early where NNCF is missing.

    Raises:
        MissingExtraError: it is.
    """
    if find_spec("nncf") is None:
        raise MissingExtraError(f"8-bit networks ({setting('precision', 'int8')})", "fast-cpu")


def quantise(
    base: KeptModel, spec: BackboneSpec, models: Path, images: Callable[[], Images]
) -> KeptModel:
    """Quantise weights and activations of a converted network, and keep the result.

    Args:
        base: the network in float32.
        spec: the backbone, with precision int8.
        models: the folder of the kept models.
        images: gives `(height, width, 3) uint8` photos that show which values occur.

    Raises:
        MissingExtraError: NNCF is not installed.
        DatasetError: too few photos.
        BackboneError: OpenVINO computes no such network in 8 bits.
    """
    check_installed()
    shown = images()
    if len(shown) < LEAST_PHOTOS:
        raise DatasetError(
            f"{setting('precision', 'int8')} is calibrated on at least {LEAST_PHOTOS} photos of "
            f"yours, and {len(shown)} can be read: add some, or choose another precision"
        )

    def write(folder: Path) -> None:
        openvino = load_openvino()
        with quiet_engine(), redirect_stdout(io.StringIO()):  # NNCF draws bars on stdout
            model = openvino_core().read_model(base.xml)
            openvino.serialize(quantised_model(model, shown, spec.name), folder / XML)

    return keep_model(models, spec, write)


def quantised_model(model: Any, images: Images, name: str) -> Any:
    """The model in 8 bits, in a form that this processor computes.

    NNCF gives the inputs of depthwise convolutions a scale a channel. Where an axis of theirs was
    moved it takes another one for that of the channels, as in EfficientNetV2, and OpenVINO refuses
    the result; then one scale an input has to do.

    Raises:
        BackboneError: OpenVINO computes neither.
    """
    load_openvino()  # before NNCF, which would import it with its telemetry
    import nncf
    from nncf.quantization.advanced_parameters import QuantizationParameters

    nncf.set_log_level(logging.ERROR)
    calibration = nncf.Dataset([image[np.newaxis] for image in images])
    one_scale = nncf.AdvancedQuantizationParameters(
        activations_quantization_params=QuantizationParameters(per_channel=False)
    )
    reason = ""
    for how in (None, one_scale):
        made = nncf.quantize(
            model.clone(), calibration, subset_size=len(images), advanced_parameters=how
        )
        try:
            openvino_core().compile_model(made, "CPU")
        except RuntimeError as error:
            reason = last_reason_of(error)
            continue
        return made
    raise BackboneError(
        f"{setting('precision', 'int8')} needs a network that OpenVINO computes in 8 bits on this "
        f"processor, and {name} is none ({reason}): choose {setting('precision', 'float32')}"
    )
