"""A run or a state file that was changed anywhere ends in one clear line, and breaks nothing else.

`RETRAIN_MUTATIONS=2000 python -m pytest tests/runs/test_mutated_runs.py` tries more of them.
"""

from __future__ import annotations

import errno
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT
from helpers import PROJECT
from mutated_files import mutate

from retrain_cli.errors import RetrainError, RunError, WorkspaceError
from retrain_cli.runs.run import Run, RunStore, write_note
from retrain_cli.runs.run_digests import DIGESTS_FILE, RunDigests, write_digests
from retrain_cli.runs.verifying import verify_run
from retrain_cli.workflows.report import ReportRequest, make_report
from retrain_cli.workspace import Workspace

BEFORE = PROJECT / "tests" / "data" / "version_before"
NAMES = sorted(path.name for path in (BEFORE / "runs").iterdir())
TRIED = int(os.environ.get("RETRAIN_MUTATIONS", "60"))
GOOD_ENDS = (0, 2, 3)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    shutil.copytree(BEFORE / "workspace" / "state", tmp_path / "workspace")
    shutil.copytree(BEFORE / "runs", tmp_path / "workspace" / "runs")
    return Workspace(tmp_path / "workspace")


def type_in(workspace: Workspace, *words: str) -> int:
    """The exit code of a command."""
    try:
        ROOT(args=["--workspace", str(workspace.root), *words], standalone_mode=False)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def restored(path: Path, content: bytes) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def ends_of(
    workspace: Workspace, path: Path, seed: int, commands: list[tuple[str, ...]]
) -> list[str]:
    """The commands that do not end well after one mutation, which is undone."""
    content = path.read_bytes()
    said = mutate(path, seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ends = {words: type_in(workspace, *words) for words in commands}
    finally:
        restored(path, content)
    told = f"{path.parent.name}/{path.name} seed {seed} ({said})"
    return [f"{told}: {' '.join(w)} {end}" for w, end in ends.items() if end not in GOOD_ENDS]


def commands_about(name: str) -> list[tuple[str, ...]]:
    other = "plain" if name != "plain" else "folds"
    return [
        ("runs", "show", name),
        ("runs", "show", name, "--json"),
        ("runs", "verify", name),
        ("eval", "--run", name),
        ("eval", "--run", name, "--json", "--top5"),
        ("compare", name, other),
        ("compare", other, name, "--json"),
    ]


def test_a_changed_run_breaks_no_command(
    workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    files = sorted(path for path in workspace.runs_dir.rglob("*") if path.is_file())
    wrong: list[str] = []
    for seed in range(TRIED):
        path = files[seed % len(files)]
        wrong += ends_of(workspace, path, seed, commands_about(path.parent.name))
    capfd.readouterr()
    assert wrong == []


def test_one_bad_run_breaks_no_list(
    workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    files = sorted(path for path in workspace.runs_dir.rglob("*") if path.is_file())
    commands = [("runs",), ("runs", "--json"), ("cache", "gc", "--dry-run")]
    wrong: list[str] = []
    for seed in range(TRIED):
        path = files[seed * 5 % len(files)]
        content = path.read_bytes()
        said = mutate(path, seed)
        for words in commands:
            capfd.readouterr()
            if end := type_in(workspace, *words):
                wrong.append(f"{path} {said} seed {seed}: {words} {end}")
            others = set(NAMES) - {path.parent.name}
            shown = capfd.readouterr().out
            if words[0] == "runs" and not all(name in shown for name in others):
                wrong.append(f"{path} {said} seed {seed}: {words} lacks a run")
        restored(path, content)
    assert wrong == []


def test_a_changed_state_breaks_no_command(
    workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    commands = [("classes",), ("cache", "info"), ("cache", "verify"), ("cache", "gc", "--dry-run")]
    commands += [("train", "--steps", "0"), ("cache", "export", str(workspace.root / "x.npz"))]
    wrong: list[str] = []
    for seed in range(TRIED // 2):
        wrong += ends_of(workspace, workspace.state_path, seed, commands)
    capfd.readouterr()
    assert wrong == []


def test_a_run_whose_parent_is_damaged_can_be_reported(workspace: Workspace) -> None:
    parent = workspace.runs_dir / "calibrated"
    for name in ("config.json", "head.npz", "metrics.json", "predictions.npz"):
        content = (parent / name).read_bytes()
        (parent / name).write_bytes(b"{}")
        assert make_report(ReportRequest("grown"), workspace).run == "grown"
        (parent / name).write_bytes(content)


def test_a_single_bit_anywhere_is_seen(workspace: Workspace) -> None:
    run = RunStore(workspace.runs_dir).get("calibrated")
    write_digests(run.folder)
    assert verify_run(run).faults == ()
    for path in sorted(run.folder.iterdir()):
        content = path.read_bytes()
        for place in np.linspace(0, len(content) - 1, 25).astype(int).tolist():
            changed = bytes([content[place] ^ 1 << place % 8])
            path.write_bytes(content[:place] + changed + content[place + 1 :])
            assert verify_run(run).faults, (path, place)
        path.write_bytes(content)
    assert verify_run(run).faults == ()


def test_a_changed_file_is_refused_when_it_is_read(workspace: Workspace) -> None:
    folder = workspace.runs_dir / "calibrated"
    write_digests(folder)
    readers: dict[str, Callable[[Run], object]] = {
        "config.json": lambda run: run.info,
        "labels.json": lambda run: run.labels,
        "metrics.json": lambda run: run.metrics,
        "history.csv": lambda run: run.history,
        "head.npz": lambda run: run.head,
        "predictions.npz": lambda run: run.predictions,
        "calibration.npz": lambda run: run.calibration,
    }
    assert {*readers, DIGESTS_FILE} == {path.name for path in folder.iterdir()}
    for name, read in readers.items():
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content + b"\n")
        with pytest.raises(RunError, match="not what was written"):
            read(Run(folder))
        (folder / name).unlink()
        with pytest.raises(RunError, match="not there any more"):
            read(Run(folder))
        (folder / name).write_bytes(content)
        read(Run(folder))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        '{"format": 2, "files": {}}',
        '{"format": 1}',
        '{"format": 1, "files": []}',
        '{"format": 1, "files": {"a": "x"}}',
        '{"format": 1, "files": {"a": []}}',
        '{"format": 1, "files": {"a": ["x"]}}',
        '{"format": 1, "files": {"a": [7]}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_list_is_an_error(text: str, workspace: Workspace) -> None:
    run = RunStore(workspace.runs_dir).get("plain")
    (run.folder / DIGESTS_FILE).write_text(text)
    with pytest.raises(RetrainError, match="digests of a run"):
        _ = run.info
    assert len(verify_run(run).faults) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("array", ["weights", "bias"])
def test_a_head_of_no_numbers_is_refused(workspace: Workspace, array: str, value: float) -> None:
    run = RunStore(workspace.runs_dir).get("plain")
    with np.load(run.folder / "head.npz") as saved:
        arrays = dict(saved)
    arrays[array].reshape(-1)[0] = value
    np.savez(run.folder / "head.npz", **arrays)
    with pytest.raises(RunError, match="no finite numbers"):
        _ = run.head


def test_a_run_of_an_older_version_has_no_list_and_opens(
    workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    run = RunStore(workspace.runs_dir).get("plain")
    assert RunDigests.load(run.folder) is None
    assert type_in(workspace, "runs", "verify", "plain") == 0
    assert "noted no digests" in capfd.readouterr().out
    write_digests(run.folder)
    assert type_in(workspace, "runs", "verify", "plain") == 0
    assert "as they were written" in capfd.readouterr().out
    (run.folder / "history.csv").unlink()
    assert type_in(workspace, "runs", "verify") == 3
    assert "plain: damaged" in capfd.readouterr().out
    assert verify_run(run).faults == ("history.csv is not there any more",)


def test_a_run_that_is_renamed_or_annotated_stays_as_it_was_written(workspace: Workspace) -> None:
    store = RunStore(workspace.runs_dir)
    for run in store.list():
        write_digests(run.folder)
    assert type_in(workspace, "runs", "rename", "calibrated", "another") == 0
    assert type_in(workspace, "runs", "note", "another", "a good one") == 0
    child = store.get("grown")
    assert child.info.provenance.made.parent == "another"  # its config.json was written anew
    assert [verify_run(run).faults for run in store.list()] == [()] * len(NAMES)


def test_a_normaliser_beyond_all_measure_is_refused(workspace: Workspace) -> None:
    folder = workspace.runs_dir / "calibrated"
    with np.load(folder / "calibration.npz") as saved:
        arrays = dict(saved)
    arrays["log_normalisers"][0] = 1e308
    np.savez(folder / "calibration.npz", **arrays)
    with pytest.raises(RunError, match="log_normalisers"):
        _ = Run(folder).predictions


def test_a_note_that_cannot_be_removed_is_one_clear_line(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(WorkspaceError, match="No space left"):
        write_note(workspace.runs_dir / "plain", "")
