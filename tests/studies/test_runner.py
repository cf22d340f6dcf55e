"""What is finished stays finished; what is not is done, several at a time."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from helpers import LIMIT

from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.history import HistoryRow, TrainingProgress
from retrain_cli.studies import runner
from retrain_cli.studies.journal import TrialJournal
from retrain_cli.studies.runner import StudyProgress, default_workers, run_trials
from retrain_cli.studies.trial import Trial

TRIALS = [Trial("any", repeat, TrainingConfig(seed=repeat)) for repeat in range(6)]
PROGRESS = TrainingProgress(HistoryRow(1, 0.5, 0.5), 10, 1, None)


@pytest.fixture
def journal(tmp_path: Path) -> Any:
    with TrialJournal.open(tmp_path, {}) as journal:
        yield journal


def run(journal: Any, perform: Any, workers: Any = 2, trials: Any = TRIALS) -> Any:
    seen: list[StudyProgress] = []
    records = run_trials(trials, perform, journal, workers, seen.append)
    return records, seen


def test_every_trial_is_done_once(journal: Any) -> None:
    done = []

    def perform(trial: Any, context: Any) -> Any:
        done.append(trial.repeat)
        return {"repeat": trial.repeat}

    records, seen = run(journal, perform, trials=[*TRIALS, TRIALS[0]])
    assert sorted(done) == list(range(6))
    assert [records[trial.key].outcome["repeat"] for trial in TRIALS] == list(range(6))
    assert [(step.done, step.total, step.kept) for step in seen] == [(n, 6, 0) for n in range(7)]
    _, seen = run(journal, perform)
    assert len(done) == 6
    assert [(step.done, step.total, step.kept) for step in seen] == [(0, 0, 6)]


def test_two_workers_work_at_the_same_time(journal: Any) -> None:
    together = threading.Barrier(2, timeout=LIMIT)

    def perform(trial: Any, context: Any) -> Any:
        together.wait()  # a single worker would wait in vain
        return {}

    run(journal, perform)
    assert len(journal.records) == 6


@pytest.mark.parametrize(("optimizers", "loads"), [(["lbfgs", "ridge"], 0), (["lbfgs", "adam"], 1)])
def test_the_engine_is_loaded_for_trials_that_need_it(
    journal: Any, monkeypatch: pytest.MonkeyPatch, optimizers: Any, loads: int
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(runner, "load_keras", lambda: loaded.append("keras"))
    trials = [Trial("any", 0, TrainingConfig(optimizer=name)) for name in optimizers]
    run(journal, lambda trial, context: {}, trials=trials)
    assert len(loaded) == loads


def test_an_interruption_keeps_what_was_finished(journal: Any, tmp_path: Path) -> None:
    """Ctrl-C reaches the main thread; a trial at work ends at its next evaluation, unkept."""
    at_work = threading.Event()

    def perform(trial: Any, context: Any) -> Any:
        if trial.repeat:
            at_work.set()
            while True:
                context.on_progress(PROGRESS)
        at_work.wait(LIMIT)
        return {}

    def interrupt(progress: Any) -> None:
        if progress.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trials(TRIALS, perform, journal, 2, interrupt)
    assert [record.repeat for record in journal.records.values()] == [0]
    records, _ = run(journal, lambda trial, context: {})
    assert len(records) == 6


def test_an_error_ends_the_study_and_keeps_the_rest(journal: Any) -> None:
    def perform(trial: Any, context: Any) -> Any:
        if trial.repeat == 2:
            raise DatasetError("no such class")
        return {}

    with pytest.raises(DatasetError, match="no such class"):
        run(journal, perform, workers=1)
    assert [record.repeat for record in journal.records.values()][:2] == [0, 1]


def test_no_workers(journal: Any) -> None:
    assert default_workers() >= 1
    with pytest.raises(ConfigError, match="workers must be at least 1"):
        run(journal, lambda trial, context: {}, workers=0)
