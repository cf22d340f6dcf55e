"""The backbones that `study backbones` compares: those whose weights are at hand."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from retrain_cli.backbones.loader import Backbone, loader_of
from retrain_cli.backbones.published import FIGURES
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.table import KERAS_BACKBONES
from retrain_cli.engine import quiet_engine
from retrain_cli.errors import ConfigError, setting
from retrain_cli.studies.protocols.backbones import Contestant, ContestVectors
from retrain_cli.studies.study_data import StudyData
from retrain_cli.workflows.doctor import list_backbones
from retrain_cli.workflows.shared.last_used import LastUsed, known_backbones
from retrain_cli.workspace import Workspace

_BATCH, _BATCHES, _ROUNDS = 16, 4, 3


def make_backbones(kind: Any, workspace: Workspace, options: dict[str, Any]) -> Any:
    """The study with its contestants, see `Study`."""
    return kind(find_contestants(workspace, options.get("backbones", ())), **options)


def find_contestants(workspace: Workspace, names: Sequence[str] = ()) -> tuple[Contestant, ...]:
    """What this workspace has used, and the table's backbones whose weights are on this machine.

    Args:
        workspace: where bottlenecks are.
        names: of backbones, to take these alone; weights that are not here are downloaded then.

    Raises:
        RetrainError: nothing was used here yet.
        ConfigError: fewer than two backbones, or a name that no backbone has.
    """
    used = LastUsed.load(workspace)
    found = {used.fingerprint: used.backbone}
    found |= {key: spec for key, spec in known_backbones(workspace).items() if _is_here(spec)}
    there = {spec.name for spec in found.values()}
    packaged = [row.name for row in list_backbones() if row.weights == "here"]
    for name in dict.fromkeys((*packaged, *names)):
        if name not in there and name in KERAS_BACKBONES:
            spec = BackboneSpec(name).resolve()
            found[spec.fingerprint()] = spec
    unknown = set(names) - {spec.name for spec in found.values()}
    if unknown:
        raise ConfigError(
            f"{setting('backbones')} takes backbones of the table, and those that were used in "
            f"this workspace; received {', '.join(sorted(unknown))}: `retrain doctor --backbones` "
            "lists the table"
        )
    chosen = {key: spec for key, spec in found.items() if not names or spec.name in names}
    if len(chosen) < 2:
        raise ConfigError(
            f"backbones are compared with each other, and there is {len(chosen)} here: name more "
            f"with {setting('backbones')}, or use another one first"
        )
    return tuple(_contestants(chosen))


def _is_here(spec: BackboneSpec) -> bool:
    """Whether the weights of a backbone that was used once are still where they were."""
    path = spec.weights_file
    return path is None or path.exists()


def _contestants(specs: dict[str, BackboneSpec]) -> Iterator[Contestant]:
    labels = {key: spec.label() for key, spec in specs.items()}
    counts = Counter(labels.values())
    for key, spec in specs.items():
        name = labels[key] if counts[labels[key]] == 1 else f"{labels[key]} {key}"
        usual = spec.name in KERAS_BACKBONES and spec.layer is None and spec.alpha in (None, 1.0)
        parameters = FIGURES[spec.name].parameters if usual and spec.name in FIGURES else None
        yield Contestant(name, spec, parameters)


def contest_vectors(
    load: Callable[[BackboneSpec], StudyData],
    settled: Mapping[BackboneSpec, BackboneSpec],
    workspace: Workspace,
) -> ContestVectors:
    """Vectors, of one backbone at a time in memory, and speeds.

    Args:
        load: reads the vectors of a backbone, which are cached.
        settled: each backbone with the precision and the runtime that they were computed with.
        workspace: where converted networks are.
    """
    held: dict[BackboneSpec, StudyData] = {}
    alone = threading.Lock()

    def load_one(spec: BackboneSpec) -> StudyData:
        with alone:
            if spec not in held:
                held.clear()
                held[spec] = load(spec)
            return held[spec]

    return ContestVectors(load_one, lambda spec: _speed(settled[spec], workspace))


def _speed(spec: BackboneSpec, workspace: Workspace) -> float:
    """Images a second of the forward pass on ready arrays: the median of three rounds."""
    with quiet_engine():
        backbone = loader_of(workspace)(spec, "auto")
        images = np.random.default_rng(0).integers(
            0, 256, (_BATCH, *backbone.input_size, 3), np.uint8
        )
        backbone(images)
        return statistics.median(_rate(backbone, images) for _ in range(_ROUNDS))


def _rate(backbone: Backbone, images: Any) -> float:
    started = time.perf_counter()
    with ThreadPoolExecutor(backbone.batches_at_once) as threads:
        list(threads.map(backbone, [images] * _BATCHES))
    return _BATCH * _BATCHES / (time.perf_counter() - started)
