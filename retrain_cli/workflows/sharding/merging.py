"""`retrain cache merge`: what was computed elsewhere comes into the caches of this workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from retrain_cli import waiting
from retrain_cli.backbones.digests import identity_fingerprint
from retrain_cli.backbones.runtimes.kept_models import copy_kept_models
from retrain_cli.cache.cache_files import cache_file, cache_files
from retrain_cli.cache.foreign import ForeignCache, open_foreign
from retrain_cli.cache.store import BottleneckStore, Damage
from retrain_cli.cache.taking_over import take_rows
from retrain_cli.cache.vector_parts import SUFFIX, VectorPart
from retrain_cli.cache.vector_rows import CacheDtype
from retrain_cli.errors import CacheError, ConfigError, setting
from retrain_cli.paths import Paths, as_paths, is_plain_name
from retrain_cli.workflows.cache import RowListener
from retrain_cli.workflows.sharding.foreign_index import merge_index, merge_part
from retrain_cli.workflows.sharding.merged_shards import ShardSet, check_alike, remember_shards
from retrain_cli.workflows.sharding.shard_place import ShardRecord, shards_in
from retrain_cli.workspace import Workspace, writing_to


@dataclass(frozen=True)
class MergedCache:
    """What `merge` took over from one cache file.

    Attributes:
        name: the name of that file, without the suffix.
        added: bottlenecks that were new here.
        added_arrays: arrays that were new here.
        left_out: damaged rows of that file, which were not taken.
        bottlenecks: how many vectors there are here now.
        arrays: how many arrays there are here now.
    """

    name: str
    added: int
    added_arrays: int
    left_out: list[Damage]
    bottlenecks: int
    arrays: int


@dataclass(frozen=True)
class MergeSummary:
    """What `merge` did.

    Attributes:
        caches: what was taken over, by name; from several files of one name together.
        shards: which parts of which datasets are here now.
    """

    caches: list[MergedCache]
    shards: list[ShardSet]


def merge_caches(
    workspace: Workspace,
    sources: Paths = (),
    on_row: RowListener = lambda name, done, total: None,
    on_warning: Callable[[str], None] = lambda warning: None,
) -> MergeSummary:
    """Take over what other workspaces, shards or cache files hold; damaged rows are left out.

    The converted networks that belong to them come along, and with a shard what it learnt of its
    files. Somebody else may have made all that: it is held to be what it says, and nothing else of
    it is taken. Each row is taken once, a thousand at a time: a merge that was cut short can be
    repeated.

    Args:
        workspace: where they go.
        sources: workspaces, their cache folders, shards, folders of shards, cache files,
            or Parquet parts and folders of them; none
            for the shards of this workspace.
        on_row: is told of the rows that are taken over.
        on_warning: called with each thing that is left out.

    Raises:
        CacheError: there is no cache at a source, it is damaged, or shards of one dataset are of
            different backbones.
    """
    places = as_paths(sources) or (workspace.shards_dir,)
    shards = [one for place in places for one in shards_in(place)]
    check_alike(shards, workspace)
    files = list(dict.fromkeys(file for place in places for file in _source_files(place)))
    workspace.prepare()
    with workspace.lock("cache merge"):
        for folder in dict.fromkeys(path.parent / workspace.models_dir.name for path in files):
            with writing_to(workspace.models_dir):
                for name in copy_kept_models(folder, workspace.models_dir):
                    on_warning(f"the converted network {name} is not what its name says: left out")
        caches = [_merge_file(workspace, path, files, on_row) for path in files]
        _merge_indexes(shards, workspace, on_warning)
        return MergeSummary(_by_name(caches), remember_shards(shards, workspace))


def _merge_file(
    workspace: Workspace, source: Path, files: Sequence[Path], on_row: RowListener
) -> MergedCache:
    with (
        _opened(source) as theirs,
        _open_target(_merge_target(workspace, source, theirs.identity), theirs, files) as ours,
    ):
        before = (len(ours), len(ours.arrays))
        take_rows(theirs, ours, lambda done: on_row(f"{source.stem}: taking over", done, 0))
        ours.check_in_place()
        if is_part := isinstance(theirs, VectorPart):
            merge_part(theirs, workspace.index_path)
        return MergedCache(
            name=ours.path.stem if is_part else source.stem,
            added=len(ours) - before[0],
            added_arrays=len(ours.arrays) - before[1],
            left_out=theirs.damaged,
            bottlenecks=len(ours),
            arrays=len(ours.arrays),
        )


def _open_target(
    path: Path, theirs: ForeignCache | VectorPart, files: Sequence[Path]
) -> BottleneckStore:
    """A cache of this workspace; a new one is of float16 where one of all the files is."""
    dtype = None if path.exists() else _least_dtype(files, theirs.identity)
    return BottleneckStore(path, theirs.identity, dtype=dtype, width=theirs.width)


def _least_dtype(files: Sequence[Path], identity: dict[str, Any]) -> CacheDtype:
    """What rows of all files of a backbone can be kept as; damage is told when they are merged."""
    for file in files:
        with suppress(CacheError), _opened(file) as one:
            if one.dtype == "float16" and one.identity == identity:
                return "float16"
    return "float32"


@contextmanager
def _opened(source: Path) -> Iterator[ForeignCache | VectorPart]:
    if source.suffix == SUFFIX:
        with closing(VectorPart(source)) as part:
            yield part
    else:
        with open_foreign(source) as cache:
            yield cache


def _by_name(caches: Iterable[MergedCache]) -> list[MergedCache]:
    """What came from several files of one name, together; the last one knows how many are here."""
    found: dict[str, MergedCache] = {}
    for cache in caches:
        before = found.get(cache.name)
        found[cache.name] = (
            cache
            if before is None
            else replace(
                cache,
                added=before.added + cache.added,
                added_arrays=before.added_arrays + cache.added_arrays,
                left_out=[*before.left_out, *cache.left_out],
            )
        )
    return list(found.values())


def _merge_indexes(
    shards: Iterable[tuple[Path, ShardRecord]],
    workspace: Workspace,
    on_warning: Callable[[str], None],
) -> None:
    absent: set[Path] = set()
    with waiting.for_("taking over what is known of the files"):
        for folder, record in shards:
            try:
                absent.update(merge_index(folder / "index.sqlite", workspace.index_path))
            except CacheError as error:
                on_warning(
                    f"shard {record.shard}: its photos will be read once more, for what it learnt "
                    f"of them is left out: {error}"
                )
    for root in sorted(absent):
        on_warning(
            f"{root} is not here: the photos are known by their content, and `retrain bottlenecks` "
            "reads each of them once more"
        )


def _merge_target(workspace: Workspace, source: Path, identity: dict[str, Any]) -> Path:
    """The file of the same fingerprint here; else one called like `source`, unless renamed."""
    fingerprint = identity_fingerprint(identity)
    existing = cache_file(workspace, fingerprint)
    if existing is not None:
        return existing
    is_ours = source.stem.endswith(f"-{fingerprint}")
    stem = source.stem if is_ours else f"{identity['name']}-{fingerprint}"
    if not is_plain_name(stem):
        raise CacheError(
            f"a cache file has a plain name, and {source.name!r} is none: rename it, to copy.sqlite"
        )
    return workspace.cache_dir / f"{stem}.sqlite"


def _source_files(source: Path) -> list[Path]:
    if source.is_file():
        return [source.resolve() if source.is_symlink() else source]  # named by the user
    shards = [folder / "cache" for folder, _ in shards_in(source)]
    for folders in (shards, [source / "cache"], [source / ".retrain" / "cache"], [source]):
        kinds = ("*.sqlite", f"*{SUFFIX}")
        found = [path for folder in folders for kind in kinds for path in cache_files(folder, kind)]
        if files := [path for path in found if path.name != "index.sqlite"]:
            return files
    raise ConfigError(
        f"a merge takes a workspace, shards or a cache file of retrain, and {source} is neither: "
        "name one, or compute shards first, with `retrain bottlenecks` and "
        f"{setting('shard', '1/4')}"
    )
