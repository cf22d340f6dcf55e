"""What `study strategies` fine-tunes: the backbone last used, built once for all trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from retrain_cli.backbones.loader import loader_of
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.datasets.sources.photo_source import source_of
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.finetuning.activation_cache import PhotoFile
from retrain_cli.finetuning.freeze_points import choose_freeze_point
from retrain_cli.finetuning.parts import Parts, TunedPhotos, open_source
from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.studies.protocols.strategies import OpenBench, StrategiesStudy
from retrain_cli.studies.strategies.tuned_trials import Bench, ReadyNetwork
from retrain_cli.studies.study_data import StudyData
from retrain_cli.workflows.shared.all_layers import with_all_blocks
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workspace import Workspace


def make_strategies(
    kind: type[StrategiesStudy], workspace: Workspace, options: Mapping[str, Any]
) -> StrategiesStudy:
    """The study of the dataset last used.

    Raises:
        RetrainError: nothing was used yet, or a backbone whose layers are not known.
    """
    used = LastUsed.load(workspace)
    blocks = with_all_blocks(used.backbone)
    return kind(blocks, _benches(replace(blocks, layer=None), used, workspace), **options)


def _benches(spec: BackboneSpec, used: LastUsed, workspace: Workspace) -> OpenBench:
    built: list[tuple[Parts, list[Any]]] = []
    held: list[ReadyNetwork] = []

    @contextmanager
    def open_bench(data: StudyData, config: TuningConfig) -> Iterator[Bench]:
        if not built:
            first = Parts.build(spec, config)
            built.append((first, [np.array(one) for one in first.network.get_weights()]))
        first, start = built[0]
        point = choose_freeze_point(first.network, config.trainable)
        parts = replace(first, point=point, config=config)
        source_of_photos = source_of(used.image_dir)
        photos = [
            PhotoFile(source_of_photos.locate(path), digest.tobytes())
            for path, digest in zip(data.images.paths, data.images.digest, strict=True)
        ]
        tuned = TunedPhotos(photos, np.empty(0, np.int64))  # views of none
        settings, load = ExtractionSettings(), loader_of(workspace)
        with open_source(parts, tuned, workspace, settings, load) as source:
            yield Bench(parts, source, start, held)

    return open_bench
