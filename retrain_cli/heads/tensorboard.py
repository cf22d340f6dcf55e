"""Training curves for TensorBoard, which is TensorFlow's own on every engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from retrain_cli.engine import load_tensorflow
from retrain_cli.heads.history import ProgressListener, TrainingProgress

FOLDER = "tensorboard"


@contextmanager
def tensorboard_listener(run_folder: Path, enabled: bool) -> Iterator[ProgressListener]:
    """A listener for `train_head` that writes each evaluation as scalars.

    Args:
        run_folder: the event files go into its folder `tensorboard`.
        enabled: without, the listener does nothing and TensorFlow is not imported.
    """
    if not enabled:
        yield lambda progress: None
        return
    tensorflow = load_tensorflow()
    metadata = _scalar_metadata(tensorflow)
    writer = tensorflow.summary.create_file_writer(str(run_folder / FOLDER))

    def write(progress: TrainingProgress) -> None:
        with writer.as_default(step=progress.row.step):
            for name, value in _scalars(progress).items():
                tensorflow.summary.write(name, value, metadata=metadata)
        writer.flush()

    try:
        yield write
    finally:
        writer.close()


def _scalar_metadata(tensorflow: ModuleType) -> Any:
    """What marks a scalar; `tf.summary.scalar` would need TensorBoard to be installed."""
    metadata = tensorflow.compat.v1.SummaryMetadata(data_class="DATA_CLASS_SCALAR")
    metadata.plugin_data.plugin_name = "scalars"
    return metadata


def _scalars(progress: TrainingProgress) -> dict[str, float]:
    row = progress.row
    scalars = {
        "loss/training": row.loss,
        "loss/validation": row.validation_loss,
        "accuracy/training": row.training_accuracy,
        "accuracy/validation": row.validation_accuracy,
    }
    return {name: value for name, value in scalars.items() if value is not None}
