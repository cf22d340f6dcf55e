"""What the workers of a Ray cluster do with photos: read and decode; the forward pass.

A row travels with the photo's place among all, its location, and what is known of its file. The
decoders add digest, problem and pixels; the forward pass turns these into a part on a disk that all
see, or sends the vectors back itself.

Every photo is decoded in a process beside the worker, for one that takes its process along takes
nothing else then. Ray would give the worker's photos to the next one, which would die of it, too.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.loader import Backbone, load_backbone
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.vector_parts import SUFFIX, PartOrigin, PartRow, write_part
from retrain_cli.cache.vector_rows import CacheDtype
from retrain_cli.errors import BackboneError
from retrain_cli.extraction.forward import run_padded
from retrain_cli.extraction.readers import examine
from retrain_cli.images.decode import Pixels
from retrain_cli.images.limits import limited

Columns = Mapping[str, NDArray[Any]]
"""Rows of a batch: of each column its values."""


@dataclass(frozen=True)
class DecodeJob:
    """How to decode.

    Attributes:
        size: height and width of the pixels.
        rule: as of `decode_image`.
        timeout: as of `decode_image`.
        cached: where Ray keeps the first eight bytes of the digests that need no pixels, in order;
            None for no such digests.
    """

    size: tuple[int, int]
    rule: str
    timeout: float
    cached: Any = None


def decode_rows(rows: Columns, job: DecodeJob) -> dict[str, Any]:
    """Read and decode; what is wrong with a photo stands in its row."""

    def decode(data: bytes) -> Pixels:
        return np.asarray(
            limited.call("decode_image", data, (job.size, job.rule), job.timeout), np.uint8
        )

    is_cached = _lookup(job.cached)
    seen = [examine(pickle.loads(one), decode, is_cached) for one in rows["location"]]
    blank = np.zeros((*job.size, 3), np.uint8)
    return {
        "place": rows["place"],
        "about": rows["about"],
        "digest": _as_objects([one.digest or b"" for one in seen]),
        "problem": _as_objects([one.problem or "" for one in seen]),
        "has_pixels": np.array([one.pixels is not None for one in seen]),
        "pixels": np.stack([blank if one.pixels is None else one.pixels for one in seen]),
    }


def _as_objects(values: Sequence[Any]) -> NDArray[Any]:
    """A column of bytes or texts; NumPy's own arrays of bytes lose zeros at their ends."""
    column = np.empty(len(values), object)
    column[:] = values
    return column


def short_digests(digests: Sequence[bytes]) -> NDArray[np.uint64]:
    """The first eight bytes of each digest, in order: half the memory, and hardly ever two alike.

    Where two are, a photo counts as cached that is not: the next run computes it.
    """
    return np.sort(np.array([int.from_bytes(one[:8], "big") for one in digests], np.uint64))


def _lookup(cached: Any) -> Any:
    if cached is None:
        return lambda digest: False
    import ray

    known = ray.get(cached)

    def is_cached(digest: bytes) -> bool:
        wanted = np.uint64(int.from_bytes(digest[:8], "big"))
        place = int(np.searchsorted(known, wanted))
        return place < len(known) and bool(known[place] == wanted)

    return is_cached


@dataclass(frozen=True)
class ForwardJob:
    """How to compute.

    Attributes:
        spec: the backbone, settled.
        fingerprint: that it must have where it is computed, too.
        device: as of `load_backbone`.
        models: folder of the converted networks, on a disk that all see.
        trusted: whether a SavedModel may run.
        batch_size: images a forward pass.
        parts: where to write parts; None to send the vectors back.
        image_dir: the image folder.
        dtype: of the vectors in parts; those that are sent back are float32.
    """

    spec: BackboneSpec
    fingerprint: str
    device: str
    models: Path
    trusted: bool
    batch_size: int
    parts: Path | None
    image_dir: str
    dtype: CacheDtype = "float32"


class ForwardStage:
    """An actor with a backbone.

    Args:
        job: what it computes.
    """

    def __init__(self, job: ForwardJob) -> None:
        if job.spec.fingerprint() != job.fingerprint:
            raise BackboneError(
                f"all workers compute the same, and one has other weights of {job.spec.label()} "
                "than the machine that started it: put the same file there"
            )
        self._job = job
        self._backbone: Backbone = load_backbone(
            job.spec, job.device, job.models, trust_model=job.trusted
        )

    def __call__(self, rows: Columns) -> dict[str, Any]:
        """Compute, and write a part or send back."""
        vectors = self._vectors(rows["pixels"][rows["has_pixels"].astype(bool)])
        if self._job.parts is not None:
            return {"part": [self._write(rows, vectors, self._job.parts)]}
        found = np.zeros((len(rows["place"]), self._backbone.width), np.float32)
        found[rows["has_pixels"].astype(bool)] = vectors
        return {
            **{name: rows[name] for name in ("place", "digest", "problem", "has_pixels")},
            "vector": found,
        }

    def _vectors(self, pixels: Pixels) -> NDArray[np.float32]:
        """`(n, width) float32` of `(n, height, width, 3) uint8`."""
        size = self._job.batch_size
        batches = [
            run_padded(self._backbone, list(pixels[start : start + size]), size)
            for start in range(0, len(pixels), size)
        ]
        return np.concatenate([np.zeros((0, self._backbone.width), np.float32), *batches])

    def _write(self, rows: Columns, vectors: NDArray[np.float32], folder: Path) -> str:
        """Write a part; one that is computed again replaces itself."""
        computed = iter(vectors)
        name = hashlib.blake2b(digest_size=12)
        found: list[PartRow] = []
        columns = (rows[key] for key in ("about", "digest", "problem", "has_pixels"))
        for about, digest, problem, has_pixels in zip(*columns, strict=True):
            name.update(about)
            row: PartRow = pickle.loads(about)
            vector = next(computed) if has_pixels else None
            found.append(
                replace(row, digest=digest or None, problem=problem or None, vector=vector)
            )
        path = folder / f"{name.hexdigest()}{SUFFIX}"
        origin = PartOrigin(dict(self._job.spec.identity()), self._job.image_dir, self._job.dtype)
        write_part(path, origin, found)
        return path.name
