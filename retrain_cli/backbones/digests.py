"""Digests of weight files, SavedModel folders and identities: what makes two caches comparable."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from retrain_cli.errors import WeightsError
from retrain_cli.files import hex_digest
from retrain_cli.paths import is_plain_name


def digest_file(path: Path) -> str:
    """BLAKE2b-128 of a file's bytes, as 32 hex digits.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        status = path.stat()
        return _digest_unchanged(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise WeightsError(f"the weights {path} cannot be read ({error.strerror})") from error


@lru_cache(maxsize=16)
def _digest_unchanged(path: Path, size: int, mtime_ns: int) -> str:
    """Hash once per state of the file; `size` and `mtime_ns` only tell the states apart."""
    return hex_digest(path)


def digest_folder(folder: Path) -> str:
    """BLAKE2b-128 over relative path and content of all files in a folder, as 32 hex digits.

    The folder's own place does not count, so that a moved or copied model stays the same.

    Raises:
        WeightsError: a file in it cannot be read; it holds something that the digest could not
            stand for, such as a pipe or a link to a folder.
    """
    digest = hashlib.blake2b(digest_size=16)
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    for name in sorted(files):
        if files[name].is_dir() and not files[name].is_symlink():
            continue
        if not files[name].is_file():
            raise WeightsError(
                f"a model's folder holds files and folders, and {files[name]} is neither: copy the "
                "model with what its links lead to (cp -rL)"
            )
        digest.update(os.fsencode(name) + b"\0" + digest_file(files[name]).encode())
    return digest.hexdigest()


_RUNTIME_NAMES = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime", "torch": "torch"}
_POOLING_NAMES = {"max": "max pooling", "cls": "cls pooling", "none": "no pooling"}


def settings_of(values: Mapping[str, Any]) -> str:
    """Whatever is not the usual in a resolved spec's fields, or in an identity, for people."""
    details = [
        f"alpha {values['alpha']:g}" if values["alpha"] is not None else "",
        _layers_of(values["layer"]),
        f"{values['input_size']} px" if values["input_size"] else "",
        values.get("output") or "",
        f"scaling {values['scaling']}" if values.get("scaling") else "",
        _POOLING_NAMES.get(values["pooling"], ""),
        values["resize"] if values["resize"] not in ("auto", "squash") else "",
        "random weights" if values["weights"].startswith("random") else "",
        values["precision"] if values["precision"] not in ("auto", "float32") else "",
        _RUNTIME_NAMES.get(values.get("runtime") or "", ""),
        f"views {values['views']}" if values.get("views") else "",
    ]
    return ", ".join(detail for detail in details if detail)


_MOST_NAMED = 3


def _layers_of(layer: str | None) -> str:
    names = (layer or "").split(",")
    return " + ".join(names) if len(names) <= _MOST_NAMED else f"{len(names)} layers"


def identity_fingerprint(identity: Mapping[str, Any]) -> str:
    """12 hex digits of BLAKE2b over an identity as canonical JSON."""
    text = json.dumps(dict(identity), sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def check_identity(identity: object) -> None:
    """Hold what another machine calls a backbone's identity to be one.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(identity, dict):
        raise ValueError("that is no record")
    for key, (kinds, may_miss) in _IDENTITY_KINDS.items():
        value = identity.get(key)
        if key not in identity and not may_miss:
            raise ValueError(f"it has no {key}")
        if key in identity and (not isinstance(value, kinds) or isinstance(value, bool)):
            raise ValueError(f"its {key} is {value!r:.40}")
    if unknown := sorted(set(identity) - set(_IDENTITY_KINDS)):
        raise ValueError(f"it has a {unknown[0]!r:.40}")
    if not is_plain_name(identity["name"]):
        raise ValueError(f"its name is {identity['name']!r:.40}")


_IDENTITY_KINDS: dict[str, tuple[tuple[type, ...], bool]] = {
    "name": ((str,), False),
    "alpha": ((float, int, type(None)), False),
    "layer": ((str, type(None)), False),
    "pooling": ((str,), False),
    "weights": ((str,), False),
    "input_size": ((int, type(None)), False),
    "resize": ((str,), False),
    "precision": ((str,), False),
    "preprocessing": ((int,), False),
    "runtime": ((str,), True),
    "model": ((str, type(None)), True),
    "output": ((str, type(None)), True),
    "scaling": ((str, type(None)), True),
    "views": ((str,), True),
}
"""Of each entry of an identity its kinds, and whether it may be missing."""
