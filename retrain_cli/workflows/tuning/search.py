"""`retrain search`: many settings tried on cached bottlenecks, the best of them kept as a run.

Test photos are not looked at: their labels are taken away before anything is trained.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from retrain_cli.errors import RunError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.notebook.bars import Done, NotebookBar
from retrain_cli.runs.making import Searched, Trained
from retrain_cli.runs.run import RunStore
from retrain_cli.studies.journal import TrialJournal
from retrain_cli.studies.runner import StudyProgress, default_workers, run_trials
from retrain_cli.studies.search.axes import BACKBONE, Choices
from retrain_cli.studies.search.candidates import (
    BackboneFacts,
    Candidate,
    Candidates,
    candidates,
    idle_settings,
)
from retrain_cli.studies.search.halving import Rung, whole_trainings
from retrain_cli.studies.search.judging import RankedBy, SearchData, rank_key
from retrain_cli.studies.trial import Trial, TrialContext, TrialRecord, digest_of
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.shared.training_set import load_training_set
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workflows.tuning.search_backbones import find_backbones
from retrain_cli.workflows.tuning.search_request import SearchRequest
from retrain_cli.workflows.tuning.search_result import Round, SearchResult, TriedSettings
from retrain_cli.workspace import Workspace


@dataclass(frozen=True)
class SearchProgress:
    """Told at the start of each round and after each trial.

    Attributes:
        rung: the round, from 1.
        n_rungs: how many there are.
        trials: how many of this round are finished, to do, and were finished before.
        best: the best outcome of the round so far; None where there is none.
    """

    rung: int
    n_rungs: int
    trials: StudyProgress
    best: Mapping[str, Any] | None


SearchListener = Callable[[SearchProgress], None]

_BAR: NotebookBar[SearchProgress] = NotebookBar(
    "search",
    lambda made: Done(made.trials.done, made.trials.total, f"round {made.rung} of {made.n_rungs}"),
)


@dataclass(frozen=True, eq=False)
class SearchSession:
    """A search before it begins: what there is to try, and what to try it on.

    Attributes:
        request: what was asked for.
        used: dataset and backbone of each fingerprint.
        data: what is trained on, by the fingerprint of the backbone.
        candidates: the settings.
        rungs: the rounds.
    """

    request: SearchRequest
    used: Mapping[str, LastUsed]
    data: Mapping[str, SearchData]
    candidates: Candidates
    rungs: Sequence[Rung]

    @classmethod
    def open(cls, request: SearchRequest, workspace: Workspace) -> SearchSession:
        """Read the bottlenecks, and make the settings.

        Raises:
            RetrainError: no bottlenecks, nothing to judge by, or no settings that make sense.
        """
        used = {one.fingerprint: one for one in find_backbones(request.backbone, workspace)}
        data = {name: _load(request, one, workspace) for name, one in used.items()}
        facts = {
            name: BackboneFacts(len(data[name].data.training), one.views)
            for name, one in used.items()
        }
        found = candidates(request.varied, request.training, facts, request.n_random)
        rungs = whole_trainings(found.found, halving=request.halving, factor=request.factor)
        return cls(request, used, data, found, rungs)

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of what is varied."""
        names = tuple(self.request.varied)
        return (BACKBONE, *names) if len(self.used) > 1 else names

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The rounds for people."""
        steps = (one.config.steps for one in self.candidates.found if _has_steps(one))
        in_full = max(steps, default=0)
        return tuple(
            Round(one.count, max(1, in_full // one.divisor) if in_full else None)
            for one in self.rungs
        )

    @property
    def names(self) -> dict[str, str]:
        """What each backbone is called: by its cache where several have its name."""
        names = [one.backbone.name for one in self.used.values()]
        return {
            fingerprint: one.backbone.name
            if names.count(one.backbone.name) == 1
            else f"{one.backbone.name}-{fingerprint}"
            for fingerprint, one in self.used.items()
        }

    @property
    def about(self) -> dict[str, Any]:
        """What the trials of a journal have in common."""
        data = next(iter(self.data.values()))  # all backbones have seen the same photos
        return {
            "version": 1,
            "family": "search",
            "cv": self.request.cv,
            "data": data.fingerprint,
        }

    def trial(self, one: Candidate, rung: Rung) -> Trial:
        """The training of some settings in a round."""
        views = self.used[one.backbone].distortion if one.config.views else ""
        return Trial(f"{one.backbone} {views}".strip(), 0, rung.config(one.config))

    @property
    def first_trials(self) -> list[Trial]:
        """The trainings of the first round."""
        return [self.trial(one, self.rungs[0]) for one in self.candidates.found]

    def folder(self, workspace: Workspace) -> Path:
        """Where the trials are kept."""
        return workspace.studies_dir / f"search-{digest_of(self.about)}"

    @property
    def workers(self) -> int:
        """How many trials train at a time."""
        return self.request.workers or default_workers()

    def perform(self, trial: Trial, context: TrialContext) -> dict[str, Any]:
        """Train and judge; called from several threads."""
        data = self.data[trial.condition.split(" ")[0]]
        return data.judge(trial.config, context, alone=self.workers == 1)


def _has_steps(one: Candidate) -> bool:
    return "steps" not in idle_settings(one.config)


def _load(request: SearchRequest, used: LastUsed, workspace: Workspace) -> SearchData:
    """The bottlenecks of a backbone, with as many views as any trial takes."""
    axis = request.varied.get("views")
    most = max(axis.values) if isinstance(axis, Choices) else getattr(axis, "high", None)
    config = replace(request.training, views=most)
    loaded = load_training_set(workspace, config, with_views=True, used=used)
    return SearchData.make(loaded.data, loaded.images, loaded.items, request.cv)


def search(
    request: SearchRequest,
    workspace: Workspace,
    on_progress: SearchListener = _BAR,
    on_best: Callable[[], None] = lambda: None,
) -> SearchResult:
    """Try the settings, and keep the best as a run; what was tried before is not tried again.

    Args:
        request: what to try.
        workspace: where bottlenecks are, and where trials and the run are kept.
        on_progress: is told of each trial that was finished.
        on_best: is told when the best is trained as a run.

    Raises:
        RetrainError: no bottlenecks, nothing to judge by, a setting that cannot work, or a name
            that is taken.
        KeyboardInterrupt: Ctrl-C; the next call goes on with what is missing.
    """
    store = RunStore(workspace.runs_dir)
    store.check_new(request.name)
    session = SearchSession.open(request, workspace)
    with TrialJournal.open(session.folder(workspace), session.about) as journal:
        if any(trial.key not in journal.records for trial in session.first_trials):
            with store.create(request.name):
                pass  # what cannot be kept as a run is told before hours of work, not after
        tried = _all_rungs(session, journal, on_progress)
    tried.sort(key=lambda one: one.place(request.by))
    if tried[0].diverged is not None:
        raise RunError(
            f"none of {len(tried):,} trials came to its end; the first says: {tried[0].diverged}"
        )
    on_best()
    result = _result(session, tried)
    return _with_run(session, result, workspace)


def _all_rungs(
    session: SearchSession, journal: TrialJournal, on_progress: SearchListener
) -> list[TriedSettings]:
    """Train round after round; what became of each settings in the last one that it came to."""
    found = session.candidates.found
    tried: dict[int, TriedSettings] = {}
    left = list(enumerate(found, start=1))
    for number, rung in enumerate(session.rungs, start=1):
        trials = [session.trial(one, rung) for _, one in left]
        records = _one_rung(session, trials, number, journal, on_progress)
        told = [
            _tried(session, (place, one), number, records[trial.key], tried.get(place))
            for (place, one), trial in zip(left, trials, strict=True)
        ]
        told.sort(key=lambda one: one.place(session.request.by))
        tried |= {one.number: one for one in told}
        going_on = session.rungs[number].count if number < len(session.rungs) else 0
        best = [one.number for one in told if one.diverged is None][:going_on]
        left = [(place, found[place - 1]) for place in best]
        if not left:
            break
    return list(tried.values())


def _tried(
    session: SearchSession,
    numbered: tuple[int, Candidate],
    rung: int,
    record: TrialRecord,
    before: TriedSettings | None,
) -> TriedSettings:
    """What became of some settings in a round; `before` is the same of the round before."""
    place, one = numbered
    seconds = record.seconds + (before.seconds if before else 0.0)
    name = session.names[one.backbone]
    values = {axis: name if axis == BACKBONE else one.values.get(axis) for axis in session.axes}
    steps = int(record.config["steps"]) if _has_steps(one) else None
    return TriedSettings(
        place, name, one.backbone, one.config, values, rung, steps, seconds, record.outcome
    )


def _one_rung(
    session: SearchSession,
    trials: Sequence[Trial],
    number: int,
    journal: TrialJournal,
    on_progress: SearchListener,
) -> dict[str, TrialRecord]:
    best = _Best(session.request.by)

    def perform(trial: Trial, context: TrialContext) -> dict[str, Any]:
        outcome = session.perform(trial, context)
        best.take(outcome)
        return outcome

    for trial in trials:
        if trial.key in journal.records:
            best.take(journal.records[trial.key].outcome)

    def tell(progress: StudyProgress) -> None:
        on_progress(SearchProgress(number, len(session.rungs), progress, best.outcome))

    workers = session.request.workers
    return run_trials(trials, perform, journal, workers, tell, with_engine=session.workers > 1)


class _Best:
    """The best outcome so far; safe between threads."""

    def __init__(self, by: RankedBy) -> None:
        self._by = by
        self._lock = threading.Lock()
        self.outcome: Mapping[str, Any] | None = None

    def take(self, outcome: Mapping[str, Any]) -> None:
        if "diverged" in outcome:
            return
        with self._lock:
            if self.outcome is None or rank_key(self._by, outcome) < rank_key(
                self._by, self.outcome
            ):
                self.outcome = outcome


def _result(session: SearchSession, tried: Sequence[TriedSettings]) -> SearchResult:
    request, found = session.request, session.candidates
    return SearchResult(
        tried=tried,
        space=request.ready_space,
        axes=session.axes,
        rounds=session.rounds,
        by=request.by,
        cv=request.cv,
        judged_by=next(iter(session.data.values())).n_judging,
        senseless=found.senseless,
        alike=found.alike,
        run="",
    )


def _with_run(session: SearchSession, result: SearchResult, workspace: Workspace) -> SearchResult:
    """The best trained as `train` does it; the run of an equal search is taken again."""
    request, best = session.request, result.best
    searched = Searched(
        len(result.tried),
        request.by,
        request.cv,
        best.outcome["log_loss"],
        best.outcome["top1"],
        session.about["data"],
    )
    used = session.used[best.fingerprint]
    if request.name is None and not request.note:
        there = _run_of(searched, best.config, best.fingerprint, workspace)
        if there is not None:
            return replace(result, run=there)
    training = TrainRequest(best.config, request.name, request.note)
    summary = train_run(training, workspace, used=used, search=searched)
    return replace(result, run=summary.run.name, training=summary)


def _run_of(
    searched: Searched, config: TrainingConfig, fingerprint: str, workspace: Workspace
) -> str | None:
    """The run that the same search made before."""
    wanted = replace(config, views=config.views or 0)
    for run in RunStore(workspace.runs_dir).readable():
        made = run.provenance.made
        if not isinstance(made, Trained) or made.search != searched or made.stopped_at is not None:
            continue
        is_equal = replace(run.config, views=run.config.views or 0) == wanted
        if is_equal and run.info.cache == fingerprint:
            return run.name
    return None
