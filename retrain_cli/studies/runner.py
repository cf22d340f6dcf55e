"""Trains the trials of a study that are not there yet, several at a time, and keeps each one.

Trials run in threads of one process. A softmax layer is too small to keep more than one core busy,
and the engine lets go of Python while it computes: two threads on two cores did 5,000 steps of 40
classes x 1280 in 57% of the time of one (measured; three gain nothing more). Processes would
each import the engine and read the cache; heads stacked in one product gain nothing, for one head
alone computes at the speed of its core already.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from retrain_cli import interrupts
from retrain_cli.engine import load_keras
from retrain_cli.errors import ConfigError, setting
from retrain_cli.heads.history import TrainingProgress
from retrain_cli.heads.memory import available_memory
from retrain_cli.studies.journal import TrialJournal
from retrain_cli.studies.trial import Trial, TrialContext, TrialRecord

Perform = Callable[[Trial, TrialContext], Mapping[str, Any]]


@dataclass(frozen=True)
class StudyProgress:
    """Told at the start and after each trial.

    Attributes:
        done: trials finished by this command.
        total: trials that this command has to do.
        kept: trials that were finished before.
        condition: condition of the trial that was just finished; empty at the start.
    """

    done: int
    total: int
    kept: int
    condition: str = ""


StudyListener = Callable[[StudyProgress], None]


class _InterruptedError(Exception):
    """Ends a trial whose study was interrupted."""


def default_workers() -> int:
    """How many trials run at a time where nobody says: one for each core we may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_trials(
    trials: Sequence[Trial],
    perform: Perform,
    journal: TrialJournal,
    workers: int | None,
    on_progress: StudyListener,
    *,
    with_engine: bool = True,
) -> dict[str, TrialRecord]:
    """Train what the journal does not have; the records of all trials by their key.

    Args:
        trials: all trials of the study.
        perform: trains one of them and measures it; called from several threads.
        journal: where finished trials are, and where new ones go.
        workers: trials at a time; None for as many as there are cores.
        on_progress: is told, in this thread, of every trial that was finished.
        with_engine: whether to load the engine first, for trials that may need it; where one
            trains at a time, each may do without or load it itself.

    Raises:
        Interruption: Ctrl-C; every trial that was finished is kept, and it says how many.
        ConfigError: fewer than one worker.
    """
    if workers is not None and workers < 1:
        raise ConfigError(f"{setting('workers')} must be at least 1, not {workers}")
    distinct = {trial.key: trial for trial in trials}
    pending = [trial for key, trial in distinct.items() if key not in journal.records]
    kept = len(distinct) - len(pending)
    on_progress(StudyProgress(0, len(pending), kept))
    if pending:

        def tell(done: int, condition: str) -> None:
            on_progress(StudyProgress(done, len(pending), kept, condition))

        with interrupts.keeping(lambda: _finished(distinct, journal)):
            if with_engine and any(trial.config.needs_engine for trial in pending):
                load_keras()  # here: its import is not for several threads at a time
            crew = _Crew(perform, journal, min(workers or default_workers(), len(pending)))
            crew.work(pending, tell)
    return {key: journal.records[key] for key in distinct}


def _finished(trials: Mapping[str, Trial], journal: TrialJournal) -> str:
    kept = len(trials.keys() & journal.records.keys())
    return (
        f"{kept} of {len(trials)} trials are finished and kept: the same command goes on with the "
        "others"
    )


class _Crew:
    """The threads of a study."""

    def __init__(self, perform: Perform, journal: TrialJournal, workers: int) -> None:
        self._perform, self._journal, self._workers = perform, journal, workers
        self._stop = threading.Event()
        limit = available_memory() // (2 * workers)
        self._context = TrialContext(self._look_up, limit)

    def work(self, pending: Sequence[Trial], tell: Callable[[int, str], None]) -> None:
        """Do the trials, in any order, and tell of each how many are done and its condition."""
        with ThreadPoolExecutor(self._workers, "trial") as pool:
            try:
                futures = [pool.submit(self._one, trial) for trial in pending]
                for done, future in enumerate(as_completed(futures), start=1):
                    tell(done, future.result().condition)
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _one(self, trial: Trial) -> TrialRecord:
        if self._stop.is_set():
            raise _InterruptedError
        started = time.perf_counter()
        outcome = self._perform(trial, self._context)
        record = TrialRecord.of(trial, time.perf_counter() - started, outcome)
        self._journal.append(record)
        return record

    def _look_up(self, progress: TrainingProgress) -> None:
        if self._stop.is_set():
            raise _InterruptedError
