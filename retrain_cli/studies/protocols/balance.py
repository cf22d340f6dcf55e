"""`study balance`: what helps where some classes have a tenth of the photos of others?

S0, the paper on transfer learning in machine vision, fills small classes by SMOTE or by distorted
photos, and does not say what that gives. Here half of the classes lose most of their training
photos, and each way to make up for it trains on the same photos. Test photos stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np

from retrain_cli.checks import check_least
from retrain_cli.errors import ConfigError, DatasetError, setting
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.heads.config import ADDING, AT_ONCE, BALANCES, CLOSED
from retrain_cli.heads.training import train_head
from retrain_cli.heads.validation import with_fitted_scores
from retrain_cli.reports.charts import Chart
from retrain_cli.studies.head_trial import HeadOutcome
from retrain_cli.studies.means import Mean, difference_of, mean_of, series_of
from retrain_cli.studies.study import (
    Groups,
    Study,
    StudyResult,
    StudySettings,
    StudyTable,
    option,
)
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.thinning import Thinning
from retrain_cli.studies.trial import Trial, TrialContext, TrialRecord

_NONE, _SAMPLING, _VIEWS = "none", "sampling", "views"
_WITH_VIEWS = " + views"
"""Of the name of a condition in which all classes are trained on views, too."""
_BESIDE_VIEWS = ("sampling", "weights", "prior")
_COLUMNS = ("balance", "macro F1", "small classes", "large classes", "INT", "EXT")
_AGAINST = (_NONE, _SAMPLING)

Values = Sequence[float | None]
"""A figure of each repeat."""


@dataclass(frozen=True)
class BalanceStudy(Study):
    """Classes made small on purpose, and what `train --balance` makes up for.

    Half of the classes, drawn anew in each repeat, keep a few of their training photos. Heads are
    left as `train` leaves them, and compared by macro F1 on the same photos. Views take part where
    `retrain bottlenecks --views` has computed some.

    Attributes:
        ratio: photos of a large class to one of a small class.
        most: training photos of a large class at most; None for all.
    """

    name: ClassVar[str] = "balance"
    family: ClassVar[str] = "balance"
    takes_views: ClassVar[bool] = True

    ratio: float = option(10.0, "Photos of a large class to one of a small class, at least 2.")
    most: int | None = option(
        None, "Training photos of a large class at most; those of a small one follow from it."
    )

    def protocol(self) -> dict[str, Any]:
        """See `Study.protocol`."""
        return {"ratio": self.ratio, "most": self.most}

    def trials(self, data: StudyData, settings: StudySettings) -> list[Trial]:
        """See `Study.trials`.

        Raises:
            ConfigError: a ratio below 2, or fewer than one photo.
            DatasetError: there are too few photos for the ratio, or a class without a test photo.
        """
        if not (math.isfinite(self.ratio) and self.ratio >= 2):
            raise ConfigError(f"{setting('ratio')} must be at least 2, not {self.ratio:g}")
        check_least(self, 1, "most")
        for seed in settings.seeds:
            self._thinning.sizes(data, seed)
            _check_test(data, seed)
        return [
            self._trial(condition, repeat, settings)
            for condition in _conditions(data, settings)
            for repeat in range(settings.repeats)
        ]

    @property
    def _thinning(self) -> Thinning:
        return Thinning(self.ratio, self.most)

    def _trial(self, condition: str, repeat: int, settings: StudySettings) -> Trial:
        balance = condition.removesuffix(_WITH_VIEWS)
        without = {} if _VIEWS in condition else {"views": 0}
        return Trial(condition, repeat, settings.config(repeat, balance=balance, **without))

    def perform(self, data: StudyData, trial: Trial, context: TrialContext) -> Mapping[str, Any]:
        """Thin the classes out, train, and fit the scores as `train` does."""
        config = trial.config
        part = self._thinning.apply(data.select(config), config.seed)
        if config.views == 0:
            part = replace(part, data=replace(part.data, views=None))
        trained = train_head(
            part.data,
            config,
            on_progress=context.on_progress,
            memory_limit=context.memory_limit,
            alone=False,
        )
        trained = with_fitted_scores(trained, part.data, config.seed)
        return HeadOutcome.of(part, trained).to_dict()

    def result(self, data: StudyData, settings: StudySettings, groups: Groups) -> StudyResult:
        """Macro F1 of each way to balance, and what it gains over two of them."""
        figures = {name: self._figures(data, records) for name, records in groups.items()}
        rows = [(name, *map(mean_of, values)) for name, values in figures.items()]
        macro = {name: values[0] for name, values in figures.items()}
        gains = {name: _gains(macro, name) for name in macro}
        tables = (
            StudyTable("balance", _COLUMNS, rows),
            StudyTable(
                "gain in macro F1, the same photos",
                ("balance", *(f"over {name}" for name in _AGAINST)),
                [(name, *gains[name]) for name in gains],
            ),
        )
        seed = settings.training.seed
        large, small = self._thinning.sizes(data, seed)
        n_small = len(self._thinning.small_classes(data, seed))
        headline = (
            f"{n_small} of {len(data.class_names)} classes with {small} training photos, the "
            f"others with {large} (median), {settings.repeats_told} with other classes and "
            "photos"
        )
        return StudyResult(
            self.name, headline, tables, (_chart(rows),), _notes(gains, data, settings)
        )

    def _figures(self, data: StudyData, records: Sequence[TrialRecord]) -> tuple[Values, ...]:
        """Of all, small, large, INT and EXT classes the mean F1 of each repeat."""
        by_repeat = []
        for record in records:
            result = HeadOutcome.from_dict(record.outcome).result(data)
            small = self._thinning.small_classes(data, int(record.config["seed"]))
            by_repeat.append(_macro_f1(result, set(small.tolist())))
        return tuple(zip(*by_repeat, strict=True))


def _macro_f1(result: EvalResult, small: set[int]) -> tuple[float | None, ...]:
    groups = [
        [row.f1 for row in result.classes if row.n_images],
        [row.f1 for row in result.classes if row.n_images and row.index in small],
        [row.f1 for row in result.classes if row.n_images and row.index not in small],
        *([row.f1 for row in result.classes if row.origin == origin] for origin in ("INT", "EXT")),
    ]
    known = [[value for value in group if value is not None] for group in groups]
    return tuple(float(np.mean(values)) if values else None for values in known)


def _check_test(data: StudyData, seed: int) -> None:
    part = data.split_by(seed)
    counts = np.bincount(part.data.labels[part.rows("test")], minlength=len(data.class_names))
    if not counts.all():
        without = data.class_names[int(counts.argmin())]
        raise DatasetError(
            "study balance measures each class on test photos, and there is none of "
            f"{without}: raise {setting('testing_percentage')}, or add photos"
        )


def _conditions(data: StudyData, settings: StudySettings) -> list[str]:
    """The ways to balance that these photos and this optimiser allow."""
    optimizer, has_views = settings.training.optimizer, data.data.views is not None
    found: list[str] = []
    for balance in BALANCES:
        adds = balance in ADDING
        if (
            (adds and optimizer in CLOSED)
            or (balance == "weights" and optimizer in AT_ONCE)  # there it is sampling
            or (balance == "smote" and find_spec("imblearn") is None)
            or (balance == _VIEWS and not has_views)
        ):
            continue
        found.append(balance)
    if has_views:
        found += [one + _WITH_VIEWS for one in _BESIDE_VIEWS if one in found]
    return found


def _gains(macro: Mapping[str, Values], name: str) -> tuple[Mean | None, ...]:
    """What is gained over each of two in the same repeats; None for itself."""
    gains = []
    for other in _AGAINST:
        pairs = zip(macro[name], macro[other], strict=True)
        differences = [a - b for a, b in pairs if a is not None and b is not None]
        gains.append(None if name == other else difference_of(differences))
    return tuple(gains)


def _notes(
    gains: Mapping[str, Sequence[Mean | None]], data: StudyData, settings: StudySettings
) -> tuple[str, ...]:
    notes = [
        "F1 of a class is of all its test photos, which are not thinned; INT and EXT are means of "
        "it; gains are differences between heads of the same repeat, and one in twenty of such "
        "intervals misses by chance",
        *_reading({name: gain for name, (_, gain) in gains.items()}),
    ]
    optimizer = settings.training.optimizer
    if optimizer in AT_ONCE:
        notes.append(f"weights is sampling where {optimizer} trains")
    if find_spec("imblearn") is None:
        notes.append("smote is left out: pip install 'retrain-cli[balance]'")
    if data.data.views is None and optimizer not in CLOSED:
        notes.append(
            "views are left out, for none was computed: `retrain bottlenecks --views 8` computes "
            "some"
        )
    return tuple(notes)


def _reading(gains: Mapping[str, Mean | None]) -> list[str]:
    """Which of the gains over balanced sampling are told from none; nothing with one repeat."""
    told: dict[str, list[str]] = {"above 0": [], "not told from 0": [], "below 0": []}
    for name, gain in gains.items():
        if gain is None or gain.low is None or gain.high is None:
            continue
        verdict = "above 0" if gain.low > 0 else "below 0" if gain.high < 0 else "not told from 0"
        told[verdict].append(name)
    parts = [f"{verdict}: {', '.join(names)}" for verdict, names in told.items() if names]
    if not parts:
        return []
    return [f"gains over balanced sampling, the default of `train`, are {'; '.join(parts)}"]


def _chart(rows: Sequence[Sequence[Any]]) -> Chart:
    """A place for each way to balance; small classes pay for none."""
    series = []
    for label, column in (("all classes", 1), ("small classes", 2), ("large classes", 3)):
        points = [(float(place), row[column]) for place, row in enumerate(rows)]
        series.append(series_of(label, [(place, mean) for place, mean in points if mean]))
    ticks = tuple((float(place), row[0]) for place, row in enumerate(rows))
    return Chart("", "balance", "F1, mean of the classes", tuple(series), ticks)
