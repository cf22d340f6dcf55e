"""What every study is: trials to train, and a result of tables and a chart to make of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.checks import check_least
from retrain_cli.errors import ConfigError, setting
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.notebook import sheets
from retrain_cli.notebook.frames import frame
from retrain_cli.notebook.sheets import Grid, sheet
from retrain_cli.reports.charts import Chart, TreeChart
from retrain_cli.studies.head_trial import HeadOutcome, train_and_count
from retrain_cli.studies.means import Mean, interval_name
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import Trial, TrialContext, TrialRecord

if TYPE_CHECKING:
    from pandas import DataFrame

Cell = str | int | float | Mean | None
"""A float or mean is a share (see `StudyTable.percent`), an int a count; None is not defined."""

MOST_REPEATS = 10_000

Groups = Mapping[str, Sequence[TrialRecord]]
"""The records of each condition, in the order of the repeats."""


@dataclass(frozen=True)
class StudyTable:
    """A table of a result.

    Attributes:
        name: what it shows, in a few words; also its key in JSON.
        columns: names of the columns.
        rows: a cell for each column.
        percent: whether floats and means are shares; else they are plain numbers.
    """

    name: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    percent: bool = True


@dataclass(frozen=True)
class StudyResult:
    """What came out of a study, ready to be shown in any form.

    Attributes:
        study: name of the study.
        headline: what was done, in a line.
        tables: the first is the main one, which `--csv` prints.
        notes: what the reader needs to know, in sentences.
        charts: the figure's panels, side by side.
        figures: more figures for `--json`, as JSON values.
        varies_test: whether each repeat had other test photos; says what the intervals hold.
    """

    study: str
    headline: str
    tables: tuple[StudyTable, ...]
    charts: tuple[Chart | TreeChart, ...]
    notes: tuple[str, ...] = ()
    figures: Mapping[str, Any] | None = None
    varies_test: bool = False

    @property
    def has_intervals(self) -> bool:
        """Whether any cell is a mean with an interval."""
        cells = (cell for table in self.tables for row in table.rows for cell in row)
        return any(isinstance(cell, Mean) and cell.low is not None for cell in cells)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "study": self.study,
            "headline": self.headline,
            "notes": list(self.notes),
            **({"interval": interval_name(self.varies_test)} if self.has_intervals else {}),
            **{table.name.replace(" ", "_"): _rows(table) for table in self.tables},
            **(self.figures or {}),
        }

    def to_frame(self, table: str | None = None) -> DataFrame:
        """A table as a data frame of pandas; a mean has two more columns for its interval.

        Args:
            table: its name; None for the main one.

        Raises:
            ConfigError: the study has no table of that name.
            MissingExtraError: pandas is not installed.
        """
        chosen = {one.name: one for one in self.tables}
        name = self.tables[0].name if table is None else table
        if name not in chosen:
            raise ConfigError(f"study {self.study} has the tables {', '.join(chosen)}, not {name}")
        columns: list[str] = []
        values: list[list[Any]] = []
        for column, cells in zip(
            chosen[name].columns, zip(*chosen[name].rows, strict=True), strict=False
        ):
            if not any(isinstance(cell, Mean) for cell in cells):
                columns.append(column)
                values.append(list(cells))
                continue
            columns += [column, f"{column} low", f"{column} high"]
            values += [[_end(cell, end) for cell in cells] for end in ("value", "low", "high")]
        return frame(columns or chosen[name].columns, list(zip(*values, strict=True)))

    def _repr_html_(self) -> str:
        return sheet(
            f"study {self.study}",
            self.headline,
            *(
                Grid(
                    table.columns,
                    [[_shown(cell, table.percent) for cell in row] for row in table.rows],
                    table.name,
                )
                for table in self.tables
            ),
            *self.notes,
            f"± is the {interval_name(self.varies_test)}" if self.has_intervals else "",
        )


def _end(cell: Cell, end: str) -> Any:
    """A mean, or an end of its interval; a plain cell is its own value, without an interval."""
    if isinstance(cell, Mean):
        return getattr(cell, end)
    return cell if end == "value" else None


def _shown(cell: Cell, percent: bool) -> sheets.Cell:
    """A cell of a notebook's table."""
    if isinstance(cell, Mean):
        half = cell.half_width
        scale, sign = (100, "%") if percent else (1, "")
        spread = "" if half is None else f" ± {scale * half:.1f}"
        return f"{scale * cell.value:.1f}{sign}{spread}"
    return f"{cell:.1f}" if isinstance(cell, float) and not percent else cell


def _rows(table: StudyTable) -> list[dict[str, Any]]:
    return [
        {
            column: cell.to_dict() if isinstance(cell, Mean) else cell
            for column, cell in zip(table.columns, row, strict=True)
        }
        for row in table.rows
    ]


def option(default: Any, meaning: str) -> Any:
    """A field of a study that `retrain study NAME` has an option for.

    Args:
        default: its value where the option is not given; also of `rt.NameStudy()`.
        meaning: the option's help, one or two sentences.
    """
    return field(default=default, metadata={"meaning": meaning})


class Study(ABC):
    """A study; what it varies stands in its own frozen fields, each made by `option`.

    The docstring of a study, up to its attributes, is the help of `retrain study NAME`. A field
    that is not made by `option` comes from the workspace; `workflows/study.py` fills it.
    """

    name: ClassVar[str]
    """As in `retrain study NAME`."""

    figure: ClassVar[float] = float("inf")
    """The figure of the paper that it repeats; lists of studies are in this order."""

    family: ClassVar[str]
    """Studies of one family share their trials: what one has trained the other does not repeat."""

    takes_views: ClassVar[bool] = False
    """Whether trials train on the distorted views of `bottlenecks --views`, where there are any."""

    most_workers: ClassVar[int | None] = None
    """Trials at a time at most; 1 where trials are timed."""

    is_of_one_backbone: ClassVar[bool] = True
    """Whether its trials depend on the backbone last used; False for one that names its own."""

    trains_heads: ClassVar[bool] = True
    """Whether the settings of heads are its protocol; False for one that trains networks."""

    settings_kind: ClassVar[type[StudySettings] | None] = None
    """Its settings, where they have defaults of their own; None for the usual ones."""

    @property
    def vectors_of(self) -> BackboneSpec | None:
        """The backbone whose vectors it looks at; None for the one last used."""
        return None

    @property
    def compares(self) -> tuple[BackboneSpec, ...]:
        """The backbones that it compares; their vectors are computed before it is run."""
        return ()

    def with_vectors(self, vectors: Any) -> Study:
        """The same study, told where the vectors of `compares` come from."""
        return self

    def protocol(self) -> dict[str, Any]:
        """What its trials depend on beside their own settings, as JSON values."""
        return {}

    @abstractmethod
    def trials(self, data: StudyData, settings: StudySettings) -> list[Trial]:
        """All trials, condition after condition.

        Raises:
            RetrainError: this dataset does not allow the study.
        """

    def perform(self, data: StudyData, trial: Trial, context: TrialContext) -> Mapping[str, Any]:
        """Train and measure one trial; called from several threads at a time."""
        return train_and_count(data, trial, context)

    @abstractmethod
    def result(self, data: StudyData, settings: StudySettings, groups: Groups) -> StudyResult:
        """Make tables and charts of the finished trials."""


def repeated(settings: StudySettings, condition: str, **changes: Any) -> list[Trial]:
    """The trials of one condition.

    Args:
        settings: how many repeats, and the protocol.
        condition: its name.
        changes: what it changes of the protocol.
    """
    return [
        Trial(condition, repeat, settings.config(repeat, **changes))
        for repeat in range(settings.repeats)
    ]


def results_of(records: Sequence[TrialRecord], data: StudyData) -> list[EvalResult]:
    """The evaluations of usual trials."""
    return [HeadOutcome.from_dict(record.outcome).result(data) for record in records]


@dataclass(frozen=True)
class StudySettings:
    """Repeats and training protocol.

    Attributes:
        repeats: how often each condition is trained; repeat i has the seed `training.seed + i`.
        training: the protocol of each head; the defaults are those of the paper.
        same_split: keep the split of `train` in all repeats; else each draws its own by its seed.
    """

    repeats: int = 5
    training: TrainingConfig = field(default_factory=TrainingConfig)
    same_split: bool = False

    def validate(self) -> StudySettings:
        """Return self.

        Raises:
            ConfigError: a setting cannot work.
        """
        check_least(self, 1, "repeats")
        if self.repeats > MOST_REPEATS:
            raise ConfigError(
                f"{setting('repeats')} must be at most {MOST_REPEATS:,}, not {self.repeats:,}"
            )
        self.training.validate()
        return self

    @property
    def repeats_told(self) -> str:
        """How many repeats there are, in words."""
        return f"{self.repeats} repeat{'s' * (self.repeats != 1)}"

    @property
    def seeds(self) -> range:
        """The seed of each repeat."""
        return range(self.training.seed, self.training.seed + self.repeats)

    def config(self, repeat: int, **changes: Any) -> TrainingConfig:
        """The settings of one repeat.

        Args:
            repeat: its number, from 0.
            changes: what its condition changes of the protocol.
        """
        return replace(self.training, seed=self.seeds[repeat], **changes)


@dataclass(frozen=True)
class NetworkStudySettings(StudySettings):
    """The same for studies that train networks by a protocol of their own.

    Attributes:
        repeats: ten, as the paper on source and target has it.
    """

    repeats: int = 10
