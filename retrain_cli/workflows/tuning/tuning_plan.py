"""`retrain finetune --plan`: disk and time that it takes, measured on this machine beforehand."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrain_cli import waiting
from retrain_cli.cache.cache_files import cache_path
from retrain_cli.engine import load_keras, quiet_engine
from retrain_cli.errors import ImageError
from retrain_cli.finetuning.activation_cache import PLAIN, bytes_each, count_arrays
from retrain_cli.finetuning.parts import Caches
from retrain_cli.finetuning.tuned_network import Schedule, TunedNetwork
from retrain_cli.heads.head import Head
from retrain_cli.images.distortions import decode_views
from retrain_cli.images.photo_files import read_file
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.tuning.finetune import FinetuneSession
from retrain_cli.workflows.tuning.finetune_request import FinetuneRequest
from retrain_cli.workspace import Workspace

_STEPS, _PHOTOS = 3, 8


@dataclass(frozen=True)
class FinetunePlan:
    """What `retrain finetune` would do.

    Attributes:
        backbone: for people.
        training: photos to train on.
        validation: photos to choose the epoch by.
        photos: all photos, whose bottlenecks are computed at the end.
        freeze_point: layer whose output is cached; None where photos are decoded anew.
        shape: of that output.
        trained_layers: how many layers with weights are trained.
        trained_numbers: how many numbers, the head included.
        epochs: how many there are at most.
        learning_rate: its peak.
        missing: distinct photos whose activations are to be computed.
        missing_views: and how many views of training photos.
        disk_bytes: what they take.
        free_bytes: what is free.
        seconds: expected time.
        usual_seconds: of the same epochs with the whole network in each step.
    """

    backbone: str
    training: int
    validation: int
    photos: int
    freeze_point: str | None
    shape: tuple[int, ...]
    trained_layers: int
    trained_numbers: int
    epochs: int
    learning_rate: float
    missing: int
    missing_views: int
    disk_bytes: int
    free_bytes: int
    seconds: float
    usual_seconds: float

    @property
    def speed_up(self) -> float:
        """How many times as fast it is."""
        return self.usual_seconds / self.seconds


def plan_finetune(request: FinetuneRequest, workspace: Workspace) -> FinetunePlan:
    """Cut the network, and time a few steps of each part; nothing is kept.

    Raises:
        RetrainError: as `finetune`.
    """
    last = LastUsed.load(workspace).backbone
    spec = request.start.of(last, workspace)
    session = FinetuneSession.open(request, workspace, spec)
    parts, data, tuning = session.parts, session.data, request.tuning
    missing, missing_views = missing_arrays(session)
    arrays = missing + missing_views
    head = Head.initial(data.class_names, data.width, 0)
    network = TunedNetwork(parts.network, parts.spec, parts.point, head, tuning)
    with waiting.for_("timing a few steps"), quiet_engine():
        frozen, step, forward = _times(session, network)
    decode, view, drawn = _decoding(session)
    training, judged = len(data.training), len(data.validation)
    usual = tuning.epochs * (
        training * (drawn + frozen + step) + judged * (decode + frozen + forward)
    )
    seconds = usual
    if not parts.streams:
        epochs = tuning.epochs * (training * step + judged * forward)
        seconds = missing * (decode + frozen) + missing_views * (view + frozen) + epochs
    return FinetunePlan(
        backbone=parts.spec.label(),
        training=training,
        validation=judged,
        photos=len(data.labels),
        freeze_point=None if parts.streams else parts.point.cut,
        shape=() if parts.streams else parts.point.shape,
        trained_layers=len(parts.point.trained),
        trained_numbers=network.trained_numbers,
        epochs=tuning.epochs,
        learning_rate=tuning.rate_for(training, data.n_classes),
        missing=missing,
        missing_views=missing_views,
        disk_bytes=arrays * bytes_each(parts.point, tuning.activations) if arrays else 0,
        free_bytes=shutil.disk_usage(workspace.root).free,
        seconds=seconds,
        usual_seconds=usual,
    )


def missing_arrays(session: FinetuneSession) -> tuple[int, int]:
    """Photos and views whose activations are not kept yet.

    A network that is not converted yet is not converted for that.
    """
    parts, workspace, photos = session.parts, session.workspace, session.photos
    if parts.streams:
        return 0, 0
    spec = parts.frozen_spec_if_kept(workspace)
    if spec is None or not cache_path(workspace, spec).is_file():
        plain, training = (
            {photo.digest for photo in some} for some in (photos.files, photos.for_training)
        )
        return len(plain), parts.config.views * len(training)
    with Caches.open(parts, workspace, spec) as caches:
        plain_missing, views_missing = map(count_arrays, caches.missing(photos))
    return plain_missing, views_missing


def _times(session: FinetuneSession, network: TunedNetwork) -> tuple[float, float, float]:
    """Seconds a photo: the frozen part, a step and a forward pass of the rest."""
    parts, config = session.parts, session.request.tuning
    generator = np.random.default_rng(0)
    count = min(config.batch_size, len(session.data.training))
    side = parts.spec.input_size or 0
    pixels = generator.integers(0, 256, (count, side, side, 3), np.uint8)
    if parts.streams:
        arrays = [pixels]
    elif config.activations == "float16":
        arrays = [generator.random((count, *parts.point.shape)).astype(np.float16)]
    else:
        codes = generator.integers(0, 256, (count, *parts.point.shape), np.uint8)
        arrays = [codes, np.full((count, 2, parts.point.shape[-1]), 1 / 255, np.float32)]
    labels = np.zeros(count, np.int32)
    network.compile(Schedule(1e-6, 100, 0))
    step = _seconds(lambda: network.train(arrays, labels)) / count
    forward = _seconds(lambda: network.vectors(arrays)) / count
    frozen = 0.0
    if not parts.streams:
        keras = load_keras()
        below = keras.Model(parts.network.inputs, parts.cut_output)
        frozen = _seconds(lambda: below.predict_on_batch(pixels.astype(np.float32))) / count
    return frozen, step, forward


def _seconds(work: Callable[[], Any]) -> float:
    work()  # compiles
    started = time.perf_counter()
    for _ in range(_STEPS):
        work()
    return (time.perf_counter() - started) / _STEPS


def _decoding(session: FinetuneSession) -> tuple[float, float, float]:
    """Seconds to decode a photo, one of its views beside others, and what an epoch draws; of a few.

    All views of a photo are made of one decoding; an epoch that decodes anew draws one of them or
    the photo.
    """
    config = session.request.tuning
    plain = _decoding_of(session, (PLAIN,))
    if not config.views:
        return plain, 0.0, plain
    together = _decoding_of(session, tuple(range(1, config.views + 1))) / config.views
    alone = _decoding_of(session, (1,))
    return plain, together, (plain + config.views * alone) / (config.views + 1)


def _decoding_of(session: FinetuneSession, views: tuple[int, ...]) -> float:
    """Seconds to decode these views of a photo."""
    spec, distortion, times = session.parts.spec, session.request.tuning.distortion, []
    assert spec.input_size is not None
    size = (spec.input_size, spec.input_size)
    for photo in session.photos.files[:_PHOTOS]:
        started = time.perf_counter()
        try:
            decode_views(read_file(photo.path), size, spec.resize_rule, distortion, views)
        except (OSError, ImageError):
            continue
        times.append(time.perf_counter() - started)
    return float(np.median(times)) if times else 0.0
