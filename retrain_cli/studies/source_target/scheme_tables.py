"""What `study source-target` found, as tables, figures and sentences."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrain_cli.evaluation.intervals import share_estimate, student_half_width
from retrain_cli.reports.charts import Chart, Series, TreeChart
from retrain_cli.similarity.class_trees import ClassTree, Clustering, node_places
from retrain_cli.studies.means import Mean, mean_of, mean_of_estimates
from retrain_cli.studies.source_target.dendrograms import tree_chart
from retrain_cli.studies.source_target.relation import Relation
from retrain_cli.studies.source_target.sides import PhotoPool, SourceTarget
from retrain_cli.studies.study import Cell, Groups, StudyResult, StudyTable
from retrain_cli.studies.trial import TrialRecord

TARGET, SOURCE, BOTH = "target", "source", "both"
"""What a network is trained on first."""

_SCHEMES = (
    ("1 target", "the rest of the target", TARGET, "first"),
    ("2 source", "the source", SOURCE, "first"),
    ("3 both", "source and rest of the target", BOTH, "first"),
    ("4 retrained", "the source; last two layers again", SOURCE, "again"),
)
"""Name, what it is trained on, the trials, and which of their scores."""

_MOST_TREES = 4
_STEPS = {"distance": 0.01, "distance of means": 0.01, "ratio in target": 0.1}
_RATIO_IN_SOURCE = "ratio in source"


@dataclass(frozen=True, eq=False)
class Combination:
    """A source and a target, with what the paper's figures set beside the improvement.

    Attributes:
        mix: the photos.
        digest: of these photos: trials of others are others.
        distance: mean cosine distance of a photo of the source and one of the target.
        distance_of_means: cosine distance of the mean bottlenecks of both.
        source_ratio: photos of the smallest class over those of the largest, in the source.
        target_ratio: likewise in the target.
    """

    mix: SourceTarget
    digest: str
    distance: float
    distance_of_means: float
    source_ratio: float
    target_ratio: float

    @classmethod
    def of(cls, mix: SourceTarget, photos: PhotoPool) -> Combination:
        """Measure a source and a target."""
        content = mix.source.tobytes() + b" " + mix.target.tobytes()
        digest = hashlib.blake2b(content, digest_size=3).hexdigest()
        return cls(mix, digest, *mix.distances(photos), *mix.ratios(photos))

    def condition(self, what: str) -> str:
        """Of the trials that train on this part of it first."""
        return f"{self.mix.name} ({self.digest}): {what}"


@dataclass(frozen=True, eq=False)
class SchemePlan:
    """What is trained.

    Attributes:
        photos: the photos that take part.
        trees: of each class.
        first: the first level.
        combinations: of the second level.
        total: how many combinations there are in all.
        unusable: of those that were looked at, those with a node of one photo or group.
    """

    photos: PhotoPool
    trees: Sequence[ClassTree]
    first: Combination
    combinations: Sequence[Combination]
    total: int
    unusable: int

    def find(self, condition: str) -> tuple[Combination, str]:
        """The combination of a trial, and what it trains on first."""
        for one in (self.first, *self.combinations):
            for what in (TARGET, SOURCE, BOTH):
                if one.condition(what) == condition:
                    return one, what
        raise KeyError(condition)


def show_plan(
    name: str, how: Clustering, plan: SchemePlan, groups: Groups, same_test: bool
) -> StudyResult:
    """Tables 2 and 3, both figures, and what they say.

    Args:
        name: of the study.
        how: linkage and metric.
        plan: what was trained.
        groups: the records of each condition.
        same_test: whether all runs have the same test photos.
    """
    scores = _first_scores(plan, groups)
    lines = [_Line.of(one, groups) for one in plan.combinations]
    relations = _relations(lines)
    photos, first = plan.photos, plan.first.mix
    headline = (
        f"{len(photos.class_names)} classes, {len(first.source):,} photos in the source, "
        f"{len(first.target):,} in the target, cosine distance {plan.first.distance:.4f}"
    )
    tables = [_schemes(plan, scores, groups)]
    if lines:
        tables.append(_combinations(lines))
    tables += [_nodes(plan), _runs(scores)]
    trees = [tree_chart(tree, how) for tree in plan.trees[:_MOST_TREES]]
    charts: list[Chart | TreeChart] = [*trees, *_charts(lines, relations)]
    return StudyResult(
        name,
        headline,
        tuple(tables),
        tuple(charts),
        tuple(_notes(how, plan, scores, lines, relations, same_test)),
        {
            "loss": {key: [one["loss"] for one in runs] for key, runs in scores.items()},
            "accuracy": {key: [one["accuracy"] for one in runs] for key, runs in scores.items()},
            "relations": {key: one.to_dict() for key, one in relations.items() if one},
        },
    )


_Scores = Mapping[str, Sequence[Mapping[str, Any]]]


def _first_scores(plan: SchemePlan, groups: Groups) -> _Scores:
    return {
        scheme: [record.outcome[which] for record in groups[plan.first.condition(what)]]
        for scheme, _, what, which in _SCHEMES
    }


def _accuracies(scores: _Scores, scheme: str) -> list[float]:
    return [one["accuracy"] for one in scores[scheme]]


def signed_mean(values: Sequence[float]) -> Mean:
    """Mean of differences and its Student's interval, which is not cut at 0."""
    known = np.array(values, np.float64)
    mean = float(known.mean())
    if len(known) < 2:
        return Mean(mean, None, None, len(known))
    half = student_half_width(known)
    return Mean(mean, mean - half, mean + half, len(known))


def _deviation(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _schemes(plan: SchemePlan, scores: _Scores, groups: Groups) -> StudyTable:
    """Table 2, a line a scheme; a difference is taken run by run."""
    fourth = np.array(_accuracies(scores, _SCHEMES[3][0]))
    rows: list[Sequence[Cell]] = []
    for scheme, trained, what, which in _SCHEMES:
        own = _accuracies(scores, scheme)
        record = groups[plan.first.condition(what)][0]
        photos = record.outcome["trained_on"]
        if which == "again":
            photos = f"{photos:,} + {record.outcome['retrained_on']:,}"
        gain = None if which == "again" else signed_mean((fourth - own).tolist())
        loss = float(np.mean([one["loss"] for one in scores[scheme]]))
        right = [(round(one["accuracy"] * one["n"]), one["n"]) for one in scores[scheme]]
        mean = _mean_share(right)
        rows.append((scheme, trained, photos, f"{loss:.4f}", mean, _deviation(own), gain))
    majority = _mean_share([(max(one), sum(one)) for one in _test_counts(plan, groups)])
    rows.append(("-", "nothing: always the largest class", 0, "-", majority, None, None))
    columns = ("scheme", "trained on", "photos", "loss", "accuracy", "SD", "4 gains over it")
    return StudyTable("schemes", columns, rows)


def _mean_share(right: Sequence[tuple[int, int]]) -> Mean | None:
    """Of right answers among test photos, run by run; runs that agree know no more than one."""
    return mean_of_estimates([share_estimate(hits, n) for hits, n in right])


def _test_counts(plan: SchemePlan, groups: Groups) -> list[list[int]]:
    return [record.outcome["test_counts"] for record in groups[plan.first.condition(TARGET)]]


def _runs(scores: _Scores) -> StudyTable:
    """Table 2, a line a run."""
    columns = ["run"]
    for number, _ in enumerate(_SCHEMES, start=1):
        columns += [f"loss {number}", f"accuracy {number}"]
    rows = []
    for run, of_run in enumerate(zip(*scores.values(), strict=True), start=1):
        cells: list[Cell] = [str(run)]
        for one in of_run:
            cells += [f"{one['loss']:.4f}", one["accuracy"]]
        rows.append(cells)
    return StudyTable("runs", tuple(columns), rows)


def _nodes(plan: SchemePlan) -> StudyTable:
    sides = {"A": "source", "B": "target"}
    rows = [
        (node, level, count, sides[node[-1]] if level == "first" else "")
        for tree in plan.trees
        for level, node, count in node_places(tree)
    ]
    return StudyTable("nodes", ("node", "level", "photos", "side"), rows)


@dataclass(frozen=True, eq=False)
class _Line:
    """What a combination reached.

    Attributes:
        of_: the combination.
        first: accuracy of scheme 1.
        fourth: of scheme 4.
        gain: the difference, run by run.
    """

    of_: Combination
    first: Mean
    fourth: Mean
    gain: Mean

    @classmethod
    def of(cls, one: Combination, groups: Groups) -> _Line:
        first = _of(groups[one.condition(TARGET)], "first")
        fourth = _of(groups[one.condition(SOURCE)], "again")
        gains = np.subtract(fourth, first).tolist()
        means = mean_of(first), mean_of(fourth)
        assert means[0] is not None and means[1] is not None
        return cls(one, means[0], means[1], signed_mean(gains))


def _of(records: Sequence[TrialRecord], which: str) -> list[float]:
    return [record.outcome[which]["accuracy"] for record in records]


def _combinations(lines: Sequence[_Line]) -> StudyTable:
    """Table 3, the greatest improvement first."""
    columns = (
        "target",
        "target photos",
        "source photos",
        "distance",
        "of means",
        "ratio",
        "scheme 1",
        "scheme 4",
        "improvement",
    )
    rows = [
        (
            line.of_.mix.name,
            len(line.of_.mix.target),
            len(line.of_.mix.source),
            f"{line.of_.distance:.4f}",
            f"{line.of_.distance_of_means:.4f}",
            f"{line.of_.target_ratio:.2f}",
            line.first.value,
            line.fourth.value,
            line.gain.value,
        )
        for line in sorted(lines, key=lambda one: -one.gain.value)
    ]
    return StudyTable("combinations", columns, rows)


_FIGURES: Mapping[str, Callable[[Combination], float]] = {
    "distance": lambda one: one.distance,
    "distance of means": lambda one: one.distance_of_means,
    "ratio in target": lambda one: one.target_ratio,
    _RATIO_IN_SOURCE: lambda one: one.source_ratio,
}


def _relations(lines: Sequence[_Line]) -> dict[str, Relation | None]:
    gains = [line.gain.value for line in lines]
    return {
        name: Relation.of([measure(line.of_) for line in lines], gains) if lines else None
        for name, measure in _FIGURES.items()
    }


def _charts(lines: Sequence[_Line], relations: Mapping[str, Relation | None]) -> list[Chart]:
    """Figures 2 and 3; none without combinations."""
    if not lines:
        return []
    panels = (
        ("Fig. 2: distance", "mean cosine distance of source and target", ("distance",)),
        (
            "Fig. 3: class ratio",
            "smallest over largest class",
            ("ratio in target", _RATIO_IN_SOURCE),
        ),
    )
    return [
        Chart(title, label, "scheme 4 over scheme 1", _series(names, lines, relations))
        for title, label, names in panels
    ]


def _series(
    names: Sequence[str], lines: Sequence[_Line], relations: Mapping[str, Relation | None]
) -> tuple[Series, ...]:
    """Of each figure its points, then its line, in one colour."""
    found = []
    for name in names:
        points = sorted((_FIGURES[name](line.of_), line.gain.value) for line in lines)
        x, y = [place for place, _ in points], [value for _, value in points]
        found.append(Series(name, x, y, joined=False))
        relation = relations[name]
        if relation is not None:
            found.append(relation.series(f"{name}: line, 95% band", x, y))
    return tuple(found)


def _notes(
    how: Clustering,
    plan: SchemePlan,
    scores: _Scores,
    lines: Sequence[_Line],
    relations: Mapping[str, Relation | None],
    same_test: bool,
) -> list[str]:
    notes = [
        f"nodes are the first two branches of each class's own tree ({how.linkage} linkage, "
        f"{how.metric} distances of bottlenecks); groups (_nohash_ names, duplicates) stand whole "
        "in the node with more of their photos",
        "in a run all schemes have the same test photos, "
        + ("as have all runs" if same_test else "and each run draws its own"),
        _verdict(scores),
    ]
    if len(plan.trees) > _MOST_TREES:
        notes.append(f"of {len(plan.trees)} trees the figure shows the first {_MOST_TREES}")
    if plan.total > len(lines) + plan.unusable and lines:
        notes.append(
            f"of {shown_count(plan.total)} combinations {len(lines) + plan.unusable} were drawn by "
            "the seed"
        )
    if plan.unusable:
        notes.append(
            f"combinations that were left out, for of a class they have one photo or group in the "
            f"target, or none in the source: {plan.unusable}"
        )
    for name, relation in relations.items():
        if relation is not None:
            unit = _STEPS.get(name, 0.1)
            notes.append(relation.sentence(_in_words(name), unit))
    if any(relations.values()):
        notes.append(
            "combinations share most of their photos, so they are no independent points: a slope's "
            "interval is narrower than it should be"
        )
    return notes


def shown_count(number: int) -> str:
    """A count for people; a huge one, whose digits Python may refuse to write, by its power."""
    return f"{number:,}" if number < 10**9 else f"some 10^{int(math.log10(number)):,}"


def _in_words(name: str) -> str:
    words = {
        "distance": "mean cosine distance",
        "distance of means": "cosine distance of the mean vectors",
        "ratio in target": "ratio of the smallest to the largest class in the target",
        _RATIO_IN_SOURCE: "ratio of the smallest to the largest class in the source",
    }
    return words[name]


def _verdict(scores: _Scores) -> str:
    """Whether scheme 4 is the best, by its interval over the best of the others."""
    means = {scheme: float(np.mean(_accuracies(scores, scheme))) for scheme in scores}
    last = _SCHEMES[3][0]
    best = max((scheme for scheme in means if scheme != last), key=lambda one: means[one])
    gain = signed_mean(np.subtract(_accuracies(scores, last), _accuracies(scores, best)).tolist())
    if gain.low is None or gain.high is None:
        return f"scheme 4 gains {100 * gain.value:+.1f} points over scheme {best}, in one run"
    told = (
        f"{100 * gain.value:+.1f} points over scheme {best}, the best of the others (95%: "
        f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    )
    if gain.low > 0:
        return f"scheme 4, transfer, is the best: {told}"
    if gain.high < 0:
        return f"scheme 4, transfer, is not the best: {told}"
    return f"scheme 4, transfer, is neither better nor worse: {told}"
