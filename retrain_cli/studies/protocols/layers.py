"""`study layers`: at which layer, or at which few side by side, is a head best trained here?

The last layer sums up what ImageNet's classes need. Photos of another kind, from a microscope or of
single digits, are often told apart better by what the network knows before that. One forward pass
gives the pooled output of every block; heads are trained on each of them. Which are taken is chosen
by cross-validation on the training photos alone, so that the test photos judge the choice, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.errors import ConfigError, DatasetError, setting
from retrain_cli.heads.full_batch.layer_choice import (
    FOLDS,
    MOST_LAYERS,
    choose_layers,
)
from retrain_cli.heads.history import HistoryRow, TrainingProgress
from retrain_cli.reports.charts import Chart
from retrain_cli.runs.command_lines import comma_list
from retrain_cli.runs.shell import shell_line
from retrain_cli.studies.head_trial import HeadOutcome, train_and_count
from retrain_cli.studies.means import Mean, mean_of, mean_of_estimates, series_of
from retrain_cli.studies.study import (
    Cell,
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

_CHOICE = "choice"
_COLUMNS = ("layer", "numbers", "cross-validated", "top-1", "INT", "EXT")


@dataclass(frozen=True)
class LayersStudy(Study):
    """Heads on each block of the backbone, and on the best few side by side.

    One forward pass over the photos gives all of them; it is kept.
    `retrain bottlenecks --layer auto` chooses as this study does.

    Attributes:
        backbone: that of all blocks side by side.
        command: words of `retrain bottlenecks` for these photos and this backbone, without a layer.
        most: layers of a set.
    """

    name: ClassVar[str] = "layers"
    family: ClassVar[str] = "layers"

    backbone: BackboneSpec
    command: tuple[str, ...] = ()
    most: int = option(MOST_LAYERS, "The most layers that are taken side by side.")

    @property
    def vectors_of(self) -> BackboneSpec:
        """See `Study.vectors_of`."""
        return self.backbone

    def protocol(self) -> dict[str, Any]:
        """See `Study.protocol`."""
        return {"most": self.most}

    def trials(self, data: StudyData, settings: StudySettings) -> list[Trial]:
        """See `Study.trials`.

        Raises:
            ConfigError: sets of fewer than one layer.
            DatasetError: there are no test images.
        """
        if self.most < 1:
            raise ConfigError(f"{setting('most')} must be at least 1, not {self.most}")
        if not len(data.rows("test")):
            raise DatasetError(
                "a study needs test images and there are none: raise "
                f"{setting('testing_percentage')}, or put photos into the test folder"
            )
        conditions = [_CHOICE, *self.backbone.layers]
        return [trial for one in conditions for trial in repeated(settings, one)]

    def perform(self, data: StudyData, trial: Trial, context: TrialContext) -> Mapping[str, Any]:
        """Train on one layer; or choose, and train on the sets that were found."""
        if trial.condition != _CHOICE:
            place = self.backbone.layers.index(trial.condition)
            return train_and_count(data.of_layers((place,)), trial, context)
        part = data.select(trial.config)

        def heed() -> None:
            context.on_progress(TrainingProgress(HistoryRow(0, 0.0, 0.0), 0, 0, None))

        choice = choose_layers(
            part.data, data.data.layer_widths, trial.config.seed, self.most, heed
        )
        sets = {one.layers for one in (*choice.best, choice.taken) if len(one.layers) > 1}
        return {
            "single": [one.accuracy for one in choice.single],
            "best": [[list(one.layers), one.accuracy] for one in choice.best],
            "taken": list(choice.taken.layers),
            "accuracy": choice.taken.accuracy,
            "gain": list(choice.taken.gain_over(choice.last)),
            "judged": choice.n_judged,
            "heads": [
                [list(layers), train_and_count(data.of_layers(layers), trial, context)]
                for layers in sorted(sets)
            ],
        }

    def result(self, data: StudyData, settings: StudySettings, groups: Groups) -> StudyResult:
        """Each layer, the best sets, and what is taken."""
        choices = [record.outcome for record in groups[_CHOICE]]
        names = self.backbone.layers
        rows = [
            self._layer_row(place, name, data, groups[name], choices)
            for place, name in enumerate(names)
        ]
        table = [*rows]
        for number in range(len(choices[0]["best"])):
            table.append(_set_row(f"best {number + 2} side by side", data, choices, number))
        table.append(self._taken_row(data, groups, choices))
        main = StudyTable("layers", _COLUMNS, table)
        headline = (
            f"{len(names)} layers of {self.backbone.label().partition(' (')[0]}, "
            f"{choices[0]['judged']:,} training photos judge by cross-validation, "
            f"{settings.repeats_told}"
        )
        return StudyResult(
            self.name,
            headline,
            (main, self._takings(choices)),
            (_chart(names, rows),),
            self._notes(choices[0]),
            {"take": self._words(choices[0])},
        )

    def _layer_row(
        self,
        place: int,
        name: str,
        data: StudyData,
        records: Sequence[TrialRecord],
        choices: Sequence[Mapping[str, Any]],
    ) -> tuple[Cell, ...]:
        judged = mean_of([choice["single"][place] for choice in choices])
        outcomes = [record.outcome for record in records]
        is_last = name == self.backbone.layers[-1]
        shown = f"{name} (last)" if is_last else name
        return (shown, data.data.layer_widths[place], judged, *_tops(outcomes, data))

    def _taken_row(
        self, data: StudyData, groups: Groups, choices: Sequence[Mapping[str, Any]]
    ) -> tuple[Cell, ...]:
        """What each repeat takes by its training photos, judged by its test photos."""
        outcomes = []
        for repeat, choice in enumerate(choices):
            taken = choice["taken"]
            if len(taken) == 1:
                outcomes.append(groups[self.backbone.layers[taken[0]]][repeat].outcome)
            else:
                outcomes.append(_head_of(choice, taken))
        judged = mean_of([choice["accuracy"] for choice in choices])
        return ("taken", None, judged, *_tops(outcomes, data))

    def _takings(self, choices: Sequence[Mapping[str, Any]]) -> StudyTable:
        counts = Counter(self._text(choice["taken"]) for choice in choices)
        rows = [(text, count) for text, count in counts.most_common()]
        return StudyTable("taken", ("layers", "repeats"), rows)

    def _text(self, taken: Sequence[int]) -> str:
        return " + ".join(self.backbone.layers[place] for place in taken)

    def _notes(self, first: Mapping[str, Any]) -> tuple[str, ...]:
        gain, error = first["gain"]
        if first["taken"] == [len(self.backbone.layers) - 1]:
            choice = (
                "the last layer is kept: on the training photos of the first repeat no other gains "
                "more than two standard errors"
            )
        else:
            choice = (
                f"the first repeat, whose split is that of `train`, takes "
                f"{self._text(first['taken'])}: {100 * gain:+.1f} points over the last layer, "
                f"standard error {100 * error:.1f}"
            )
        return (
            f"cross-validated: ridge regression on {FOLDS} folds of the training photos; `taken` "
            "is chosen by that alone, and the last layer is left only for a gain beyond two "
            "standard errors; all other columns are of the test photos",
            choice,
            f"to take it: {shell_line(self._words(first))}",
        )

    def _words(self, first: Mapping[str, Any]) -> list[str]:
        taken = [self.backbone.layers[place] for place in first["taken"]]
        is_last = first["taken"] == [len(self.backbone.layers) - 1]
        layer = [] if is_last else ["--layer", comma_list(taken)]
        return [*self.command, *layer]


def _head_of(choice: Mapping[str, Any], layers: Sequence[int]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(
        outcome for own, outcome in choice["heads"] if own == list(layers)
    )
    return found


def _set_row(
    name: str, data: StudyData, choices: Sequence[Mapping[str, Any]], number: int
) -> tuple[Cell, ...]:
    """The best set of so many layers, which may be another one in each repeat."""
    best = [choice["best"][number] for choice in choices]
    outcomes = [_head_of(choice, layers) for choice, (layers, _) in zip(choices, best, strict=True)]
    return (name, None, mean_of([accuracy for _, accuracy in best]), *_tops(outcomes, data))


def _tops(outcomes: Sequence[Mapping[str, Any]], data: StudyData) -> list[Mean | None]:
    """Top-1 over all classes, the INT and the EXT classes."""
    tops = [HeadOutcome.from_dict(one).result(data).top[0] for one in outcomes]
    return [
        mean_of_estimates([top.macro for top in tops]),
        mean_of_estimates([top.int_macro for top in tops]),
        mean_of_estimates([top.ext_macro for top in tops]),
    ]


def _chart(names: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Chart:
    series = []
    for label, column in (("test photos", 3), ("cross-validated", 2)):
        points = [
            (float(place), mean)
            for place, row in enumerate(rows)
            if isinstance(mean := row[column], Mean)
        ]
        if points:
            series.append(series_of(label, points))
    ticks = tuple((float(place), name) for place, name in enumerate(names))
    return Chart("", "layer, from the input to the last", "top-1 accuracy", tuple(series), ticks)
