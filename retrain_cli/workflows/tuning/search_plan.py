"""`retrain search --plan`: how many trainings there are, and about how long they take."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from retrain_cli import waiting
from retrain_cli.engine import load_keras, quiet_engine
from retrain_cli.heads.config import AT_ONCE
from retrain_cli.parallel import usable_processors
from retrain_cli.studies.journal import TrialJournal
from retrain_cli.studies.search.candidates import Candidate
from retrain_cli.studies.search.halving import Rung
from retrain_cli.studies.trial import TrialContext
from retrain_cli.workflows.tuning.search import SearchSession
from retrain_cli.workflows.tuning.search_request import SearchRequest
from retrain_cli.workflows.tuning.search_result import Round
from retrain_cli.workspace import Workspace

_STEPS = (20, 120)
"""Of the two trainings that tell what a start takes, and what a step."""
_SAMPLES = 3
_TOGETHER = 0.87
"""How much of its speed a training keeps where all cores have one; see `studies.runner`."""


@dataclass(frozen=True)
class SearchPlan:
    """What `retrain search` would do.

    Attributes:
        trials: settings to try.
        rounds: one, or those of a halving.
        trainings: in all rounds together, at most; with folds each is several.
        kept: how many of those of the first round are finished already.
        senseless: combinations left out because `train` would refuse them.
        alike: combinations left out because they are the same training as another.
        judged_by: photos that judge.
        cv: number of folds; None where the validation photos judge.
        workers: trainings at a time.
        seconds: about how long all of them take that are not finished.
    """

    trials: int
    rounds: tuple[Round, ...]
    trainings: int
    kept: int
    senseless: int
    alike: int
    judged_by: int
    cv: int | None
    workers: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def plan_search(request: SearchRequest, workspace: Workspace) -> SearchPlan:
    """Make the settings, and time a few short trainings; nothing is kept.

    Raises:
        RetrainError: as `search`.
    """
    session = SearchSession.open(request, workspace)
    found, first = session.candidates.found, session.rungs[0]
    journal = TrialJournal(session.folder(workspace), keeps=False)
    kept = [session.trial(one, first).key in journal.records for one in found]
    missing = [one for one, is_there in zip(found, kept, strict=True) if not is_there]
    with waiting.for_("timing a few short trainings"), quiet_engine():
        seconds = _seconds(session, missing)
    return SearchPlan(
        trials=len(found),
        rounds=session.rounds,
        trainings=sum(one.count for one in session.rungs),
        kept=sum(kept),
        senseless=session.candidates.senseless,
        alike=session.candidates.alike,
        judged_by=next(iter(session.data.values())).n_judging,
        cv=request.cv,
        workers=session.workers,
        seconds=seconds,
    )


def _seconds(session: SearchSession, missing: Sequence[Candidate]) -> float:
    """Of the trainings that are missing, later rounds taken as of average settings."""
    stepwise = [one for one in missing if one.config.optimizer not in AT_ONCE]
    at_once = [one for one in missing if one.config.optimizer in AT_ONCE]
    total = 0.0
    if stepwise:
        starts, steps = zip(*(_timed(session, one) for one in _some(stepwise)), strict=True)
        start, step = sum(starts) / len(starts), sum(steps) / len(steps)
        mean_steps = sum(one.config.steps for one in stepwise) / len(stepwise)
        share = len(stepwise) / len(session.candidates.found)
        for rung in session.rungs:
            total += share * rung.count * (start + step * mean_steps / rung.divisor)
    if at_once:
        one = at_once[len(at_once) // 2]
        total += len(at_once) * _judged(session, one, session.rungs[-1])
    at_a_time = min(session.workers, usable_processors(), max(1, len(missing)))
    return total / (1 if at_a_time == 1 else _TOGETHER * at_a_time)


def _some(found: Sequence[Candidate]) -> list[Candidate]:
    """A few from all over the list."""
    count = min(_SAMPLES, len(found))
    return [found[(2 * number + 1) * len(found) // (2 * count)] for number in range(count)]


def _timed(session: SearchSession, one: Candidate) -> tuple[float, float]:
    """Seconds that a training takes before its first step, and for a step."""
    few, more = (min(steps, one.config.steps) for steps in _STEPS)
    short, long = (
        _judged(session, replace(one, config=replace(one.config, steps=steps)), Rung(1, 1))
        for steps in (few, more)
    )
    if more == few:
        return 0.0, long / more
    step = max(0.0, long - short) / (more - few)
    return max(0.0, short - few * step), step


def _judged(session: SearchSession, one: Candidate, rung: Rung) -> float:
    trial = session.trial(one, rung)
    alone = session.workers == 1
    if trial.config.needs_engine and not alone:
        load_keras()
    started = time.perf_counter()
    session.perform(trial, TrialContext(lambda progress: None))
    return time.perf_counter() - started
