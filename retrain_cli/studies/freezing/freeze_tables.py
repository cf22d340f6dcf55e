"""What `study freeze` shows: F1 of models and classes, training curves, and what they say."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrain_cli.evaluation.class_figures import class_figures
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.intervals import share_estimate
from retrain_cli.reports.charts import Chart, Series
from retrain_cli.studies.freezing.early_stop import FreezeRules, StoppedTraining
from retrain_cli.studies.freezing.frozen_networks import FreezeStart
from retrain_cli.studies.means import (
    Mean,
    difference_of,
    mean_of,
    mean_of_estimates,
    series_of,
)
from retrain_cli.studies.study import Groups, StudyResult, StudyTable

_COUNTS = float("inf")
"""The largest mean of a count."""
_MOST_TICKS = 10
_ASIDE = 0.15
"""How far the points of two starts stand from each other."""


@dataclass(frozen=True)
class FreezeModel:
    """A row of the table.

    Attributes:
        condition: of its trials.
        pattern: which layers are trained; of a baseline its name.
        origin: what the weights were before, in words; of a baseline what it looks at.
        baseline: a key of `BASELINES`; empty for a network.
        start: the weights that it starts from; None for a baseline.
    """

    condition: str
    pattern: str
    origin: str
    baseline: str = ""
    start: FreezeStart | None = None

    @property
    def title(self) -> str:
        """The model in a sentence."""
        return self.pattern if self.start is None else f"{self.pattern} from {self.origin} weights"


@dataclass(frozen=True, eq=False)
class _Judged:
    """A model and what its repeats gave.

    Attributes:
        f1: `(repeats, n_classes)`.
    """

    model: FreezeModel
    counts: list[EvalCounts]
    f1: Any
    trainings: list[StoppedTraining]
    seconds: list[float]
    trained_on: list[int]

    @property
    def macro(self) -> list[float]:
        """Mean F1 over the classes, of each repeat."""
        found: list[float] = self.f1.mean(axis=1).tolist()
        return found

    @property
    def micro(self) -> Mean | None:
        """Micro F1, which is the accuracy where each photo has one class."""
        return mean_of_estimates(
            [share_estimate(int(one.hits.sum()), int(one.n_images.sum())) for one in self.counts]
        )


def show_freezing(
    name: str,
    models: Sequence[FreezeModel],
    groups: Groups,
    class_names: Sequence[str],
    rules: FreezeRules,
    repeats: int,
) -> StudyResult:
    """Tables in the shape of Tables 7.1 and 7.2, Fig. 7.1, and what the repeats say."""
    judged = [_judge(model, groups, len(class_names)) for model in models]
    networks = [one for one in judged if one.model.start is not None]
    trained = _span((networks or judged)[0].trained_on)
    tested = _span([int(one.n_images.sum()) for one in judged[0].counts])
    times = "once" if repeats == 1 else f"{repeats} repeats"
    headline = (
        f"{len(class_names)} classes, {trained} photos train, {tested} test; {rules.optimizer}, "
        f"rate {rules.learning_rate:g}, at most {rules.epochs} epochs, patience "
        f"{rules.patience}; {times}"
    )
    return StudyResult(
        name,
        headline,
        (_models_table(judged), *_class_tables(judged, class_names)),
        _charts(judged),
        tuple(_notes(judged, rules)),
        _figures(judged, class_names),
    )


def _judge(model: FreezeModel, groups: Groups, n_classes: int) -> _Judged:
    records = groups[model.condition]
    outcomes = [record.outcome for record in records]
    counts = [counts_of(outcome, n_classes) for outcome in outcomes]
    trainings = [
        StoppedTraining.from_dict(outcome["training"])
        for outcome in outcomes
        if "training" in outcome
    ]
    f1 = np.array([class_figures(one).f1 for one in counts])
    return _Judged(
        model,
        counts,
        f1,
        trainings,
        [record.seconds for record in records],
        [outcome["trained_on"] for outcome in outcomes],
    )


def counts_of(outcome: Any, n_classes: int) -> EvalCounts:
    """The counts of a trial's confusion pairs."""
    pairs = np.array(outcome["pairs"], np.int64).reshape(-1, 3)
    right = pairs[pairs[:, 0] == pairs[:, 1]]
    hits = np.bincount(right[:, 0], weights=right[:, 2], minlength=n_classes).astype(np.int64)
    n_images = np.array(outcome["n_images"], np.int64)
    return EvalCounts((1,), n_images, hits[:, None], pairs[:, :2].astype(np.int32), pairs[:, 2])


def _models_table(judged: Sequence[_Judged]) -> StudyTable:
    columns = ("trained", "from", "micro avg", "macro avg", "epochs", "photos")
    rows = [
        (
            one.model.pattern,
            one.model.origin,
            one.micro,
            mean_of(one.macro),
            _epochs(one),
            _span(one.trained_on),
        )
        for one in judged
    ]
    return StudyTable("F1", columns, rows)


def _epochs(one: _Judged) -> str:
    """From the fewest epochs to the most, with the mark of those that the limit ended."""
    if not one.trainings:
        return ""
    made = [len(training.rows) for training in one.trainings]
    return _span(made) + "+" * any(not training.stopped for training in one.trainings)


def _span(counts: Sequence[int]) -> str:
    """From the smallest count to the largest: repeats have splits of their own."""
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


def _class_tables(judged: Sequence[_Judged], class_names: Sequence[str]) -> Iterator[StudyTable]:
    """Classes below each other, models side by side, a table for each start."""
    for title, models in _by_start(judged).items():
        columns = ("class", *(one.model.pattern for one in models))
        rows: list[tuple[Any, ...]] = [
            (name, *(float(one.f1[:, index].mean()) for one in models))
            for index, name in enumerate(class_names)
        ]
        rows.append(("micro avg", *(one.micro and one.micro.value for one in models)))
        rows.append(("macro avg", *(float(np.mean(one.macro)) for one in models)))
        yield StudyTable(f"F1 of classes with {title}", columns, rows)


def _by_start(judged: Sequence[_Judged]) -> dict[str, list[_Judged]]:
    found: dict[str, list[_Judged]] = defaultdict(list)
    for one in judged:
        baseline = one.model.start is None
        found["baselines" if baseline else f"{one.model.origin} weights"].append(one)
    return found


def _charts(judged: Sequence[_Judged]) -> tuple[Chart, ...]:
    """Training curves of the first choice of layers from each start, and macro F1 of all."""
    networks = [one for one in judged if one.model.start is not None]
    charts: list[Chart] = []
    if networks:
        first = networks[0].model.pattern
        curves = tuple(_curve(one) for one in networks if one.model.pattern == first)
        longest = max(len(curve.x) for curve in curves)
        step = math.ceil(longest / _MOST_TICKS)
        ticks = tuple((float(at), str(at)) for at in range(step, longest + 1, step))
        charts.append(Chart(f"{first} trained", "epoch", "accuracy in training", curves, ticks))
    return (*charts, _f1_chart(judged))


def _curve(one: _Judged) -> Series:
    """Accuracy in training: mean over the repeats, as far as all of them went."""
    length = min(len(training.rows) for training in one.trainings)
    points = []
    for epoch in range(length):
        mean = mean_of([training.rows[epoch].accuracy for training in one.trainings])
        assert mean is not None
        points.append((float(epoch + 1), mean))
    return series_of(f"{one.model.origin} weights", points)


def _f1_chart(judged: Sequence[_Judged]) -> Chart:
    """A place for each choice of layers and each baseline, a colour for each start."""
    places = {name: at for at, name in enumerate(dict.fromkeys(o.model.pattern for o in judged))}
    series = []
    for number, (title, models) in enumerate(_by_start(judged).items()):
        points = []
        for one in models:
            mean = mean_of(one.macro)
            assert mean is not None
            points.append((places[one.model.pattern] + _ASIDE * max(0, number - 1), mean))
        line = series_of(title, points)
        series.append(Series(line.label, line.x, line.y, line.low, line.high, joined=False))
    ticks = tuple((float(at), name) for name, at in places.items())
    return Chart("test photos", "", "macro F1", tuple(series), ticks)


def _notes(judged: Sequence[_Judged], rules: FreezeRules) -> Iterator[str]:
    networks = [one for one in judged if one.model.start is not None]
    yield from _on_starts(networks)
    yield from _on_layers(networks)
    baselines = [one for one in judged if one.model.start is None]
    if networks and baselines:
        best, other = _best(networks), _best(baselines)
        yield (
            f"the best network, {best.model.title}: {_gain(best, other)} against the best "
            f"baseline, {other.model.title}"
        )
    if any(not training.stopped for one in judged for training in one.trainings):
        yield (
            f"+ behind epochs: the limit of {rules.epochs} ended a training whose accuracy on "
            "validation still rose now and then; --epochs lets it go on"
        )
    yield (
        "a network is kept as it was after the epoch of the highest accuracy on validation; trees, "
        "majority and nearest mean learn from training and validation photos together"
    )
    if networks and rules.batch_norm == "frozen":
        yield (
            "batch normalisation, which the paper's network has not, stays as it is; with random "
            "weights it begins with the statistics of 64 training photos"
        )


def _on_starts(networks: Sequence[_Judged]) -> Iterator[str]:
    """Each choice of layers from its start before beside the random one, and beside a run's."""
    for pattern in dict.fromkeys(one.model.pattern for one in networks):
        of = [one for one in networks if one.model.pattern == pattern]
        first = of[0]
        for other in of[1:]:
            yield (
                f"{pattern} trained, {first.model.origin} weights: {_gain(first, other)} against "
                f"{other.model.origin} ones"
            )


def _on_layers(networks: Sequence[_Judged]) -> Iterator[str]:
    """From the first start: the best choice of layers beside the second best."""
    if not networks:
        return
    of = [one for one in networks if one.model.origin == networks[0].model.origin]
    ranked = sorted(of, key=lambda one: -float(np.mean(one.macro)))
    if len(ranked) > 1:
        gain = _gain(ranked[0], ranked[1])
        yield (
            f"from {networks[0].model.origin} weights {ranked[0].model.pattern} is best, {gain} "
            f"against {ranked[1].model.pattern}, the next"
        )


def _best(judged: Sequence[_Judged]) -> _Judged:
    return max(judged, key=lambda one: float(np.mean(one.macro)))


def _gain(one: _Judged, other: _Judged) -> str:
    """How far one is ahead of another, repeat by repeat, with its interval."""
    gain = difference_of([a - b for a, b in zip(one.macro, other.macro, strict=True)])
    assert gain is not None
    points = f"{100 * gain.value:+.1f} points of macro F1"
    if gain.low is None or gain.high is None:
        return f"{points} (one repeat says nothing of chance)"
    verdict = "better" if gain.low > 0 else "worse" if gain.high < 0 else "no difference is shown"
    return f"{points} (95%: {100 * gain.low:+.1f} to {100 * gain.high:+.1f}: {verdict})"


def _figures(judged: Sequence[_Judged], class_names: Sequence[str]) -> dict[str, Any]:
    """For `--json`: F1 of each class with its interval, curves, and time."""
    return {
        "models": [
            {
                "trained": one.model.pattern,
                "from": one.model.origin,
                "f1": {
                    name: _as_json(mean_of(one.f1[:, index].tolist()))
                    for index, name in enumerate(class_names)
                },
                "seconds": _as_json(mean_of(one.seconds, most=_COUNTS)),
                "curves": [training.to_dict() for training in one.trainings],
            }
            for one in judged
        ]
    }


def _as_json(mean: Mean | None) -> dict[str, Any] | None:
    return None if mean is None else mean.to_dict()
