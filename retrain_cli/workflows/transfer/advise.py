"""`retrain advise`: which of four strategies fits the photos, without training anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from retrain_cli import waiting
from retrain_cli.errors import BackboneError, DatasetError, RetrainError, WeightsError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.notebook.sheets import Grid, sheet
from retrain_cli.paths import StrPath
from retrain_cli.runs.shell import shell_line
from retrain_cli.similarity.familiarity import Familiarity
from retrain_cli.workflows.shared.all_layers import bottlenecks_command
from retrain_cli.workflows.shared.kept_sources import load_source_head
from retrain_cli.workflows.shared.training_set import TrainingSet, load_training_set
from retrain_cli.workflows.transfer.scenarios import (
    ADVICE_RECORD,
    AdviceRecord,
    Scenario,
    is_large,
    scenario_of,
)
from retrain_cli.workspace import Workspace

_MOST_PHOTOS = 5_000
"""Of more a seeded choice tells the same, and takes less memory."""


@dataclass(frozen=True)
class AdviceRequest:
    """What to look at: the dataset and the backbone last used.

    Attributes:
        top: weights file of the backbone with its own classifier; None for the usual one.
    """

    top: StrPath | None = None


@dataclass(frozen=True)
class AdvisedScenario:
    """A scenario that may be that of the photos.

    Attributes:
        scenario: which one.
        commands: what to run, a line each.
    """

    scenario: Scenario
    commands: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "number": self.scenario.number,
            "title": self.scenario.title,
            "strategy": self.scenario.strategy,
            "advice": self.scenario.advice,
            "commands": list(self.commands),
        }


@dataclass(frozen=True)
class Advice:
    """What is known of the photos, and what follows from it.

    Attributes:
        backbone: for people.
        photos: all photos.
        classes: how many there are.
        training_a_class: training photos a class, the median over the classes.
        fewest: training photos of the smallest class.
        int_classes: classes that the backbone knows by their names.
        familiarity: what its own classifier sees; None where it cannot be asked.
        why_not: why not; None where it could.
        advised: the scenario; both of that size where the similarity is not known.
        check: the command that measures what is advised here.
        cannot_be_cut: whether the backbone's layers are not known, so that a head on its top is all
            that can be trained.
        record: how such advice did where it was measured.
    """

    backbone: str
    photos: int
    classes: int
    training_a_class: float
    fewest: int
    int_classes: int
    familiarity: Familiarity | None
    why_not: RetrainError | None
    advised: tuple[AdvisedScenario, ...]
    check: str
    cannot_be_cut: bool
    record: AdviceRecord = ADVICE_RECORD

    @property
    def int_share(self) -> float:
        """Share of the classes that the backbone knows by their names."""
        return self.int_classes / self.classes

    def _repr_html_(self) -> str:
        size = f"{self.training_a_class:g} training photos a class, {self.fewest:,} of the smallest"
        known = [["INT classes", f"{self.int_share:.0%}"]]
        seen = self.familiarity and [
            ["nearest prototype", f"{self.familiarity.prominence:.1f} SD"],
            ["same answer in a class", f"{self.familiarity.within:.0%}"],
            ["same answer between classes", f"{self.familiarity.between:.0%}"],
        ]
        scenarios = [
            Grid(
                (f"scenario {one.scenario.number}: {one.scenario.title}; {one.scenario.advice}",),
                [[command] for command in one.commands],
            )
            for one in self.advised
        ]
        return sheet(
            f"{self.photos:,} photos of {self.classes:,} classes, seen by {self.backbone}",
            size,
            Grid(("how well they are known", ""), known + (seen or [])),
            "" if self.why_not is None else f"how similar they are is not known: {self.why_not}",
            *scenarios,
            "this may be wrong; to measure it on these photos:",
            self.check,
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "backbone": self.backbone,
            "photos": self.photos,
            "classes": self.classes,
            "training_photos_a_class": self.training_a_class,
            "fewest_training_photos": self.fewest,
            "int_classes": self.int_classes,
            "int_share": self.int_share,
            "similarity": None if self.familiarity is None else self.familiarity.to_dict(),
            "why_no_similarity": None if self.why_not is None else str(self.why_not),
            "scenarios": [one.to_dict() for one in self.advised],
            "check": self.check,
            "fine_tuning_is_possible": not self.cannot_be_cut,
            "record": {**self.record._asdict(), "lost": self.record.lost},
        }


def advise(request: AdviceRequest, workspace: Workspace) -> Advice:
    """Look at the cached bottlenecks and say which strategy fits.

    Args:
        request: where the backbone's own classifier is.
        workspace: with the bottlenecks.

    Raises:
        DatasetError: too few photos to train on.
        WeightsError: the file that was named as `top` has no such classifier.
        RetrainError: no bottlenecks.
    """
    found = load_training_set(workspace, TrainingConfig())
    counts = np.bincount(found.data.labels[found.data.training], minlength=found.data.n_classes)
    familiarity, why_not = _familiarity(request, found)
    median = float(np.median(counts))
    similar = (True, False) if familiarity is None else (familiarity.is_similar,)
    scenarios = [scenario_of(large=is_large(median), similar=one) for one in similar]
    spec = found.used.backbone
    cannot_be_cut, lower = spec.kind != "table", spec.layer is not None
    words = bottlenecks_command(found.used, workspace)
    return Advice(
        backbone=spec.label(),
        photos=len(found.data.labels),
        classes=found.data.n_classes,
        training_a_class=median,
        fewest=int(counts.min()),
        int_classes=sum(one.origin == "INT" for one in found.origins),
        familiarity=familiarity,
        why_not=why_not,
        advised=tuple(
            AdvisedScenario(one, () if cannot_be_cut else _commands(one, words, lower=lower))
            for one in scenarios
        ),
        check=shell_line([*_program(words), "study", "strategies"]),
        cannot_be_cut=cannot_be_cut,
    )


def _familiarity(
    request: AdviceRequest, found: TrainingSet
) -> tuple[Familiarity | None, RetrainError | None]:
    """What the backbone's own classifier sees, or why that cannot be told.

    A file that the user names has to be right; that there is none is nobody's fault.
    """
    try:
        with waiting.for_("reading the backbone's own classifier"):
            known = load_source_head(found.used, request.top)
    except (BackboneError, DatasetError, WeightsError) as error:
        if request.top is not None:
            raise
        return None, error
    count = len(found.data.labels)
    rows = np.arange(count)
    if count > _MOST_PHOTOS:
        rows = np.sort(np.random.default_rng(0).choice(count, _MOST_PHOTOS, replace=False))
    labels = found.data.labels[rows]
    if np.bincount(labels).max() < 2:
        return None, DatasetError(
            "how alike the photos of a class are is told by two of them at least, and each class "
            "has one: add photos"
        )
    vectors = np.asarray(found.data.bottlenecks[rows])
    logits = known.head.logits(vectors)
    return Familiarity.of(vectors, labels, known.head.weights, logits), None


def _program(words: tuple[str, ...]) -> tuple[str, ...]:
    """`retrain` and its workspace, of the words of `retrain bottlenecks`."""
    return words[: words.index("bottlenecks")]


def _commands(scenario: Scenario, words: tuple[str, ...], *, lower: bool) -> tuple[str, ...]:
    """A line each.

    Args:
        scenario: what is advised.
        words: those of `retrain bottlenecks` that compute the top of the network.
        lower: whether the bottlenecks last used are those of an earlier layer.
    """
    program = _program(words)
    train = shell_line([*program, "train"])
    if scenario.strategy == "earlier":
        return (shell_line([*words, "--layer", "auto"]), train)
    first = (shell_line(words),) if lower else ()
    if scenario.strategy == "top":
        return (*first, train)
    return (*first, shell_line([*program, "finetune", "--trainable", "all"]))
