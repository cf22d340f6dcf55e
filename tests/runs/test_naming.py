"""A run is named by its name, by how that begins, by `latest`, or by its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import add

from retrain_cli.errors import RunError
from retrain_cli.runs.run import RunStore


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    store = RunStore(tmp_path / "runs")
    for name in ("rose", "rose-2", "tulip"):
        add(store, name)
    return store


def test_a_run_is_named_by_a_beginning_that_no_other_has(store: RunStore) -> None:
    assert store.get("tu").name == "tulip"
    assert store.get("rose").name == "rose", "a whole name goes before a beginning"
    with pytest.raises(RunError, match=r"'ros' is that of rose-2, rose: type more of it"):
        store.get("ros")
    with pytest.raises(RunError, match="there is no run ''"):
        store.get("")


def test_latest_is_the_run_that_was_finished_last(store: RunStore) -> None:
    assert store.get("latest").name == store.get(None).name == "tulip"
    with pytest.raises(RunError, match="'latest' means the run"), store.create("latest"):
        pass


@pytest.mark.parametrize("form", ["{0}", "{0}/", "../runs/rose", "./rose", "link/"])
def test_a_run_is_named_by_its_folder(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.chdir(store.root)
    Path("link").symlink_to("rose")
    elsewhere = RunStore(tmp_path / "other")
    run = elsewhere.get(form.format(store.root / "rose"))
    assert (run.name, run.folder) == ("rose", (store.root / "rose").resolve())


def test_a_folder_here_goes_before_a_beginning(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = RunStore(tmp_path / "other")
    add(elsewhere, "rose-3")
    monkeypatch.chdir(store.root)
    assert elsewhere.get("rose").folder == store.root / "rose"
    monkeypatch.chdir(tmp_path)
    assert elsewhere.get("rose").name == "rose-3"


@pytest.mark.parametrize("path", ["./none", "~", "..", "/", "a/\0b", "/" + "x" * 5000])
def test_a_path_that_is_no_run_is_told(store: RunStore, path: str) -> None:
    with pytest.raises(RunError, match="must lead to a run's folder"):
        store.get(path)


def test_a_run_of_another_workspace_is_removed_where_it_is(store: RunStore, tmp_path: Path) -> None:
    RunStore(tmp_path / "other").remove(str(store.root / "rose-2"))
    assert sorted(path.name for path in store.root.iterdir()) == ["rose", "tulip"]


def test_a_note_is_one_line_and_can_be_removed(store: RunStore) -> None:
    run = store.get("rose")
    stamp = (run.folder / "config.json").stat().st_mtime_ns
    assert run.note == ""
    run.annotate("  with\nmore photos  ")
    assert run.note == "with more photos"
    assert (run.folder / "config.json").stat().st_mtime_ns == stamp
    run.annotate(" ")
    assert run.note == ""
    assert not (run.folder / "note.txt").exists()
    (run.folder / "note.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(RunError, match="retrain runs note rose TEXT"):
        _ = run.note
