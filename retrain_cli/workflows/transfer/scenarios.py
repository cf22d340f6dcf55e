"""The four scenarios of transfer, and how often what they advise was the best.

A. Trivedi, "Deep Learning: Transfer learning and fine tuning of deep convolutional neural
networks": what to do depends on the size of the new dataset and its similarity to the original one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from retrain_cli.finetuning.tuning_config import FEW_A_CLASS


@dataclass(frozen=True)
class Scenario:
    """One of the four.

    Attributes:
        number: as in the paper.
        is_large: whether the new dataset is large.
        is_similar: whether it is like the original one.
        strategy: what the paper advises: top, earlier or all, as in `study strategies`.
        advice: that in words.
    """

    number: int
    is_large: bool
    is_similar: bool
    strategy: str
    advice: str

    @property
    def title(self) -> str:
        """Its two sides in words."""
        size = "many photos" if self.is_large else "few photos"
        return f"{size}, {'similar to' if self.is_similar else 'different from'} the original ones"


SCENARIOS = (
    Scenario(1, False, True, "top", "train a head on the top of the network"),
    Scenario(2, True, True, "all", "fine-tune the whole network"),
    Scenario(3, False, False, "earlier", "train a head on an earlier layer of the network"),
    Scenario(4, True, False, "all", "fine-tune the whole network"),
)


def is_large(photos_a_class: float) -> bool:
    """Whether so many training photos a class are many: `finetune` takes its full rate then."""
    return photos_a_class >= FEW_A_CLASS


def scenario_of(*, large: bool, similar: bool) -> Scenario:
    """The one of the four."""
    return next(one for one in SCENARIOS if (one.is_large, one.is_similar) == (large, similar))


class AdviceRecord(NamedTuple):
    """How the advice did in `study strategies`, see docs/study.md.

    Attributes:
        cases: sets and sizes that it was held against.
        won: where the advised strategy was the best.
        level: where it was not the best, and the interval of the difference holds 0.
        most_photos: training photos a class at most; advice for more was not held against anything.
    """

    cases: int
    won: int
    level: int
    most_photos: int

    @property
    def lost(self) -> int:
        """Where another strategy was better beyond the interval."""
        return self.cases - self.won - self.level


ADVICE_RECORD = AdviceRecord(cases=11, won=5, level=4, most_photos=40)
