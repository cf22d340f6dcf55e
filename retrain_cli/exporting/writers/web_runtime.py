"""ONNX Runtime for browsers: fetched from the npm registry, and known by its digest."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from urllib.request import urlopen

from retrain_cli.errors import ExportError, reason_of

ARCHIVE = "onnxruntime-web-1.30.0.tgz"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/{ARCHIVE}"
SHA512 = (
    "ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)
"""Of the archive, as the registry states it."""

RUNTIME_FILES = {
    "ort.wasm.min.mjs": "package/dist/ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs": "package/dist/ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm": "package/dist/ort-wasm-simd-threaded.wasm",
    "package.json": "package/package.json",
}
"""What a page needs of it, by where it lies in the archive; the last one states the licence."""

_SECONDS = 60
_MOST_BYTES = 128 << 20


def web_runtime() -> dict[str, bytes]:
    """The files by name: of the archive in the current folder, else of the one that is fetched.

    Raises:
        ExportError: it cannot be had, or is another one than it should be.
    """
    here = Path(ARCHIVE)
    archive = here.read_bytes() if here.is_file() else _fetched()
    if hashlib.sha512(archive).hexdigest() != SHA512:
        raise ExportError(
            f"{here.absolute() if here.is_file() else URL} must have the SHA-512 "
            f"{SHA512[:16]}..., and has another: remove it, and take that of {URL}"
        )
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        return {name: _member(opened, place) for name, place in RUNTIME_FILES.items()}


def _fetched() -> bytes:
    try:
        with urlopen(URL, timeout=_SECONDS) as answer:
            content: bytes = answer.read(_MOST_BYTES)
    except OSError as error:
        raise ExportError(
            f"a web page needs ONNX Runtime for browsers, and {URL} cannot be fetched "
            f"({reason_of(error)}): put {ARCHIVE} into {Path.cwd()}, from a machine that can"
        ) from error
    return content


def _member(opened: tarfile.TarFile, place: str) -> bytes:
    content = opened.extractfile(place)
    assert content is not None  # a file, by the archive's digest
    return content.read()
