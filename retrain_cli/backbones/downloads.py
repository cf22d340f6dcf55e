"""ImageNet weights from the network, through Keras's own download with its hash check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrain_cli import waiting
from retrain_cli.backbones.table import PublishedWeights
from retrain_cli.engine import keras_folder, load_keras, quiet_engine
from retrain_cli.errors import WeightsError, reason_of, setting


def keras_models_folder() -> Path:
    """Where Keras keeps weights that it has downloaded."""
    return keras_folder() / "models"


def fetch_weights(published: PublishedWeights, backbone: str) -> Path:
    """The published file on disk: from Keras's folder if it is there and intact, else downloaded.

    Raises:
        WeightsError: no network, or the file does not have the published hash.
    """
    keras = load_keras()
    try:
        with (
            waiting.for_(f"fetching the weights of {backbone}"),
            quiet_engine(),
            _silent_keras(keras),
        ):
            path = keras.utils.get_file(
                published.file_name,
                origin=published.url,
                file_hash=published.digest,
                cache_subdir="models",
            )
    except Exception as error:  # get_file raises bare Exception for any network error
        # Keras wraps the network's own error in a text that repeats the URL.
        reason = getattr(error.__context__, "reason", None) or reason_of(error)
        raise WeightsError(
            f"the ImageNet weights of {backbone} cannot be downloaded ({reason}): download "
            f"{published.url} elsewhere and give it as {setting('weights', published.file_name)} "
            f"or put it into {keras_models_folder()}, or go on offline with "
            f"{setting('BackboneSpec.name', 'mini')}"
        ) from error
    return Path(path)


@contextmanager
def _silent_keras(keras: object) -> Iterator[None]:
    """Keep Keras's progress bar off standard output, which is for results."""
    config = keras.config  # type: ignore[attr-defined]
    was_on = config.is_interactive_logging_enabled()
    config.disable_interactive_logging()
    try:
        yield
    finally:
        if was_on:
            config.enable_interactive_logging()
