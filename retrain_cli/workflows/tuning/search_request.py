"""What `retrain search` is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from retrain_cli.checks import check_choices, check_least
from retrain_cli.errors import ConfigError, setting
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.studies.search.axes import (
    BACKBONE,
    EPOCHS,
    ONE_FOR_ALL,
    Axis,
    Span,
    read_axis,
    searchable,
)
from retrain_cli.studies.search.candidates import MOST_COMBINATIONS
from retrain_cli.studies.search.judging import RankedBy
from retrain_cli.studies.search.spaces import SPACES, USUAL_TRIALS, SpaceName


@dataclass(frozen=True)
class SearchRequest:
    """What to search, and how.

    Attributes:
        axes: what to try of each setting, by its name in `TrainingConfig`: an axis, or the text of
            one, such as "0.001,0.01" or "0.0001..0.1"; also `epochs`, in place of `steps`.
        space: a ready space, whose axes are added to those; usual where nothing is varied else.
        training: the settings that all trials have in common.
        backbone: names of the backbones to try; () for the one last used.
        random: how many settings to draw; None for a grid of all combinations.
        halving: whether to train all a little, and the best longer.
        factor: of a halving: the best 1 of so many goes on, for so many times as long.
        cv: number of folds that judge; None for the validation photos.
        by: what the settings are ranked by.
        workers: trials at a time; None for as many as there are cores.
        name: name of the run; None for one made of the time.
        note: what to remember about it, in one line.
    """

    axes: Mapping[str, Axis | str] = field(default_factory=dict)
    space: SpaceName | None = None
    training: TrainingConfig = field(default_factory=TrainingConfig)
    backbone: tuple[str, ...] = ()
    random: int | None = None
    halving: bool = False
    factor: int = 3
    cv: int | None = None
    by: RankedBy = "log-loss"
    workers: int | None = None
    name: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        check_choices(self)
        self.training.validate()
        check_least(self, 1, "random", "workers")
        check_least(self, 2, "factor", "cv")
        if (self.random or 0) > MOST_COMBINATIONS:
            raise ConfigError(
                f"{setting('random')} must be at most {MOST_COMBINATIONS:,}, not {self.random:,}"
            )
        for name in self.axes:
            _check_known(name)
        if {EPOCHS, "steps"} <= set(self.varied):
            raise ConfigError(
                f"{setting(EPOCHS)} and {setting('steps')} say the same in two ways: leave one out"
            )

    @property
    def ready_space(self) -> SpaceName | None:
        """The ready space that is searched: the usual one where nothing named is to be varied."""
        varies = len(self.backbone) > 1 or any(
            isinstance(axis, Span) or len(axis.values) > 1 for axis in self._own_axes.values()
        )
        return self.space if self.space is not None or varies else "usual"

    @property
    def _own_axes(self) -> dict[str, Axis]:
        return {
            name: read_axis(name, axis) if isinstance(axis, str) else axis
            for name, axis in self.axes.items()
        }

    @property
    def varied(self) -> dict[str, Axis]:
        """The axes of the request and of its space, in the order of the settings."""
        own = self._own_axes
        ready = SPACES[self.ready_space] if self.ready_space is not None else {}
        if "steps" in own:
            ready = {name: axis for name, axis in ready.items() if name != EPOCHS}
        whole = {**ready, **own}
        return {name: whole[name] for name in searchable() if name in whole}

    @property
    def n_random(self) -> int | None:
        """How many settings to draw; None for a grid."""
        is_usual = self.ready_space == "usual"
        return USUAL_TRIALS if self.random is None and is_usual else self.random


def _check_known(name: str) -> None:
    """Refuse what is no axis."""
    if name in searchable():
        return
    hint = f": set it in {setting('training')}" if name in ONE_FOR_ALL else ""
    hint = ": it is a setting of its own" if name == BACKBONE else hint
    raise ConfigError(f"a search varies {', '.join(searchable())}, not {name}{hint}")
