from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from made_runs import add, make_contents

from retrain_cli.errors import RunError
from retrain_cli.runs.run import Run, RunStore

FILES = {
    "config.json",
    "digests.json",
    "labels.json",
    "head.npz",
    "history.csv",
    "predictions.npz",
    "metrics.json",
}


def backdate(run: Run, seconds: int) -> None:
    stamp = (run.folder / "config.json").stat().st_mtime - seconds
    os.utime(run.folder / "config.json", (stamp, stamp))


def test_a_run_survives_saving(tmp_path: Path) -> None:
    contents, run = make_contents(), add(RunStore(tmp_path / "runs"), "first")
    assert {path.name for path in run.folder.iterdir()} == FILES
    read = RunStore(tmp_path / "runs").get("first")
    assert read.info.training == read.config == contents.info.training
    assert read.info.backbone == contents.info.backbone
    assert read.provenance == read.info.provenance == contents.info.provenance
    assert (read.info.cache, read.info.best_step, read.info.stopped_by) == ("abc", 5, "steps")
    assert list(read.origins) == contents.origins
    assert read.labels == read.head.labels == ("ant", "βους")
    assert read.history == tuple(contents.history)
    assert list(read.predictions.images.paths) == ["ant/1.jpg", "βους/2.jpg"]
    assert read.metrics == contents.metrics


def test_nothing_remains_of_a_run_that_is_not_committed(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    with pytest.raises(RuntimeError), store.create("x") as writer:
        (writer.folder / "something").write_text("half")
        raise RuntimeError
    assert store.list() == []
    assert list(tmp_path.iterdir()) == []


def test_files_put_into_the_draft_become_part_of_the_run(tmp_path: Path) -> None:
    with RunStore(tmp_path).create() as writer:
        (writer.folder / "tensorboard").mkdir()
        (writer.folder / "tensorboard" / "events").write_text("curve")
        run = writer.commit(make_contents())
    assert (run.folder / "tensorboard" / "events").read_text() == "curve"
    assert [path.name for path in tmp_path.iterdir()] == [run.name]


def test_names_made_of_the_time_never_clash(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    runs = [add(store) for _ in range(4)]
    assert len({run.name for run in runs}) == 4
    assert all(run.name.startswith("20") for run in runs)


def test_the_newest_comes_first(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    for age, name in enumerate(["z", "a", "m"]):
        backdate(add(store, name), 100 * age)
    assert [run.name for run in store.list()] == ["z", "a", "m"]
    assert store.latest().name == store.get().name == "z"
    assert store.path() == tmp_path / "z"


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    add(store, "mine")
    with pytest.raises(RunError, match="'mine' is taken"), store.create("mine"):
        pass
    add(store, "my own")
    with pytest.raises(RunError, match="`retrain runs rm 'my own'` first"):
        store.check_new("my own")


def test_a_name_that_is_taken_meanwhile_loses_nothing(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    with store.create("mine") as slow:
        first = add(store, "mine")
        created = first.info.created
        with pytest.raises(RunError, match="while this one"):
            slow.commit(make_contents())
    assert RunStore(tmp_path).get("mine").info.created == created


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a\\b", "..", " x", "new\nline", "a:b"])
def test_names_that_cannot_be_folders_are_refused(tmp_path: Path, name: str) -> None:
    store = RunStore(tmp_path)
    with pytest.raises(RunError, match="plain folder name"), store.create(name):
        pass
    with pytest.raises(RunError, match=r"no run|must lead to"):
        store.get(name)


def test_a_missing_run_names_those_that_come_close(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    with pytest.raises(RunError, match="retrain train"):
        store.get("flower")
    with pytest.raises(RunError, match="no run yet"):
        store.latest()
    add(store, "flowers")
    add(store, "caltech")
    with pytest.raises(RunError, match="there is flowers:"):
        store.get("flowres")


def test_a_removed_run_is_gone(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    add(store, "old")
    add(store, "new")
    store.remove("old")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    with pytest.raises(RunError):
        store.remove("old")


@pytest.mark.parametrize("file", sorted(FILES - {"config.json", "digests.json"}))
@pytest.mark.parametrize("text", ["", "{", "[1]", None])
@pytest.mark.parametrize("listed", [True, False])
def test_a_damaged_file_is_a_run_error_when_it_is_read(
    tmp_path: Path, file: str, text: str | None, listed: bool
) -> None:
    run = add(RunStore(tmp_path), "x")
    path = run.folder / file
    path.unlink() if text is None else path.write_text(text)
    if not listed:
        (run.folder / "digests.json").unlink()
    readers = {
        "labels.json": lambda run: run.labels,
        "head.npz": lambda run: run.head,
        "history.csv": lambda run: run.history,
        "predictions.npz": lambda run: run.predictions,
        "metrics.json": lambda run: run.metrics,
    }
    with pytest.raises(RunError, match=r"cannot be read|was written|not there") as caught:
        readers[file](Run(run.folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{}", '{"format": 99}', "[]", '{"format": 1, "x": 2}'])
def test_a_damaged_or_newer_config_is_a_run_error(tmp_path: Path, text: str) -> None:
    run = add(RunStore(tmp_path), "x")
    (run.folder / "config.json").write_text(text)
    with pytest.raises(RunError):
        _ = Run(run.folder).info


def test_a_killed_writer_leaves_nothing_behind_for_long(tmp_path: Path) -> None:
    script = """
        import sys
        from pathlib import Path
        from retrain_cli.runs.run import RunStore
        with RunStore(Path(sys.argv[1])).create("doomed") as writer:
            (writer.folder / "config.json").write_text("{}")
            print("ready", flush=True)
            sys.stdin.read()  # which ends with whoever started it, if nothing ends it before
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        store = RunStore(tmp_path)
        add(store, "alive")
        drafts = [path for path in tmp_path.glob(".draft-*") if path.is_dir()]
        assert len(drafts) == 1, "another run must leave a living writer's draft alone"
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert [run.name for run in store.list()] == ["alive"]
    add(store, "doomed")
    assert {path.name for path in tmp_path.iterdir()} == {"alive", "doomed"}
