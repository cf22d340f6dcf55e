"""Trials outlive the process that trained them, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrain_cli.errors import WorkspaceError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.studies.journal import TrialJournal
from retrain_cli.studies.trial import Trial, TrialRecord


def record(repeat: int) -> TrialRecord:
    trial = Trial("3 INT + 4 EXT", repeat, TrainingConfig(seed=repeat, classes=("añt", "bee")))
    return TrialRecord.of(trial, 1.5, {"hits": [[3, 4]], "top1": None})


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    with TrialJournal.open(tmp_path / "a" / "b", {"family": "x"}) as journal:
        journal.append(record(0))
        journal.append(record(1))
    with TrialJournal.open(tmp_path / "a" / "b", {"family": "x"}) as journal:
        assert list(journal.records.values()) == [record(0), record(1)]


def test_keys_tell_trials_apart() -> None:
    configs = [TrainingConfig(), TrainingConfig(seed=1), TrainingConfig(classes=("a", "b"))]
    trials = [Trial(name, r, c) for name in ("x", "y") for r in (0, 1) for c in configs]
    assert len({trial.key for trial in trials}) == len(trials)
    again = Trial("x", 0, TrainingConfig())
    assert again.key == trials[0].key


def test_a_torn_line_is_cut_off_and_the_next_trial_stands_alone(tmp_path: Path) -> None:
    with TrialJournal.open(tmp_path, {}) as journal:
        journal.append(record(0))
    path = tmp_path / "trials.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    with TrialJournal.open(tmp_path, {}) as journal:
        assert list(journal.records.values()) == [record(0)]
        journal.append(record(1))
    with TrialJournal.open(tmp_path, {}) as journal:
        assert list(journal.records.values()) == [record(0), record(1)]


def test_half_a_line_on_a_full_disk_does_not_spoil_the_next(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / "trials.jsonl"
    with TrialJournal.open(tmp_path, {}) as journal:
        journal.append(record(0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, unlimited[1]))
        try:  # Python ignores SIGXFSZ, so this looks like a full disk
            with pytest.raises(WorkspaceError):
                journal.append(record(1))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        journal.append(record(2))
    with TrialJournal.open(tmp_path, {}) as journal:
        assert list(journal.records.values()) == [record(0), record(2)]


@pytest.mark.parametrize("line", ["{not json}\n", '{"key": "1"}\n', "\xff\n"])
def test_a_damaged_journal_says_what_to_do(tmp_path: Path, line: str) -> None:
    (tmp_path / "trials.jsonl").write_bytes(line.encode("latin-1"))
    with pytest.raises(WorkspaceError, match="delete it"), TrialJournal.open(tmp_path, {}):
        pass


def test_two_at_a_time_are_refused(tmp_path: Path) -> None:
    with (
        TrialJournal.open(tmp_path, {}),
        pytest.raises(WorkspaceError, match="one command at a time"),
        TrialJournal.open(tmp_path, {}),
    ):
        pass
