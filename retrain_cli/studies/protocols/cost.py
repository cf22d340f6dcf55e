"""`study cost`: what re-training costs here, against training the whole network from scratch.

What from-scratch training would cost is an estimate, made of figures that are named:

- A training step costs about three times a forward pass, for the backward pass computes two
  gradients of the size of it (D. Amodei and D. Hernandez, "AI and compute", OpenAI, 2018). The
  speed of the forward pass is that of the extraction here.
- Inception v3 was trained for 100 epochs (C. Szegedy et al., "Rethinking the Inception
  architecture for computer vision", CVPR 2016) on the 1,281,167 images of ImageNet-1000
  (O. Russakovsky et al., IJCV 115, 2015).
- Adam keeps the weights, their gradients and two moments: 16 bytes a parameter in float32.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from retrain_cli.checks import check_least
from retrain_cli.reports.charts import Chart, Series
from retrain_cli.studies.energy import find_meters
from retrain_cli.studies.head_trial import HeadOutcome, train_and_count
from retrain_cli.studies.study import (
    Groups,
    Study,
    StudyResult,
    StudySettings,
    StudyTable,
    option,
    repeated,
)
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import Trial, TrialContext, TrialRecord

TRAINING_FACTOR = 3  # of a training step, in forward passes
IMAGENET_IMAGES = 1_281_167
IMAGENET_EPOCHS = 100
_BYTES_TRAINED, _BYTES_STORED = 16, 4  # a parameter takes
_UNKNOWN = "n/a"
_HOUR = 3600.0


@dataclass(frozen=True)
class CostFacts:
    """What is known of the extraction and the backbone.

    Attributes:
        images: cached bottlenecks of this backbone.
        images_per_second: speed of the last extraction; None before one.
        cache_bytes: size of the cache on disk.
        parameters: numbers in the backbone's weights; None where its file is not at hand.
    """

    images: int
    images_per_second: float | None
    cache_bytes: int
    parameters: int | None


@dataclass(frozen=True)
class CostStudy(Study):
    """Time, energy, memory and disk of re-training, against training from scratch.

    Re-training is measured; what training from scratch would cost is an estimate, with its source.

    Attributes:
        facts: of extraction and backbone.
        epochs: epochs that training from scratch on the user's photos is reckoned to take.
    """

    name: ClassVar[str] = "cost"
    family: ClassVar[str] = "cost"
    most_workers: ClassVar[int | None] = 1

    facts: CostFacts
    epochs: int = option(100, "Epochs that training from scratch on your photos would take.")

    def trials(self, data: StudyData, settings: StudySettings) -> list[Trial]:
        """See `Study.trials`.

        Raises:
            ConfigError: fewer than one epoch.
        """
        check_least(self, 1, "epochs")
        return repeated(settings, "head")

    def perform(self, data: StudyData, trial: Trial, context: TrialContext) -> Mapping[str, Any]:
        """As every trial, with time, energy and memory."""
        meters = find_meters()
        before = [meter.read() for meter in meters]
        started = time.perf_counter()
        outcome = train_and_count(data, trial, context)
        seconds = time.perf_counter() - started
        joules = [meter.since(start) for meter, start in zip(meters, before, strict=True)]
        return outcome | {
            "training_seconds": seconds,
            "joules": sum(joules) if meters else None,
            "meters": [meter.name for meter in meters],
            "peak_bytes": peak_memory(),
        }

    def result(self, data: StudyData, settings: StudySettings, groups: Groups) -> StudyResult:
        """Measured and estimated costs side by side."""
        head = _Head(groups["head"])
        own = len(data.data.training)
        retraining = _retraining(self.facts, head, data)
        scratch = _from_scratch(self.facts, own * self.epochs, head.watts)
        anew = _from_scratch(self.facts, IMAGENET_IMAGES * IMAGENET_EPOCHS, head.watts)
        columns = (
            "cost",
            "re-training",
            f"from scratch, {own:,} photos x {self.epochs} (estimate)",
            "pre-training anew on ImageNet (estimate)",
        )
        rows = [
            (
                name,
                show(retraining[name]),
                *(_estimated(name, show(cost.get(name))) for cost in (scratch, anew)),
            )
            for name, show in _ROWS.items()
        ]
        top1 = HeadOutcome.from_dict(groups["head"][-1].outcome).result(data).top1.overall
        reached = f", test top-1 {top1.value:.1%}" if top1 else ""
        headline = f"a head of {len(data.class_names)} classes{reached}; {_speed(self.facts)}"
        return StudyResult(
            self.name,
            headline,
            (StudyTable("cost", columns, rows),),
            (_chart(retraining, scratch, anew),),
            _notes(self.facts, head),
            {"retraining": retraining, "from_scratch": scratch, "pre_training": anew},
        )


class _Head:
    """Medians over the repeats."""

    def __init__(self, records: Sequence[TrialRecord]) -> None:
        outcomes = [record.outcome for record in records]
        self.seconds = float(np.median([outcome["training_seconds"] for outcome in outcomes]))
        self.peak_bytes = _median([outcome["peak_bytes"] for outcome in outcomes])
        self.joules = _median([outcome["joules"] for outcome in outcomes])
        self.steps = int(outcomes[0]["last_step"])
        self.meters = outcomes[0]["meters"]

    @property
    def watts(self) -> float | None:
        """Mean power while heads were trained."""
        return None if self.joules is None else self.joules / self.seconds


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _retraining(facts: CostFacts, head: _Head, data: StudyData) -> dict[str, float | None]:
    rate = facts.images_per_second
    extraction = facts.images / rate if rate else None
    total = None if extraction is None else extraction + head.seconds
    return {
        "bottlenecks": extraction,
        "training": head.seconds,
        "time in all": total,
        "energy": _joules(total, head.watts),
        "memory": head.peak_bytes,
        "disk": facts.cache_bytes + 4.0 * (data.data.width + 1) * data.data.n_classes,
    }


def _from_scratch(facts: CostFacts, images: int, watts: float | None) -> dict[str, float | None]:
    rate, parameters = facts.images_per_second, facts.parameters
    seconds = TRAINING_FACTOR * images / rate if rate else None
    return {
        "training": seconds,
        "time in all": seconds,
        "energy": _joules(seconds, watts),
        "memory": None if parameters is None else float(_BYTES_TRAINED * parameters),
        "disk": None if parameters is None else float(_BYTES_STORED * parameters),
    }


def _joules(seconds: float | None, watts: float | None) -> float | None:
    return None if seconds is None or watts is None else seconds * watts


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return _UNKNOWN
    for unit, size in (("years", 8766 * _HOUR), ("days", 24 * _HOUR), ("h", _HOUR), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _energy(joules: float | None) -> str:
    return _UNKNOWN if joules is None else f"{joules / 3.6e6:.3g} kWh"


def _megabytes(count: float | None) -> str:
    return _UNKNOWN if count is None else f"{count / 1e6:,.0f} MB"


_ROWS = {
    "bottlenecks": _duration,
    "training": _duration,
    "time in all": _duration,
    "energy": _energy,
    "memory": _megabytes,
    "disk": _megabytes,
}


def _estimated(name: str, text: str) -> str:
    return f"{text} + activations" if name == "memory" and text != _UNKNOWN else text


def _speed(facts: CostFacts) -> str:
    if facts.images_per_second is None:
        return "the speed of the extraction is not known"
    return f"{facts.images_per_second:.1f} img/s through the backbone"


def _notes(facts: CostFacts, head: _Head) -> tuple[str, ...]:
    notes = [f"{head.steps / head.seconds:,.0f} steps/s; medians over the repeats"]
    if facts.images_per_second is None:
        notes.append("speed is known after `retrain bottlenecks` has computed some photos here")
    if head.joules is None:
        notes.append("this machine does not tell its energy (neither RAPL nor NVML can be read)")
    else:
        meters = ", ".join(head.meters)
        notes.append(f"energy by {meters}: measured in head training, the rest at the same power")
    notes.append(
        "estimates: a training step costs three forward passes (Amodei and Hernandez 2018); 100 "
        "epochs of 1,281,167 images (Szegedy et al. 2016); 16 bytes a parameter, activations not "
        "counted; from scratch also reaches less on so few photos"
    )
    return tuple(notes)


def _chart(*costs: Mapping[str, float | None]) -> Chart:
    names = ("re-training", "from scratch,\nthese photos", "pre-training\nanew")
    known = [
        (place, cost["time in all"])
        for place, cost in enumerate(costs)
        if cost["time in all"] is not None
    ]
    hours = [seconds / _HOUR for _, seconds in known if seconds is not None]
    series = Series("hours", [place for place, _ in known], hours)
    ticks = tuple(enumerate(names))
    return Chart("", "", "hours", (series,), ticks, bars=True, shares=False, log_y=True)


def peak_memory() -> float | None:
    """Most memory that this process has held, in bytes; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else 1024 * peak)
