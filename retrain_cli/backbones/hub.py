"""Where a TF2 SavedModel lies: in a folder of the user's, or in TensorFlow Hub's own cache."""

from __future__ import annotations

import os
import tempfile
import warnings
from functools import lru_cache
from pathlib import Path

from retrain_cli import waiting
from retrain_cli.engine import load_tensorflow, quiet_engine
from retrain_cli.errors import ConfigError, WeightsError, reason_of, setting
from retrain_cli.paths import absolute

HUB_PREFIX = "hub:"


def is_handle(text: str) -> bool:
    """Whether this is an address for TensorFlow Hub rather than a folder on disk."""
    return "://" in text


def find_saved_model(handle_or_folder: str) -> Path:
    """The folder of a SavedModel; a handle is downloaded, or found in TensorFlow Hub's cache.

    Raises:
        WeightsError: no such folder, no SavedModel in it, or the handle cannot be resolved.
    """
    if is_handle(handle_or_folder):
        return _resolve_handle(handle_or_folder)
    folder = absolute(handle_or_folder)
    if not (folder / "saved_model.pb").is_file():
        what = "no saved_model.pb in it" if folder.is_dir() else "no such folder"
        raise WeightsError(
            f"{setting('BackboneSpec.name', 'hub:')} takes a TensorFlow Hub address (https://...) "
            f"or the folder of a TF2 SavedModel; {folder}: {what}"
        )
    return folder


@lru_cache(maxsize=8)
def _resolve_handle(handle: str) -> Path:
    load_tensorflow()
    try:
        with (
            waiting.for_(f"fetching {handle}"),
            quiet_engine(),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # tensorflow-hub still imports pkg_resources
            import tensorflow_hub

            return Path(tensorflow_hub.resolve(handle))
    except ImportError as error:
        raise ConfigError(
            f"{HUB_PREFIX}{handle} needs tensorflow-hub, whose import failed ({error}): "
            "pip install tensorflow-hub 'setuptools<81', or give a SavedModel folder instead"
        ) from error
    except Exception as error:  # noqa: BLE001, RUF100 - urllib, TensorFlow, tarfile: all mean no model
        raise WeightsError(
            f"{HUB_PREFIX}{handle} cannot be fetched ({reason_of(error)}); TensorFlow Hub caches "
            f"in {hub_cache_folder()} ($TFHUB_CACHE_DIR): retry online, or download the model "
            "elsewhere and give its SavedModel folder as "
            f"{setting('BackboneSpec.name', HUB_PREFIX + 'FOLDER')}"
        ) from error


def hub_cache_folder() -> Path:
    """Where TensorFlow Hub keeps what it has downloaded."""
    default = Path(tempfile.gettempdir()) / "tfhub_modules"
    return Path(os.environ.get("TFHUB_CACHE_DIR") or default)
