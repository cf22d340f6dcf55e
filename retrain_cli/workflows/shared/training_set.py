"""The dataset last used, ready for training: bottlenecks, labels, splits, origins."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrain_cli import waiting
from retrain_cli.cache.mapped import aligned_matrix, mapped_matrix
from retrain_cli.cache.store import BottleneckStore, open_to_read
from retrain_cli.cache.vector_rows import CacheDtype
from retrain_cli.datasets.dataset import Dataset, load_dataset
from retrain_cli.datasets.file_index import FileIndex
from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.datasets.splits import SPLITS, SplitItem, find_components
from retrain_cli.errors import CacheError, ConfigError, WorkspaceError, setting
from retrain_cli.evaluation.predictions import ImageTable
from retrain_cli.heads.config import CLOSED, TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.memory import fits
from retrain_cli.heads.sampling import select_classes, select_training
from retrain_cli.images.distortions import Distortion
from retrain_cli.images.examine import DIGEST_BYTES
from retrain_cli.workflows.augmentation.cached_views import read_views
from retrain_cli.workflows.shared.grouping import with_groups
from retrain_cli.workflows.shared.last_used import LastUsed, used_cache
from retrain_cli.workspace import Workspace


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Everything of a dataset that training and predictions need, row by row.

    Attributes:
        used: dataset and backbone.
        data: bottlenecks, labels, and which rows train and validate.
        images: the same rows as predictions name them.
        origins: INT or EXT of each class.
        items: the same rows as far as folds are concerned.
        cache_dtype: how the cache keeps the bottlenecks; they are float32 here.
    """

    used: LastUsed
    data: HeadData
    images: ImageTable
    origins: list[ClassOrigin]
    items: list[SplitItem]
    cache_dtype: CacheDtype = "float32"


def load_training_set(
    workspace: Workspace,
    config: TrainingConfig,
    memory_limit: int | None = None,
    *,
    with_views: bool = False,
    used: LastUsed | None = None,
) -> TrainingSet:
    """Read the dataset last used and its bottlenecks, split and select as `config` says.

    Bottlenecks that memory does not hold are in a memory-mapped file, which is gone with the
    matrix.

    Args:
        workspace: where the bottlenecks are.
        config: the training settings.
        memory_limit: bytes that they may take in memory; None for half of what is available.
        with_views: whether to read the distorted views of `config.views`, too.
        used: another dataset and backbone than those last used.

    Raises:
        RetrainError: no bottlenecks or views, some that are missing, a class that does not exist,
            or no room on the disk for what memory does not hold.
    """
    used = used or LastUsed.load(workspace)
    used.check_complete()
    views = _views_wanted(used, config) if with_views else None
    with (
        FileIndex.to_read(workspace.index_path) as index,
        open_to_read(used_cache(workspace, used)) as store,
    ):
        dataset = with_groups(load_dataset(index, used.image_dir), used.group, workspace)
        dataset.check()
        splits = dataset.splits(config.validation_percentage, config.testing_percentage)
        codes = np.array([SPLITS.index(split) for split in splits], np.uint8)
        # An --int-ext file speaks of all classes, also where only some of them are trained on.
        origins = {one.class_name: one for one in used.origins(dataset.class_names)}
        if config.classes is not None:
            labels, names = select_classes(dataset.labels, dataset.class_names, config.classes)
            kept = np.flatnonzero(labels >= 0)
            dataset, codes = dataset.only(kept, labels[kept], names), codes[kept]
        with waiting.for_("reading the bottlenecks"):
            widths, dtype = _layer_widths(used, store), store.dtype
            matrix = _read(store, dataset.digests, workspace, memory_limit, views)
            if views:
                read_views(dataset.digests, used.fingerprint, views, workspace, matrix)
    images = ImageTable(codes, _digest_matrix(dataset.digests), dataset.paths, dataset.labels)
    data = replace(_head_data(matrix, dataset, codes, config), layer_widths=widths)
    known = [origins[name] for name in dataset.class_names]
    return TrainingSet(used, data, images, known, dataset.split_items(), dtype)


def _views_wanted(used: LastUsed, config: TrainingConfig) -> tuple[Distortion, int] | None:
    """How the views that are to be trained on differ from the photo, and how many they are.

    Raises:
        ConfigError: more of them than were computed.
    """
    if config.optimizer in CLOSED:
        return None
    wanted = used.views if config.views is None else config.views
    if wanted > used.views:
        there = f"and {used.views} were" if used.views else "and none was"
        raise ConfigError(
            f"{setting('views', wanted)} takes views that `retrain bottlenecks` has computed, "
            f"{there}: run it with {setting('views', wanted)} first"
        )
    return (Distortion.parse(used.distortion), wanted) if wanted else None


def _read(
    store: BottleneckStore,
    digests: list[bytes],
    workspace: Workspace,
    memory_limit: int | None,
    views: tuple[Distortion, int] | None,
) -> NDArray[np.float32]:
    """The vectors of `digests`, with room for those of their views below them.

    They are in memory where that holds them twice, else in a mapped file.
    """
    rows, width = len(digests) * (1 + (views[1] if views else 0)), store.width or 0
    try:
        if fits(rows, width, copies=2, memory_limit=memory_limit):  # here, and on the device
            matrix = aligned_matrix(rows, width)
        else:
            matrix = mapped_matrix(workspace.root, rows, width)
        store.read(digests, matrix[: len(digests)])
        return matrix
    except MemoryError as error:
        raise WorkspaceError(
            f"bottlenecks that may be held in memory must fit into it, and {rows:,} of width "
            f"{width} do not: lower {setting('memory_limit')}, and they are read from a temporary "
            "file"
        ) from error


def _layer_widths(used: LastUsed, store: BottleneckStore) -> tuple[int, ...]:
    """Of several layers side by side, the width of each; else nothing.

    Raises:
        CacheError: the cache does not know them, as one that was copied without that.
    """
    if len(used.backbone.layers) < 2:
        return ()
    widths = store.layer_widths
    if len(widths) != len(used.backbone.layers) or sum(widths) != store.width:
        raise CacheError(
            f"bottlenecks of several layers must say where each begins, and {store.path.name} does "
            "not: run `retrain bottlenecks` again; nothing is computed twice"
        )
    return widths


def _head_data(
    matrix: NDArray[np.float32],
    dataset: Dataset,
    codes: NDArray[np.uint8],
    config: TrainingConfig,
) -> HeadData:
    training, validation = (
        np.flatnonzero(codes == SPLITS.index(split)) for split in ("training", "validation")
    )
    chosen = select_training(dataset.labels, training, config.examples_per_class, config.seed)
    items = dataset.split_items()
    given = np.array([item.given == "validation" for item in items], bool)
    n_images = len(dataset)
    data = HeadData(
        matrix[:n_images],
        dataset.labels,
        dataset.class_names,
        chosen,
        validation,
        _spare(validation, given, config),
        find_components(items)[0] if items else None,
        views=matrix if len(matrix) > n_images else None,
    )
    data.check()
    return data


def _spare(
    validation: NDArray[np.int64], given: NDArray[np.bool_], config: TrainingConfig
) -> NDArray[np.int64]:
    """The validation images that may train a head which needs none to be chosen by.

    A validation set that folders give stays one, and of a class no more train than was asked for.
    """
    return validation[~given[validation]] if config.examples_per_class is None else validation[:0]


def _digest_matrix(digests: list[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), DIGEST_BYTES)
