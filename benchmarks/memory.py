"""Memory: extraction and fine-tuning of few and of many images; more vectors than may be held."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import synthetic
from benchmarks.fresh import Outcome, run_retrain

_SIDE = 64  # pixels; decoding and the network do their real work
_WIDTH = synthetic.WIDTH
_CLASSES = 100
_STEPS = 2000


@dataclass(frozen=True)
class ExtractionMemory:
    """Peak memory of `retrain bottlenecks` with the smallest packaged backbone."""

    images: int
    peak_megabytes: float
    seconds: float


@dataclass(frozen=True)
class TuningMemory:
    """Peak memory of `retrain finetune`, whose activations are 50 kB a photo.

    Attributes:
        images: how many photos there are, eight of ten to train on.
        views: of each of them.
        activations_megabytes: what the activations take in the cache.
        peak_megabytes: of the command, bottlenecks computed before.
        seconds: what it took.
    """

    images: int
    views: int
    activations_megabytes: float
    peak_megabytes: float
    seconds: float


@dataclass(frozen=True)
class LimitedTraining:
    """`retrain train` under limits that its vectors do not fit into.

    Attributes:
        vectors_megabytes: the matrix, once.
        limit: what was limited, as the shell says it.
        limit_megabytes: to how much.
        held: how it ended where it was told to hold all vectors in memory; 0 is success.
        mapped: the same where it chose by itself.
        seconds: what that took, start-up included.
        steps_per_second: of its training.
    """

    vectors_megabytes: float
    limit: str
    limit_megabytes: float
    held: int
    mapped: int
    seconds: float
    steps_per_second: float | None


def measure_extraction(sizes: tuple[int, ...]) -> list[ExtractionMemory]:
    """The real command, from files to cache, on so many photos each.

    Raises:
        RuntimeError: it failed.
    """
    results = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            photos = synthetic.write_photos(Path(folder, "photos"), size, _SIDE)
            command = ["--workspace", f"{folder}/ws", "bottlenecks", str(photos)]
            outcome = run_retrain(*command, "--backbone", "efficientnet_lite0", "--quiet")
        if outcome.code:
            raise RuntimeError(f"extraction of {size} photos ended with {outcome.code}")
        results.append(ExtractionMemory(size, outcome.peak_megabytes, outcome.seconds))
    return results


_TUNED = ("--backbone", "mobilenet", "--alpha", "0.5", "--weights", "random", "--input-size", "224")
_ACTIVATIONS = 2 * 7 * 7 * 512  # bytes a photo, before the last block


def measure_tuning(sizes: tuple[int, ...], views: int = 0) -> list[TuningMemory]:
    """An epoch of the last block, on so many photos each.

    Raises:
        RuntimeError: it failed.
    """
    results = []
    tune = ("finetune", "--trainable", "last-block", "--epochs", "1", "--views", str(views))
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            photos = synthetic.write_photos(Path(folder, "photos"), size, _SIDE)
            command = ("--workspace", f"{folder}/ws", "--quiet")
            for words in (("bottlenecks", str(photos), *_TUNED), tune):
                outcome = run_retrain(*command, *words)
                if outcome.code:
                    raise RuntimeError(f"{words[0]} of {size} photos ended with {outcome.code}")
        kept = size * _ACTIVATIONS * (1 + 0.8 * views) / 1e6
        results.append(TuningMemory(size, views, kept, outcome.peak_megabytes, outcome.seconds))
    return results


def measure_training(images: int) -> list[LimitedTraining]:
    """Train on `images` vectors, with half of their size for private memory; then by address space.

    TensorFlow reserves about 2.5 GB of address space before it does anything, so `ulimit -v` is
    set to that, the mapped matrix once, and half of it for work.
    """
    vectors = images * _WIDTH * 4
    work = max(vectors // 2, 1_200_000_000)
    limits = [("ulimit -d", "RLIMIT_DATA", work)]
    limits += [("ulimit -v", "RLIMIT_AS", 2_500_000_000 + vectors + work)]
    with tempfile.TemporaryDirectory() as folder:
        synthetic.write_workspace(Path(folder, "ws"), images, _CLASSES)
        return [
            _limited(folder, vectors, name, {resource: size}) for name, resource, size in limits
        ]


def _limited(folder: str, vectors: int, name: str, limits: dict[str, int]) -> LimitedTraining:
    def train(*flags: str) -> Outcome:
        command = ["--workspace", f"{folder}/ws", "--quiet", "train", "--steps", str(_STEPS)]
        return run_retrain(*command, "--json", *flags, limits=limits)

    held, mapped = train("--memory-limit", "1000G"), train()
    rate = None if mapped.code else json.loads(mapped.output)["steps_per_second"]
    size = next(iter(limits.values()))
    return LimitedTraining(
        vectors / 1e6, name, size / 1e6, held.code, mapped.code, mapped.seconds, rate
    )
