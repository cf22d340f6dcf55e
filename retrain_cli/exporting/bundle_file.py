"""A run as one file: a ZIP archive of data, whose every part is checked by its digest.

    bundle.json  config.json  labels.json  head.npz  [backbone.safetensors]
    [weights/FILE]  [model/model.xml  model/model.bin]

Nothing in it is a program, and nothing is unpacked that the list in bundle.json does not name.
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain_cli.errors import ExportError, reason_of
from retrain_cli.files import check_ordinary, hex_digest
from retrain_cli.workspace import to_json

MANIFEST = "bundle.json"
FORMAT_VERSION = 1
_MOST_FILES, _MOST_MANIFEST, _MOST_BYTES = 64, 64 << 20, 16 << 30
_NAME = re.compile(r"(?!(?:weights|model)$)(weights/|model/)?[\w][\w.+ -]{0,200}")
_DIGEST = re.compile(r"[0-9a-f]{32}")
_FIXED_DATE = (1980, 1, 1, 0, 0, 0)
_PIECE = 1 << 20


@dataclass(frozen=True, eq=False)
class BundleManifest:
    """The list of a bundle.

    Attributes:
        facts: what it says of the run, as JSON values.
        files: bytes and BLAKE2b-128 of each part, by its name.
    """

    facts: Mapping[str, Any]
    files: Mapping[str, tuple[int, str]]

    def to_json(self) -> str:
        """As JSON."""
        files = {name: {"bytes": size, "digest": one} for name, (size, one) in self.files.items()}
        return to_json({"format": FORMAT_VERSION, **self.facts, "files": files}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: bytes) -> BundleManifest:
        """The inverse.

        Raises:
            ValueError, TypeError, KeyError: damaged, or of a newer version.
        """
        facts = dict(json.loads(text))
        version = facts.pop("format")
        if version != FORMAT_VERSION:
            raise ValueError(f"it is of format {version!r:.20}, not {FORMAT_VERSION}")
        listed = facts.pop("files")
        files = {str(k): (int(one["bytes"]), str(one["digest"])) for k, one in listed.items()}
        for name, (size, digest) in files.items():
            if not _NAME.fullmatch(name) or ".." in name or not _DIGEST.fullmatch(digest):
                raise ValueError(f"it names {name!r:.60}, which no bundle holds")
            if not 0 <= size <= _MOST_BYTES:
                raise ValueError(f"{name} has {size} bytes")
        return cls(facts, files)


def write_bundle(path: Path, facts: Mapping[str, Any], parts: Mapping[str, Path]) -> None:
    """Write a bundle; the same parts give the same bytes.

    Args:
        path: the file.
        facts: what it is to say of the run.
        parts: the files, by their names in the bundle.

    Raises:
        OSError: a part cannot be read, or the disk cannot be written.
    """
    files = {name: (one.stat().st_size, hex_digest(one)) for name, one in parts.items()}
    manifest = BundleManifest(facts, files)
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        archive.writestr(zipfile.ZipInfo(MANIFEST, _FIXED_DATE), manifest.to_json())
        for name, one in parts.items():
            with (
                one.open("rb") as source,
                archive.open(zipfile.ZipInfo(name, _FIXED_DATE), "w", force_zip64=True) as target,
            ):
                shutil.copyfileobj(source, target, _PIECE)


def read_manifest(path: Path) -> BundleManifest:
    """The list of a bundle; nothing else of it is read.

    Raises:
        ExportError: it is not there, or is no bundle.
    """
    try:
        check_ordinary(path)
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(MANIFEST).file_size > _MOST_MANIFEST:
                raise ValueError(f"{MANIFEST} is too long")
            return BundleManifest.from_json(archive.read(MANIFEST))
    except FileNotFoundError as error:
        raise ExportError(
            f"a bundle must be there, and {path} is not: make one with `retrain bundle`"
        ) from error
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error
    except _FAULTS as error:
        raise _damaged(path, reason_of(error)) from error


def unpack_bundle(path: Path, folder: Path) -> BundleManifest:
    """Unpack what the list names into a new folder, and compare each part with its digest.

    Raises:
        ExportError: it is no bundle, or a part is not what the list says.
        OSError: the folder cannot be written.
    """
    manifest = read_manifest(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if sorted(names) != sorted([MANIFEST, *manifest.files]) or len(names) > _MOST_FILES:
                raise ValueError("it holds other files than its list names")
            for name, (size, _) in manifest.files.items():
                if archive.getinfo(name).file_size != size:
                    raise ValueError(f"{name} has another size than its list says")
                _extract(archive, name, folder / name)
    except _FAULTS as error:
        raise _damaged(path, reason_of(error)) from error
    for name, (_, digest) in manifest.files.items():
        if hex_digest(folder / name) != digest:
            raise _damaged(path, f"{name} does not have the digest that its list says")
    return manifest


def _extract(archive: zipfile.ZipFile, name: str, target: Path) -> None:
    """One part; `ZipFile.open` gives no more bytes than its header says, and checks their sum."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, _PIECE)


_FAULTS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    EOFError,
    NotImplementedError,
    RecursionError,
    RuntimeError,
    zlib.error,
)


def _damaged(path: Path, reason: str) -> ExportError:
    return ExportError(
        f"{path} should be a bundle of `retrain bundle` and is none, or is damaged ({reason}): "
        "copy it again, or bundle the run again"
    )
