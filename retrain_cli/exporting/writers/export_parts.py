"""What every writer gets: the model, what is said of it, and photos to calibrate with."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.engine import load_keras, load_tensorflow, quiet_engine
from retrain_cli.errors import ExportError, RetrainError, reason_of
from retrain_cli.exporting.description import ExportDescription

Photos = Sequence[NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class ExportParts:
    """What a writer makes a file of.

    Attributes:
        model: the Keras model of `build_classifier`.
        description: what the file is to say of itself.
        calibration: gives training photos, `(height, width, 3) uint8` each, for int8.
        is_openvino: whether the model is OpenVINO's, of a network that Keras does not know.
    """

    model: Any
    description: ExportDescription
    calibration: Callable[[], Photos] = lambda: ()
    is_openvino: bool = False


Writer = Callable[[ExportParts, Path], None]
"""Writes a file, or a folder, at a path that is free."""


def frozen_function(model: Any, size: tuple[int, int]) -> Any:
    """The model as a TensorFlow function whose weights are constants, from `images` to scores."""
    load_keras()
    tensorflow = load_tensorflow()
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    images = tensorflow.TensorSpec((None, *size, 3), "uint8", name="images")
    function = tensorflow.function(lambda images: model(images, training=False))
    return convert_variables_to_constants_v2(function.get_concrete_function(images))


@contextmanager
def writing_format(name: str) -> Iterator[None]:
    """Quietly, and with whatever a converter raises in our words.

    Raises:
        ExportError: the block failed.
    """
    try:
        with quiet_engine(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # converters warn of what is meant so
            yield
    except RetrainError:
        raise
    except OSError:
        raise
    except Exception as error:  # whatever a converter raises
        raise ExportError(
            f"this run cannot be written as {name} ({reason_of(error)[:300]}): choose another "
            "format"
        ) from error
