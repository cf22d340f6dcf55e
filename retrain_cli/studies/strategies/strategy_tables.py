"""What the trials of `study strategies` say: each strategy at each size, and the winners."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from retrain_cli.reports.charts import Chart
from retrain_cli.studies.head_trial import HeadOutcome
from retrain_cli.studies.means import Mean, difference_of, mean_of, mean_of_estimates, series_of
from retrain_cli.studies.study import Cell, StudyResult, StudyTable
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import TrialRecord

Strategy = Literal["top", "earlier", "part", "all"]
IN_WORDS: dict[str, str] = {
    "top": "head on the top",
    "earlier": "head on an earlier layer",
    "part": "fine-tune part",
    "all": "fine-tune all",
}
PAPER = (
    "the paper: few photos that are like the original ones want a head on the top, few that are "
    "not a head on an earlier layer, and many photos of either kind fine-tuning of the whole "
    "network"
)
_TUNED = ("part", "all")
_NEARLY = 0.95
"""Of a size, the mean over the classes from which it is not said that some have fewer."""

Records = Mapping[tuple[int, str], Sequence[TrialRecord]]
"""The trials of each size and strategy."""


@dataclass(frozen=True, eq=False)
class MeasuredStrategy:
    """A strategy at one size.

    Attributes:
        name: which one.
        top: mean over the repeats of the mean over the classes.
        shares: that mean over the classes in each repeat.
        seconds: of training, in each repeat.
        kept: in how many repeats the guard kept the tuned network; None of heads.
        unguarded: shares of the tuned network whether it was kept or not; () of heads.
    """

    name: str
    top: Mean | None
    shares: tuple[float, ...]
    seconds: tuple[float, ...]
    kept: int | None = None
    unguarded: tuple[float, ...] = ()

    @classmethod
    def of(cls, name: str, records: Sequence[TrialRecord], data: StudyData) -> MeasuredStrategy:
        """From finished trials."""
        outcomes = [record.outcome for record in records]
        tops = [_macro(one, data) for one in outcomes]
        is_tuned = name in _TUNED
        return cls(
            name,
            mean_of_estimates(tops),
            tuple(math.nan if one is None else one.value for one in tops),
            tuple(float(one["seconds"]) for one in outcomes),
            sum(bool(one["kept"]) for one in outcomes) if is_tuned else None,
            tuple(_share(one["unguarded"], data) for one in outcomes) if is_tuned else (),
        )

    @property
    def accuracy(self) -> float:
        """Mean over the repeats."""
        return float(np.mean(self.shares))

    @property
    def cost(self) -> float:
        """Seconds of training, the median of the repeats."""
        return float(np.median(self.seconds))

    def over(self, other: MeasuredStrategy) -> Mean | None:
        """How far it is ahead, repeat by repeat."""
        return difference_of(np.subtract(self.shares, other.shares).tolist())

    def is_level_with(self, other: MeasuredStrategy) -> bool:
        """Whether the interval of the difference holds 0; with one repeat no one can say."""
        ahead = other.over(self)
        return ahead is None or ahead.low is None or ahead.low <= 0


@dataclass(frozen=True, eq=False)
class SizeWinner:
    """The best strategy at a size.

    Attributes:
        size: photos a class.
        best: the highest mean; of equals the cheapest.
        second: the next one; None where there is one alone.
        level: all whose distance from the best may be none, the best among them, cheapest first.
    """

    size: int
    best: MeasuredStrategy
    second: MeasuredStrategy | None
    level: tuple[MeasuredStrategy, ...]

    @classmethod
    def of(cls, size: int, measured: Sequence[MeasuredStrategy]) -> SizeWinner:
        """Of what was measured at this size."""
        order = sorted(measured, key=lambda one: (-round(one.accuracy, 9), one.cost))
        best = order[0]
        level = [one for one in order if one is best or one.is_level_with(best)]
        return cls(
            size,
            best,
            order[1] if len(order) > 1 else None,
            tuple(sorted(level, key=lambda one: one.cost)),
        )

    def row(self) -> tuple[Cell, ...]:
        """For the table."""
        return (
            self.size,
            self.best.name,
            self.best.top,
            None if self.second is None else self.best.over(self.second),
            "-" if self.second is None else self.second.name,
            _seconds(self.best.cost),
            ", ".join(one.name for one in self.level),
        )


def show_strategies(name: str, part: StudyData, records: Records, trained: str) -> StudyResult:
    """Tables, chart and notes.

    Args:
        name: of the study.
        part: the photos that take part, for their classes.
        records: the trials, smallest size first.
        trained: what `part` fine-tunes.
    """
    sizes = list(dict.fromkeys(size for size, _ in records))
    measured = {
        size: [
            MeasuredStrategy.of(strategy, found, part)
            for (own, strategy), found in records.items()
            if own == size
        ]
        for size in sizes
    }
    winners = [SizeWinner.of(size, measured[size]) for size in sizes]
    repeats = next(iter(records.values()))
    strategies = [one.name for one in measured[sizes[0]]]
    headline = (
        f"{_count(strategies, 'strategies', 'strategy')} at {_count(sizes, 'sizes', 'size')}, "
        f"{len(part.class_names)} classes, {_count(repeats, 'repeats', 'repeat')}"
    )
    tables = [_main(measured), _winners(winners), _costs(measured)]
    if set(strategies) & set(_TUNED):
        tables.append(_unguarded(measured))
    return StudyResult(
        name,
        headline,
        tuple(tables),
        (_chart(measured, strategies), _cost_chart(measured, strategies)),
        _notes(records, strategies, trained),
        {"layers": _layers(records)},
    )


def _count(some: Sequence[object], several: str, one: str) -> str:
    return f"{len(some)} {one if len(some) == 1 else several}"


def _macro(outcome: Mapping[str, Any], data: StudyData) -> Any:
    return HeadOutcome.from_dict(outcome).result(data).top[0].macro


def _share(outcome: Mapping[str, Any], data: StudyData) -> float:
    found = _macro(outcome, data)
    return math.nan if found is None else float(found.value)


def _main(measured: Mapping[int, Sequence[MeasuredStrategy]]) -> StudyTable:
    rows = []
    for size, found in measured.items():
        top = next((one for one in found if one.name == "top"), None)
        for one in found:
            gain = None if top is None or one is top else one.over(top)
            rows.append((size, IN_WORDS[one.name], one.top, gain, _seconds(one.cost), _kept(one)))
    columns = ("photos", "strategy", "top-1", "over the top", "seconds", "tuned kept")
    return StudyTable("strategies", columns, rows)


def _winners(winners: Sequence[SizeWinner]) -> StudyTable:
    columns = ("photos", "winner", "top-1", "margin", "next", "seconds", "level, cheapest first")
    return StudyTable("winners", columns, [one.row() for one in winners])


def _costs(measured: Mapping[int, Sequence[MeasuredStrategy]]) -> StudyTable:
    rows = [
        (size, IN_WORDS[one.name], mean_of(one.seconds, math.inf))
        for size, found in measured.items()
        for one in found
    ]
    return StudyTable("seconds of training", ("photos", "strategy", "seconds"), rows, percent=False)


def _unguarded(measured: Mapping[int, Sequence[MeasuredStrategy]]) -> StudyTable:
    """Fine-tuning with nothing that holds it to the head alone."""
    rows = []
    for size, found in measured.items():
        top = next((one for one in found if one.name == "top"), None)
        for one in found:
            if not one.unguarded:
                continue
            gain = None
            if top is not None:
                gain = difference_of(np.subtract(one.unguarded, top.shares).tolist())
            rows.append((size, IN_WORDS[one.name], mean_of(one.unguarded), gain))
    columns = ("photos", "strategy", "top-1", "over the top")
    return StudyTable("without the guard", columns, rows)


def _kept(one: MeasuredStrategy) -> str:
    return "-" if one.kept is None else f"{one.kept} of {len(one.shares)}"


def _seconds(value: float) -> str:
    return f"{value:.1f}"


def _cost_note(records: Records, strategies: Sequence[str]) -> str:
    """What the seconds are of, and what they are not."""
    note = "seconds are of training, from bottlenecks that are kept"
    if "part" in strategies:
        note += "; `part` from activations, whose pass over the photos comes once more"
    if "all" in strategies:
        note += "; `all` decodes its photos and runs the whole network in each epoch"
    return note + _building(records)


def _smaller_classes(records: Records) -> list[str]:
    """Sizes that not all classes have, with what they have on average."""
    means = {
        size: np.mean([one.outcome["trained_on"] / len(one.outcome["classes"]) for one in found])
        for (size, _), found in records.items()
    }
    return [
        f"not all classes have {size} training photos: at this size they have {mean:.1f} on average"
        for size, mean in means.items()
        if mean < _NEARLY * size
    ]


def _building(records: Records) -> str:
    """What the engine takes before it trains a network, the median of all conditions."""
    told = {
        strategy: [
            float(record.outcome["building"])
            for (_, own), found in records.items()
            if own == strategy
            for record in found
            if record.outcome.get("building") is not None
        ]
        for strategy in _TUNED
    }
    texts = [
        f"{_seconds(float(np.median(values)))} s for `{strategy}`"
        for strategy, values in told.items()
        if values
    ]
    if not texts:
        return ""
    return f". To build and compile the network comes on top, {' and '.join(texts)}"


def _layers(records: Records) -> list[dict[str, Any]]:
    """The earlier layers that were taken, by size and repeat."""
    return [
        {"photos": size, "repeat": record.repeat, "layer": record.outcome["layer"]}
        for (size, strategy), found in records.items()
        if strategy == "earlier"
        for record in found
    ]


def _notes(records: Records, strategies: Sequence[str], trained: str) -> tuple[str, ...]:
    notes = [PAPER, *_smaller_classes(records)]
    if "earlier" in strategies:
        names = [one["layer"] for one in _layers(records)]
        most = max(dict.fromkeys(names), key=names.count)
        notes.append(
            "the earlier layer is taken by cross-validation on the training photos of each repeat "
            f"alone; most often it is {most}"
            if len(set(names)) > 1
            else f"the earlier layer is {most}"
        )
    if set(strategies) & set(_TUNED):
        notes.append(
            f"part is {trained}; fine-tuning is that of `finetune`: the head on the top stays "
            "where no epoch is better on the validation photos, and `without the guard` is what "
            "the best epoch is worth in any case"
        )
    return (
        *notes,
        "a quarter as many photos of a class validate as train, so that few photos have few to "
        "choose by; test photos are the same for all strategies and sizes of a repeat",
        _cost_note(records, strategies),
        "level: the 95% interval of its distance from the winner, repeat by repeat, holds 0. The "
        "best of several is the best by luck, too, and few repeats see large differences alone",
    )


def _chart(measured: Mapping[int, Sequence[MeasuredStrategy]], strategies: Sequence[str]) -> Chart:
    series = []
    for strategy in strategies:
        found = [(size, _named(some, strategy).top) for size, some in measured.items()]
        points = [(float(size), top) for size, top in found if top is not None]
        if points:
            series.append(series_of(IN_WORDS[strategy], points))
    return Chart("", "training photos a class", "top-1", tuple(series), _ticks(measured), True)


def _cost_chart(
    measured: Mapping[int, Sequence[MeasuredStrategy]], strategies: Sequence[str]
) -> Chart:
    series = []
    for strategy in strategies:
        found = [
            (float(size), mean_of(_named(some, strategy).seconds, math.inf))
            for size, some in measured.items()
        ]
        points = [(size, Mean(mean.value, None, None, mean.n)) for size, mean in found if mean]
        series.append(series_of(IN_WORDS[strategy], points))
    return Chart(
        "",
        "training photos a class",
        "seconds of training",
        tuple(series),
        _ticks(measured),
        log_x=True,
        log_y=True,
        shares=False,
    )


def _named(some: Sequence[MeasuredStrategy], strategy: str) -> MeasuredStrategy:
    return next(one for one in some if one.name == strategy)


def _ticks(measured: Mapping[int, Any]) -> tuple[tuple[float, str], ...]:
    return tuple((float(size), str(size)) for size in measured)
