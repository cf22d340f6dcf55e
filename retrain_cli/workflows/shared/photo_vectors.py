"""Bottlenecks of some photos, wherever they lie: cached like all others, in no dataset."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.loader import BackboneLoader, LazyBackbone, loader_of
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.cache_files import cache_path
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.datasets.folders import images_below
from retrain_cli.errors import CacheError
from retrain_cli.extraction.forward import padded_rows, run_padded
from retrain_cli.images.decode import decode_image
from retrain_cli.images.examine import Examined, examine_file
from retrain_cli.parallel import bounded_map, usable_processors
from retrain_cli.paths import absolute
from retrain_cli.workspace import Workspace

_BATCH = 32

PhotoListener = Callable[[int, int], None]
"""Is told how many photos are done, and how many there are."""


@dataclass(frozen=True)
class Photo:
    """A good photo: its absolute path, and the digest of its bytes."""

    path: str
    digest: bytes


@dataclass(frozen=True, eq=False)
class PhotoSet:
    """Some photos, each distinct one once.

    Attributes:
        photos: the good ones, in the order in which they were given.
        vectors: `(n_photos, width) float32`, their bottlenecks.
        bad: those that cannot be used, as (path, reason).
    """

    photos: tuple[Photo, ...]
    vectors: NDArray[np.float32]
    bad: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.photos)


def expand(paths: Iterable[Path], ignore: Collection[Path] = ()) -> list[Path]:
    """Files as they are, folders as the images below them, without what is ignored; absolute."""
    files: list[Path] = []
    for path in paths:
        full = absolute(path)
        files += images_below(full, ignore) if full.is_dir() else [full]
    return files


class PhotoReader:
    """Computes and keeps bottlenecks of photos for the backbone of a run.

    Args:
        spec: the backbone, resolved.
        store: its cache, open to write.
        backbone: what computes.
        on_photo: is told of each batch.
    """

    def __init__(
        self,
        spec: BackboneSpec,
        store: BottleneckStore,
        backbone: LazyBackbone,
        on_photo: PhotoListener = lambda done, total: None,
    ) -> None:
        self._store, self._backbone, self._on_photo = store, backbone, on_photo
        self._decode = partial(decode_image, size=backbone.input_size, rule=spec.resize)

    def known(self, digests: Sequence[bytes]) -> NDArray[np.float32]:
        """The cached vectors of photos, `(n_photos, width) float32`.

        Raises:
            CacheError: one of them is not cached.
        """
        return self._store.read(digests)

    def read(self, files: Sequence[Path]) -> PhotoSet:
        """Examine the files, compute what is not cached, keep it."""
        good: dict[bytes, Photo] = {}
        bad: list[tuple[str, str]] = []
        done = 0
        for batch in self._batches(files):
            self._compute([seen for _, seen in batch if seen.pixels is not None])
            for path, seen in batch:
                if seen.digest is None or seen.problem is not None:
                    bad.append((str(path), seen.problem or "not an image"))
                else:
                    good.setdefault(seen.digest, Photo(str(path), seen.digest))
            done += len(batch)
            self._on_photo(done, len(files))
        return PhotoSet(tuple(good.values()), self._store.read(list(good)), tuple(bad))

    def _batches(self, files: Sequence[Path]) -> Iterator[list[tuple[Path, Examined]]]:
        threads = usable_processors()
        with ThreadPoolExecutor(threads, "reader") as pool:
            examined = bounded_map(pool, self._examine, files, 2 * _BATCH)
            while batch := list(islice(examined, _BATCH)):
                yield batch

    def _examine(self, path: Path) -> Examined:
        return examine_file(path, self._decode, self._store.contains)

    def _compute(self, new: Sequence[Examined]) -> None:
        if not new:
            return
        pixels = [seen.pixels for seen in new if seen.pixels is not None]
        vectors = run_padded(self._backbone, pixels, padded_rows(len(pixels)))
        self._store.put([seen.digest or b"" for seen in new], vectors)


@contextmanager
def open_reader(
    spec: BackboneSpec,
    workspace: Workspace,
    device: str = "auto",
    load: BackboneLoader | None = None,
    on_photo: PhotoListener = lambda done, total: None,
) -> Iterator[PhotoReader]:
    """A reader of photos that fills the cache of a backbone, which nobody else fills meanwhile.

    Raises:
        CacheError: there is no such cache.
        WorkspaceError: another command is at work in this workspace.
    """
    path = cache_path(workspace, spec)
    if not path.is_file():
        raise CacheError(
            f"this needs the bottlenecks that the run was trained on, and {path} is not there: run "
            f"`retrain bottlenecks` with the backbone {spec.label()} again"
        )
    backbone = LazyBackbone(spec, device, load or loader_of(workspace))
    with workspace.lock("add-class"), BottleneckStore(path, spec.identity()) as store:
        yield PhotoReader(spec, store, backbone, on_photo)
