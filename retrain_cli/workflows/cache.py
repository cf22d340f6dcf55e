"""`retrain cache`: look into, check, tidy and export the bottleneck caches."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from retrain_cli import waiting
from retrain_cli.cache.cache_files import cache_files
from retrain_cli.cache.salvage import Salvaged, move_aside, salvage
from retrain_cli.cache.store import BottleneckStore, Damage, open_to_read
from retrain_cli.cache.sweeping import sweep
from retrain_cli.cache.vector_rows import CacheDtype
from retrain_cli.cache.verification import Verified, verify_store
from retrain_cli.datasets.dataset import load_dataset
from retrain_cli.datasets.file_index import FileIndex
from retrain_cli.durable import sweep_drafts
from retrain_cli.errors import CacheError, DamagedFileError, RetrainError
from retrain_cli.exporting.vectors import ExportRows, export_bottlenecks
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.run import Run, RunStore
from retrain_cli.similarity.photo_facts import PhotoFacts
from retrain_cli.workflows.shared.last_used import LastUsed, used_cache
from retrain_cli.workspace import Workspace

RowListener = Callable[[str, int, int], None]
"""Is told the name of a cache, how many of its rows are done, and how many it has."""


@dataclass(frozen=True)
class CacheInfo:
    """One cache file.

    Attributes:
        name: its name, without the suffix.
        path: where it is.
        identity: backbone, layer, weights digest and so on.
        bottlenecks: number of vectors.
        width: their length; None while there are none.
        dtype: how their numbers are kept.
        arrays: number of arrays beside them, such as those of distorted views.
        bytes: size on disk, the write-ahead log included.
        images_per_second: speed of the last extraction; None before one.
        in_use: whether it is of the backbone last used.
    """

    name: str
    path: Path
    identity: dict[str, Any]
    bottlenecks: int
    width: int | None
    dtype: CacheDtype
    arrays: int
    bytes: int
    images_per_second: float | None
    in_use: bool


@dataclass(frozen=True)
class CacheCheck:
    """What `verify` or `gc` found in one cache.

    Attributes:
        name: its name, without the suffix.
        bottlenecks: how many vectors it holds now.
        damaged: rows that were not sound.
        removed: rows, of vectors and arrays, that were removed, or would be.
        salvaged: what became of the file, where the file itself was damaged and repaired.
        arrays: how many arrays it holds now.
        checked_before: of its rows those that an interrupted check has checked.
    """

    name: str
    bottlenecks: int
    damaged: list[Damage]
    removed: int = 0
    salvaged: Salvaged | None = None
    arrays: int = 0
    checked_before: int = 0

    @property
    def unrepaired(self) -> bool:
        """Whether damage was found that is still there."""
        return self.salvaged is None and len(self.damaged) > self.removed

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        salvaged = self.salvaged
        return {
            **vars(self),
            "damaged": [vars(damage) for damage in self.damaged],
            "salvaged": salvaged and {**vars(salvaged), "kept_as": str(salvaged.kept_as)},
        }


def list_caches(workspace: Workspace) -> list[CacheInfo]:
    """All caches of the workspace, by name."""
    used = _used_path(workspace)
    return [_info(path, used) for path in _cache_files(workspace)]


def _info(path: Path, used: Path | None) -> CacheInfo:
    with open_to_read(path) as store:
        return CacheInfo(
            name=path.stem,
            path=path,
            identity=store.identity,
            bottlenecks=len(store),
            width=store.width,
            dtype=store.dtype,
            arrays=len(store.arrays),
            bytes=sum(p.stat().st_size for p in path.parent.glob(path.name + "*")),
            images_per_second=store.images_per_second,
            in_use=path == used,
        )


def verify_caches(
    workspace: Workspace,
    name: str | None = None,
    *,
    repair: bool = False,
    on_row: RowListener = lambda name, done, total: None,
) -> list[CacheCheck]:
    """Read every row and compare its checksum; what is remembered of photos is looked at, too.

    What was checked when this is interrupted, or killed, is not checked again by the next call.

    Args:
        workspace: where the caches are.
        name: one cache; None for all.
        repair: remove damaged rows, save the sound rows of a damaged file into a new one, and move
            a damaged memory of photos away, so that what is lost is computed again.
        on_row: is told of the rows that are read.

    Raises:
        CacheError: no such cache, or one that nothing can be saved of.
    """
    with workspace.lock("cache verify --repair") if repair else nullcontext():
        checks = [
            _verify_file(workspace, path, repair, on_row) for path in _chosen(workspace, name)
        ]
        if name is None:
            for path, open_to_verify in _REMADE:
                checks += _verify_remade(workspace.root / path, open_to_verify, repair)
        return checks


def _verify_file(workspace: Workspace, path: Path, repair: bool, on_row: RowListener) -> CacheCheck:
    try:
        with open_to_read(path) as store:
            before = Verified.load(store).rows
            damaged = [*verify_store(store, partial(on_row, path.stem)).damaged]
            rows = [damage for damage in damaged if damage.digest]
            if not repair or not damaged or len(rows) == len(damaged):
                removed = _remove(store, rows) if repair and rows else 0
                left = (len(store), len(store.arrays))
                return CacheCheck(
                    path.stem,
                    left[0],
                    damaged,
                    removed,
                    arrays=left[1],
                    checked_before=before,
                )
    except DamagedFileError as error:  # not even a database any more
        damaged = [Damage("", error.reason)]
        if not repair:
            return CacheCheck(path.stem, 0, damaged)
    with waiting.for_(f"saving what is sound in {path.name}"):
        salvaged = salvage(path, _identity_of(workspace, path))
    return CacheCheck(path.stem, salvaged.saved, damaged, salvaged=salvaged)


def _remove(store: BottleneckStore, rows: list[Damage]) -> int:
    vectors = [bytes.fromhex(row.digest) for row in rows if row.view is None]
    arrays = [(bytes.fromhex(row.digest), row.view) for row in rows if row.view is not None]
    return store.delete(vectors) + store.arrays.remove(arrays)


def _identity_of(workspace: Workspace, path: Path) -> dict[str, Any] | None:
    """What a cache file should hold, where it is that of the backbone last used."""
    if path != _used_path(workspace):
        return None
    try:
        return LastUsed.load(workspace).backbone.identity()
    except RetrainError:  # its weights are gone
        return None


_REMADE: tuple[tuple[str, Callable[[Path], FileIndex | PhotoFacts]], ...] = (
    ("index.sqlite", FileIndex.to_read),
    ("photos.sqlite", PhotoFacts),
)
"""What is only remembered of the photos, and made again from them."""


def _verify_remade(
    path: Path, open_: Callable[[Path], FileIndex | PhotoFacts], repair: bool
) -> list[CacheCheck]:
    """A file that is damaged, and that is made again from the photos: none of it is saved."""
    if not path.exists():
        return []
    try:
        with open_(path) as opened:
            damaged = opened.verify()
    except DamagedFileError as error:
        damaged = [error.reason]
    if not damaged:
        return []
    salvaged = Salvaged(0, 0, move_aside(path)) if repair else None
    return [CacheCheck(path.stem, 0, [Damage("", text) for text in damaged], salvaged=salvaged)]


def collect_garbage(
    workspace: Workspace,
    *,
    dry_run: bool = False,
    on_warning: Callable[[str], None] = lambda warning: None,
    on_row: RowListener = lambda name, done, total: None,
) -> list[CacheCheck]:
    """Remove the bottlenecks of images that no dataset of this workspace holds any more.

    Those of photos that a class was added from stay as long as their run does. What is removed
    when this is interrupted stays removed, and the next call goes on.

    Args:
        workspace: where the caches are.
        dry_run: say what would go, and remove nothing.
        on_warning: called with each run that cannot tell which photos it needs.
        on_row: is told of the rows that are looked at.
    """
    checks: list[CacheCheck] = []
    sweep_drafts(workspace.cache_dir, older_versions=True)
    if not _cache_files(workspace):
        return checks
    with workspace.lock("cache gc"), FileIndex(workspace.index_path) as index:
        known = index.known_digests() | _digests_of_grown_runs(workspace, on_warning)
        for path in _cache_files(workspace):
            with BottleneckStore(path) as store:
                told = partial(on_row, path.stem)
                removed = sweep(store, known, dry_run=dry_run, on_row=told)
                left = (len(store), len(store.arrays))
                checks.append(CacheCheck(path.stem, left[0], [], removed, arrays=left[1]))
    return checks


def _digests_of_grown_runs(workspace: Workspace, on_warning: Callable[[str], None]) -> set[bytes]:
    """Photos that `add-class` took from anywhere: no dataset holds them, but runs do.

    A run that does not tell any more how it was made is taken for one of those.
    """
    digests: set[bytes] = set()
    for run in RunStore(workspace.runs_dir).list():
        try:
            if _may_be_grown(run):
                digests |= {row.tobytes() for row in run.trained_predictions.images.digest}
        except RetrainError as error:
            on_warning(f"its photos count as unused, for it does not tell them: {error}")
    return digests


def _may_be_grown(run: Run) -> bool:
    try:
        return bool(run.info.provenance.made.added)
    except RetrainError:
        return True


def export_cache(
    workspace: Workspace,
    target: Path,
    on_row: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Write the bottlenecks of the dataset last used with path, class and split of each photo.

    Args:
        workspace: where they are.
        target: the file; its suffix names the format.
        on_row: is told how many photos of how many are written.

    Returns:
        Number of photos.

    Raises:
        RetrainError: nothing was computed yet, or the target's format is not known.
    """
    used = LastUsed.load(workspace)
    defaults = TrainingConfig()
    with (
        FileIndex.to_read(workspace.index_path) as index,
        open_to_read(used_cache(workspace, used)) as store,
    ):
        dataset = load_dataset(index, used.image_dir)
        if not len(dataset):
            raise CacheError("there is nothing to export: run `retrain bottlenecks` first")
        if not len(store) and len(store.arrays):
            raise CacheError(
                f"an export writes vectors, and {store.path.name} holds arrays alone: read them in "
                "Python with BottleneckStore(...).arrays"
            )
        rows = ExportRows(
            paths=dataset.paths,
            class_names=[dataset.class_names[label] for label in dataset.labels.tolist()],
            splits=list(
                dataset.splits(defaults.validation_percentage, defaults.testing_percentage)
            ),
            digests=dataset.digests,
            read=store.read,
            width=store.width or 0,
            on_row=on_row,
        )
        export_bottlenecks(rows, target)
    return len(dataset)


def _used_path(workspace: Workspace) -> Path | None:
    try:
        return used_cache(workspace, LastUsed.load(workspace))
    except RetrainError:  # nothing was used yet, or its cache is gone
        return None


def _cache_files(workspace: Workspace) -> list[Path]:
    return cache_files(workspace.cache_dir)


def _chosen(workspace: Workspace, name: str | None) -> list[Path]:
    files = _cache_files(workspace)
    if name is None:
        return files
    chosen = [path for path in files if path.stem == name or path.stem.startswith(name)]
    if not chosen:
        names = ", ".join(path.stem for path in files) or "none"
        raise CacheError(f"there is no cache called {name!r} here; there is: {names}")
    return chosen
