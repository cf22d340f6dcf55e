"""What `retrain search` found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain_cli.heads.config import TrainingConfig
from retrain_cli.notebook.frames import frame
from retrain_cli.notebook.sheets import Cell, Grid, sheet
from retrain_cli.studies.search.axes import BACKBONE, TRAINED
from retrain_cli.studies.search.judging import RankedBy, rank_key
from retrain_cli.studies.search.spaces import SpaceName
from retrain_cli.workflows.summaries.training_summary import TrainingSummary

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class TriedSettings:
    """Settings that were tried.

    Attributes:
        number: their place in the order in which they were tried, from 1.
        backbone: name of the backbone, or of its cache where several are called so.
        fingerprint: names its cache.
        config: the settings as they would train in full.
        values: what they have of each axis; None of settings that do nothing beside the others.
        rung: the last round that they came to, from 1.
        steps: how long they trained in that; None where there are none.
        seconds: how long all their trainings took.
        outcome: `log_loss` and `top1` on the photos that judge, in that round; or `diverged`.
    """

    number: int
    backbone: str
    fingerprint: str
    config: TrainingConfig
    values: Mapping[str, Any]
    rung: int
    steps: int | None
    seconds: float
    outcome: Mapping[str, Any]

    @property
    def diverged(self) -> str | None:
        """Why training did not come to its end; None where it did."""
        return self.outcome.get("diverged")

    def place(self, by: RankedBy) -> tuple[Any, ...]:
        """What they are sorted by: later rounds first, then the figures, then their number."""
        if self.diverged is not None:
            return (1, -self.rung, (0.0, 0.0), self.number)
        return (0, -self.rung, rank_key(by, self.outcome), self.number)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "trial": self.number,
            "backbone": self.backbone,
            "fingerprint": self.fingerprint,
            "values": {name: _plain(value) for name, value in self.values.items()},
            "round": self.rung,
            "steps": self.steps,
            "log_loss": self.outcome.get("log_loss"),
            "top1": self.outcome.get("top1"),
            "diverged": self.diverged,
            "seconds": self.seconds,
            "settings": self.config.to_dict(),
        }


@dataclass(frozen=True)
class Round:
    """A round of a halving: how many settings trained, and for how many steps at most, if any."""

    trials: int
    steps: int | None


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search found.

    Attributes:
        tried: all settings, the best first.
        space: the ready space that was searched; None where all was named.
        axes: names of what was varied.
        rounds: one, or those of a halving.
        by: what the settings are ranked by.
        cv: number of folds that judged; None where the validation photos did.
        judged_by: how many photos judged.
        senseless: combinations that were left out because `train` would refuse them.
        alike: combinations that were left out because they are the same training as another.
        run: name of the run that the best became.
        training: how that was trained; None where the run was there already.
    """

    tried: Sequence[TriedSettings]
    space: SpaceName | None
    axes: tuple[str, ...]
    rounds: tuple[Round, ...]
    by: RankedBy
    cv: int | None
    judged_by: int
    senseless: int
    alike: int
    run: str
    training: TrainingSummary | None = None

    @property
    def best(self) -> TriedSettings:
        """The settings of the run."""
        return self.tried[0]

    @property
    def n_diverged(self) -> int:
        """How many did not come to the end of their training."""
        return sum(one.diverged is not None for one in self.tried)

    def to_frame(self) -> DataFrame:
        """A row for each of the settings, the best first, as a data frame of pandas.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        axes = [axis for axis in self.axes if axis != BACKBONE]
        columns = ("trial", "backbone", *axes, "round", TRAINED, "log_loss", "top1", "seconds")
        rows = [
            [
                one.number,
                one.backbone,
                *(one.values.get(axis) for axis in axes),
                one.rung,
                one.steps,
                one.outcome.get("log_loss"),
                one.outcome.get("top1"),
                one.seconds,
            ]
            for one in self.tried
        ]
        return frame(columns, rows)

    def _repr_html_(self) -> str:
        rows: list[list[Cell]] = [
            [
                one.number,
                one.backbone,
                *(str(one.values.get(axis, "")) for axis in self.axes),
                _log_loss(one),
                one.outcome.get("top1"),
            ]
            for one in self.tried
        ]
        columns = ("trial", "backbone", *self.axes, "log loss", "top-1")
        return sheet(
            f"search: run {self.run} is the best of {len(self.tried):,}",
            f"judged by {self.judged_by:,} photos, by {self.by}",
            Grid(columns, rows),
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "run": self.run,
            "ranked_by": self.by,
            "judged_by": "validation" if self.cv is None else f"{self.cv} folds",
            "judging_photos": self.judged_by,
            "space": self.space,
            "varied": list(self.axes),
            "rounds": [vars(one) for one in self.rounds],
            "left_out": {"senseless": self.senseless, "alike": self.alike},
            "diverged": self.n_diverged,
            "best": self.best.to_dict(),
            "trials": [one.to_dict() for one in self.tried],
        }


def _log_loss(tried: TriedSettings) -> str:
    value = tried.outcome.get("log_loss")
    return str(tried.diverged) if value is None else f"{value:.3f}"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
