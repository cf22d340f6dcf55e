"""`retrain bottlenecks`: fill the cache with what is not in it, and say what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from retrain_cli import notices, waiting
from retrain_cli.backbones.loader import BackboneLoader, LazyBackbone, loader_of
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.trust import WARNING, check_trusted, is_trusted, trust
from retrain_cli.cache.cache_files import cache_path
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.cache.taking_over import cast_cache
from retrain_cli.cache.vector_rows import CacheDtype
from retrain_cli.checks import check_choices, check_suffix, check_views
from retrain_cli.datasets.class_names import check_class_names, listed
from retrain_cli.datasets.dataset import Dataset, load_dataset
from retrain_cli.datasets.file_index import FileIndex
from retrain_cli.datasets.folders import FoundFolder, empty_classes
from retrain_cli.datasets.layout import Layout, LayoutChoice
from retrain_cli.datasets.shards import Shard
from retrain_cli.datasets.sources.list_source import LIST_SUFFIXES
from retrain_cli.datasets.sources.photo_source import PhotoSource, source_of
from retrain_cli.errors import ConfigError, DatasetError, StorageError, WorkspaceError, setting
from retrain_cli.extraction.distributed.cluster_settings import ClusterSettings
from retrain_cli.extraction.photo_tree import PhotoTree
from retrain_cli.extraction.pipeline import ExtractionSettings, extractor_for
from retrain_cli.extraction.progress import ExtractionCounts, Progress, Tally
from retrain_cli.extraction.scan import scan_folders
from retrain_cli.extraction.settle import settle_backbone
from retrain_cli.images.distortions import USUAL, Distortion
from retrain_cli.notebook.bars import Done, NotebookBar, counted
from retrain_cli.paths import StrPath, absolute
from retrain_cli.similarity.near_duplicates import Grouping
from retrain_cli.similarity.survey import Told
from retrain_cli.storage.urls import absolute_place
from retrain_cli.workflows.augmentation.cached_views import fill_views
from retrain_cli.workflows.filling.opened_dataset import OpenDataset
from retrain_cli.workflows.sharding.by_cluster import (
    check_cluster,
    fill_by_cluster,
    take_left_parts,
)
from retrain_cli.workflows.sharding.shard_place import ShardPlace, check_shard, settle_shard
from retrain_cli.workflows.shared.grouping import group_photos
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.shared.passed_over import PassedOver
from retrain_cli.workflows.summaries.bottleneck_summary import BottleneckSummary, summarise
from retrain_cli.workspace import Workspace

_NAMED = 4

_BAR: NotebookBar[ExtractionCounts] = NotebookBar(
    "bottlenecks", lambda counts: Done(counts.done, counts.total, counts.stage)
)
_LOOKING = counted("looking for near duplicates")


@dataclass(frozen=True)
class BottleneckRequest:
    """What to compute.

    Attributes:
        image_dir: a folder with one sub-folder per class, or the URL of one in a bucket; also a
            list, as of `from_csv`.
        backbone: which bottleneck.
        source_classes: imagenet, none or a file; None for the backbone's own.
        int_ext: CSV file that overrides INT and EXT.
        settings: how to extract.
        validation_percentage: for the counts of the class table.
        testing_percentage: for the counts of the class table.
        group: near-duplicates to keep these in one split each, or None.
        layout: what the first level of the folder is: classes, splits, or auto.
        rescan: read every photo again, whatever is known of it.
        trust_model: whether a SavedModel may run, which is remembered; it can read and write files
            as any program.
        views: how many distorted views of each photo to compute beside it.
        distortion: how these differ from it; where nothing is said, as `distortions.USUAL`.
        from_csv: in place of `image_dir`, a list of photos with the columns path and label.
        shard: compute one part of the photos alone, such as 3/16, in a workspace of its own.
        settled: folder of what the first shard settled; None for that in the workspace.
        cluster: who computes: this process, or workers of a cluster.
        parts: folder that all workers see, for what they send back; None for the workspace's.
        cache_dtype: how numbers are kept; None for what the cache has, float32 in a new one.
    """

    image_dir: StrPath | None = None
    backbone: BackboneSpec = field(default_factory=BackboneSpec)
    source_classes: str | None = None
    int_ext: StrPath | None = None
    settings: ExtractionSettings = field(default_factory=ExtractionSettings)
    validation_percentage: float = 10.0
    testing_percentage: float = 10.0
    group: Grouping | None = None
    layout: LayoutChoice = "auto"
    rescan: bool = False
    trust_model: bool = False
    views: int = 0
    distortion: Distortion = field(default_factory=Distortion)
    from_csv: StrPath | None = None
    shard: str | None = None
    settled: StrPath | None = None
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    parts: StrPath | None = None
    cache_dtype: CacheDtype | None = None

    def __post_init__(self) -> None:
        if (self.image_dir is None) == (self.from_csv is None):
            raise ConfigError(
                "photos come from one place: give IMAGE_DIR, a folder or a URL, or a list with "
                f"{setting('from_csv')}"
            )
        check_suffix(self, "from_csv", *LIST_SUFFIXES)
        check_views(self)
        check_shard(self)
        check_cluster(self)
        if not self.views and not self.distortion.is_none:
            raise ConfigError(
                f"photos are distorted in views of them, and {setting('views')} is 0: add "
                f"{setting('views', 4)}, or leave out how"
            )

    @property
    def views_wanted(self) -> tuple[Distortion, int] | None:
        """How views differ from the photo and how many there are to be; None for none."""
        if not self.views:
            return None
        return (USUAL if self.distortion.is_none else self.distortion, self.views)

    def place(self, workspace: Workspace, spec: BackboneSpec) -> ShardPlace | None:
        """Where the shard of a resolved backbone is computed; None where this is no shard.

        Raises:
            RetrainError: the folder of what is settled holds nothing, or weights cannot be read.
        """
        if self.shard is None:
            return None
        settled = None if self.settled is None else absolute(self.settled)
        return ShardPlace.of(Shard.parse(self.shard), spec, workspace, settled)

    def resolve(self) -> LastUsed:
        """The same in the form in which the workspace remembers it; everything is checked.

        Precision and runtime may still be `auto`.

        Raises:
            RetrainError: an unknown backbone, missing weights, a wrong override file.
        """
        check_choices(self)
        spec = self.backbone.resolve()
        source = self.source_classes or spec.default_source_classes()
        if source not in ("imagenet", "none"):
            source = str(absolute(source))
        return LastUsed(
            absolute_place(self.image_dir or self.from_csv or ""),
            spec,
            source,
            absolute(self.int_ext) if self.int_ext else None,
            group=self.group,
            layout=self.layout,
            views=self.views,
            distortion=str(self.views_wanted[0]) if self.views_wanted else "",
        )


def question_of_trust(request: BottleneckRequest, workspace: Workspace) -> str:
    """What to ask before a SavedModel runs here for the first time; empty where nothing is to ask.

    Raises:
        RetrainError: the backbone cannot be found.
    """
    if request.trust_model or not request.backbone.is_hub:
        return ""
    spec = request.backbone.resolve()
    return "" if is_trusted(spec, workspace) else f"{WARNING}. Do you trust {spec.name}?"


@contextmanager
def open_dataset(
    request: BottleneckRequest,
    workspace: Workspace,
    *,
    convert: bool = True,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_warning: Callable[[str], None] = lambda warning: None,
) -> Iterator[OpenDataset]:
    """Check the request, lock the workspace, walk the folder, settle on a cache.

    Args:
        request: what to compute.
        workspace: where to keep it.
        convert: whether to convert the network for OpenVINO if need be; without that its cache is
            an empty one in memory.
        on_stage: called with what is about to take a while.
        on_warning: called with each thing that the folder holds and the dataset leaves out.

    Raises:
        RetrainError: whatever is wrong with folder, backbone or workspace.
    """
    used = request.resolve()
    source = source_of(used.image_dir, [workspace.root])
    layout = _read_layout(source, request.layout, used)
    place, own = _own_place(request, workspace, used)
    with own.lock("bottlenecks"), FileIndex(own.index_path) as index:
        dataset = index.dataset_id(used.image_dir)
        with waiting.for_("looking for photos"):
            folders = list(source.folders(layout))
        warnings = _check_walk(layout, folders, on_warning)
        settle = partial(
            settle_backbone,
            device=request.settings.device,
            photos=PhotoTree(source, folders, index, dataset),
            convert=convert,
            on_stage=on_stage,
            photo_timeout=request.settings.photo_timeout,
        )
        choice = settle_shard(used.backbone, workspace, place, settle, keep=convert)
        if place:
            folders = [place.shard.part_of(folder) for folder in folders]
        used = replace(used, backbone=choice.backbone)
        with _open_cache(own, used.backbone, request.cache_dtype, cast=convert) as store:
            with waiting.for_("looking for new photos"):
                scan = scan_folders(folders, index, dataset, store, rescan=request.rescan)
            if scan.doubtful and not request.rescan:
                on_stage(f"reading again {scan.doubtful:,} photos that may have changed in place")
            yield OpenDataset(
                own, place, used, source, index, store, dataset, scan, layout, choice.note, warnings
            )


def _own_place(
    request: BottleneckRequest, workspace: Workspace, used: LastUsed
) -> tuple[ShardPlace | None, Workspace]:
    """The place of a shard, and the workspace that is filled."""
    place = request.place(workspace, used.backbone)
    own = place.workspace if place else workspace
    own.prepare()
    return place, own


def _read_layout(source: PhotoSource, choice: LayoutChoice, used: LastUsed) -> Layout:
    """Which classes there are; a bucket is listed for it."""
    with waiting.for_("looking for classes"):
        layout = source.layout(choice)
    check_class_names(layout.class_names, layout.advice)
    used.origins(tuple(layout.class_names))  # a wrong override file is told before hours of work
    return layout


def _check_walk(
    layout: Layout, folders: list[FoundFolder], on_warning: Callable[[str], None]
) -> tuple[str, ...]:
    """Tell, and return, what is to be told of a walked folder before the work.

    Raises:
        DatasetError: there are not two classes with a file that may be a photo.
    """
    empty = empty_classes(layout, folders)
    check_class_names([name for name in layout.class_names if name not in empty], layout.advice)
    named = listed(f"{name}/" for name in empty[:_NAMED])
    more = f" and {len(empty) - _NAMED} more" if len(empty) > _NAMED else ""
    told = (
        f"no photo in {named}{more}: not a class until there is one" if empty else "",
        *layout.warnings,
    )
    warnings = tuple(warning for warning in told if warning)
    for warning in warnings:
        on_warning(warning)
    return warnings


def _open_cache(
    workspace: Workspace, backbone: BackboneSpec, dtype: CacheDtype | None, *, cast: bool
) -> BottleneckStore:
    """The cache of a backbone; `cast` has what is in it kept as `dtype` from now on."""
    if not backbone.is_settled:
        return BottleneckStore(Path(":memory:"), {"name": backbone.name})
    path, identity = cache_path(workspace, backbone), backbone.identity()
    if not path.exists():
        return BottleneckStore(path, identity, dtype=dtype, width=backbone.width())
    if dtype and cast:
        with waiting.for_(f"keeping the cache as {dtype}"):
            rounded = cast_cache(path, identity, dtype)
        if rounded:
            notices.tell(
                f"{rounded:,} bottlenecks of {path.name} were rounded to {dtype}, for good"
            )
    return BottleneckStore(path, identity)


def fill_cache(
    request: BottleneckRequest,
    workspace: Workspace,
    on_progress: Progress = _BAR,
    load: BackboneLoader | None = None,
    on_look: Told = _LOOKING,
    on_warning: Callable[[str], None] = lambda warning: None,
) -> BottleneckSummary:
    """Compute every bottleneck that is not cached.

    Args:
        request: what to compute.
        workspace: where to keep it.
        on_progress: called after each file, and before what takes a while ahead of the first.
        load: how to load the backbone; None for the usual way.
        on_look: called after each photo that is looked at for near duplicates.
        on_warning: called, before the work, with each thing that the dataset leaves out.

    Raises:
        RetrainError: whatever is wrong with folder, backbone or workspace; finished batches stay.
    """

    def on_stage(stage: str) -> None:
        on_progress(ExtractionCounts(total=0, stage=stage))

    if not request.cluster.is_local:
        take_left_parts(request.parts, workspace)
    with open_dataset(request, workspace, on_stage=on_stage, on_warning=on_warning) as opened:
        own, spec = opened.workspace, opened.used.backbone
        if request.trust_model or (opened.place and is_trusted(spec, workspace)):
            trust(spec, own)
        if opened.scan.pending and load is None:
            check_trusted(spec, is_trusted(spec, own))
        _begin(opened)
        backbone = LazyBackbone(spec, request.settings.device, load or loader_of(own))
        counts = extract(opened, backbone, request.settings, on_progress, request)
        opened.store.check_in_place()
        opened.index.check_in_place()
        dataset = load_dataset(opened.index, opened.used.image_dir)
        if opened.used.group and dataset.paths:
            dataset = group_photos(dataset, opened.store, own, request.settings, on_look)
        views = None
        if opened.used.views:
            settings = request.settings
            views = fill_views(dataset, opened.used, backbone, own, settings, on_progress)
        _finish(opened, dataset, counts)
        device = backbone.device if request.cluster.is_local else request.cluster.engine
        splits = dataset.splits(request.validation_percentage, request.testing_percentage)
        return summarise(opened, splits, dataset, counts, device, views)


def _begin(opened: OpenDataset) -> None:
    """Remember that it is not complete, should this be interrupted."""
    if opened.scan.pending:
        opened.used.save(opened.workspace)
    if opened.place:
        opened.place.keep_record(opened.used, opened.layout.class_names, complete=False)


def _finish(opened: OpenDataset, dataset: Dataset, counts: ExtractionCounts) -> None:
    """Remember that nothing is missing; a shard alone is nothing to train on."""
    if counts.images_per_second:
        opened.store.set_meta("images_per_second", f"{counts.images_per_second:.3f}")
    place = opened.place
    replace(opened.used, complete=place is None).save(opened.workspace)
    if place:
        classes = opened.layout.class_names
        place.keep_record(opened.used, classes, len(dataset), complete=True)
    else:
        _check(dataset, PassedOver.of(opened.index, opened.dataset))


def _check(dataset: Dataset, passed_over: PassedOver) -> None:
    """`Dataset.check`, with what is wrong or passed over, which may be the reason."""
    try:
        dataset.check()
    except DatasetError as error:
        reasons = [": ".join(problem) for problem in dataset.problems[:1]]
        if passed_over.classes:
            reasons.append(f"passed over: {passed_over.in_words()}")
        raise DatasetError(f"{error} ({'; '.join(reasons)})" if reasons else str(error)) from error


def extract(
    opened: OpenDataset,
    backbone: LazyBackbone,
    settings: ExtractionSettings,
    on_progress: Progress,
    request: BottleneckRequest | None = None,
) -> ExtractionCounts:
    """Compute and keep what an open dataset has not; by a cluster where the request says so.

    Raises:
        StorageError: the server of the photos is lost; the message says how much is kept.
    """
    counts = ExtractionCounts(total=len(opened.scan.pending))
    tally = Tally(counts, settings.strict, on_progress)
    if len(opened.used.backbone.layers) > 1 and not opened.store.layer_widths:
        opened.store.set_meta("layer_widths", ",".join(map(str, backbone.layer_widths)))
    if opened.scan.pending and request is not None and not request.cluster.is_local:
        fill_by_cluster(opened, backbone, settings, request.cluster, request.parts, tally)
        on_progress(counts)
    elif opened.scan.pending:
        extractor = extractor_for(opened.used.backbone, backbone, opened.store, settings)
        pending = opened.scan.pending
        try:
            extractor.fill(pending, opened.locate, opened, tally.on_photo, tally.on_written)
        except StorageError as error:
            kept = f"{counts.done:,} of {counts.total:,} photos are done and kept"
            raise StorageError(f"{error}; {kept}") from error
        on_progress(counts)
    return counts


def request_for_data(
    image_dir: StrPath, workspace: Workspace, *, rescan: bool = False
) -> BottleneckRequest:
    """How to fill the cache for `--data`: the backbone last used here, else the default one."""
    try:
        used = LastUsed.load(workspace)
    except WorkspaceError:
        return BottleneckRequest(image_dir, rescan=rescan)
    same_folder = used.image_dir == absolute_place(image_dir)
    return BottleneckRequest(
        image_dir,
        used.backbone,
        used.source_classes,
        used.int_ext if same_folder else None,
        ExtractionSettings(),
        group=used.group,
        layout=used.layout if same_folder else "auto",
        rescan=rescan,
        views=used.views,
        distortion=Distortion.parse(used.distortion),
    )
