"""Successive halving: all settings train a little, the best third of them three times as long.

K. Jamieson and A. Talwalkar, AISTATS 2016; L. Li et al., JMLR 18 (2018). The budget is optimiser
steps, and the factor is 3 where nothing else is said. As in scikit-learn's `HalvingGridSearchCV`
with `min_resources="exhaust"`, the last rung trains in full, and there are as many rungs before it
as it takes until at most `factor` settings are left, unless the first would train for less than
`LEAST_STEPS` steps. A setting that stays is trained anew in each rung, so what is chosen in the end
is exactly what `train` makes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from retrain_cli.heads.config import AT_ONCE, TrainingConfig
from retrain_cli.studies.search.candidates import Candidate

LEAST_STEPS: Final = 100
"""Below so many, heads have hardly begun: their order says little of what they come to."""


@dataclass(frozen=True)
class Rung:
    """One round of a halving.

    Attributes:
        count: how many settings train in it.
        divisor: they train for so many times fewer steps than in full.
    """

    count: int
    divisor: int

    def config(self, config: TrainingConfig) -> TrainingConfig:
        """The settings as they are trained in this rung.

        What works on all photos at once has no budget of steps, and trains in full.
        """
        if config.optimizer in AT_ONCE or self.divisor == 1:
            return config
        return replace(config, steps=max(1, config.steps // self.divisor))


def plan_rungs(count: int, steps: int, factor: int = 3, least: int = LEAST_STEPS) -> list[Rung]:
    """The rounds for so many settings, the shortest first.

    Args:
        count: number of settings, at least 1.
        steps: of a whole training.
        factor: how many times as long the next round trains, and how many times fewer settings.
        least: steps of the first round, at least.
    """
    longer = 0  # how often the steps can be divided, and have to be
    while factor ** (longer + 1) <= min(count, steps // max(1, least)):
        longer += 1
    rungs = []
    for number in range(longer, -1, -1):
        rungs.append(Rung(count, factor**number))
        count = -(-count // factor)
    return rungs


def whole_trainings(candidates: Sequence[Candidate], *, halving: bool, factor: int) -> list[Rung]:
    """The rounds of a search: one in which all train in full, or those of a halving."""
    if not halving:
        return [Rung(len(candidates), 1)]
    stepwise = [one.config.steps for one in candidates if one.config.optimizer not in AT_ONCE]
    return plan_rungs(len(candidates), min(stepwise, default=1), factor)
