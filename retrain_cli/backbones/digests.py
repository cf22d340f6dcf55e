"""Digests of weight files and SavedModel folders: what makes two caches comparable."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from retrain_cli.errors import WeightsError
from retrain_cli.files import hex_digest


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
