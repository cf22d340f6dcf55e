"""A run that gets another name is still the parent of the runs that came from it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_runs import add, make_contents

from retrain_cli.errors import RunError
from retrain_cli.runs import renaming
from retrain_cli.runs.making import Grown, Trained
from retrain_cli.runs.renaming import rename_run
from retrain_cli.runs.run import Run, RunStore


def child(store: RunStore, name: str, parent: Run, *, grown: bool = False) -> Run:
    contents = make_contents()
    made: Any = Grown(parent.name, "wasp", (Path("/w"),)) if grown else Trained(parent.name)
    line = parent.provenance.line(parent.name, calibrated=False)
    provenance = replace(contents.info.provenance, made=made, parents=line)
    info = replace(contents.info, provenance=provenance)
    with store.create(name) as writer:
        return writer.commit(replace(contents, info=info))


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """A run, one that came from it, and one that a class came to after that."""
    store = RunStore(tmp_path / "runs")
    first = add(store, "first")
    second = child(store, "second", first)
    child(store, "third", second, grown=True)
    add(store, "stranger")
    return store


def names(run: Run) -> list[str]:
    made = [one.provenance.made.parent for one in run.provenance.line(run.name, calibrated=False)]
    return [*(one.name for one in run.provenance.parents), *map(str, made)]


def test_links_name_the_run_as_it_is_called_now(store: RunStore) -> None:
    order = [run.name for run in store.list()]
    renamed = rename_run(store.get("first"), "base")
    assert renamed.name == "base"
    assert names(store.get("second")) == ["base", "None", "base"]
    assert names(store.get("third")) == ["base", "second", "None", "base", "second"]
    assert [run.name for run in store.list()] == [
        "base" if name == "first" else name for name in order
    ], "runs keep their order"
    rename_run(store.get("second"), "middle")
    assert names(store.get("third")) == ["base", "middle", "None", "base", "middle"]
    for run in store.list():
        assert "first" not in (run.folder / "config.json").read_text()


def test_the_commands_that_make_it_again_stay_the_same(store: RunStore) -> None:
    before = store.get("third").provenance.commands("third", calibrated=False)
    rename_run(store.get("first"), "base")
    after = store.get("third").provenance.commands("third", calibrated=False)
    said = [" ".join(step.arguments).replace("first", "base") for step in before.steps]
    assert [" ".join(step.arguments) for step in after.steps] == said


def test_links_to_an_older_run_of_the_same_name_stay(store: RunStore) -> None:
    store.remove("first")
    contents = make_contents()
    other = replace(contents.info.provenance, image_dir=Path("/others"))
    with store.create("first") as writer:
        writer.commit(replace(contents, info=replace(contents.info, provenance=other)))
    rename_run(store.get("first"), "fresh")
    assert names(store.get("second")) == ["first", "None", "first"]


def test_links_of_an_older_version_name_no_more_than_the_parent(store: RunStore) -> None:
    path = store.get("second").folder / "config.json"
    config = json.loads(path.read_text())
    del config["dataset"]["parents"], config["dataset"]["made_by"]
    path.write_text(json.dumps(config))
    (path.parent / "digests.json").unlink()
    rename_run(store.get("first"), "base")
    assert json.loads(path.read_text())["dataset"]["init_from"] == "base"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("second", "'second' is taken"),
        ("first", "is called 'first' already"),
        ("latest", "'latest' means"),
        ("a/b", "plain folder name"),
        ("", "plain folder name"),
    ],
)
def test_a_name_that_cannot_be_changes_nothing(store: RunStore, name: str, said: str) -> None:
    before = {path: path.read_bytes() for path in store.root.rglob("*.json")}
    with pytest.raises(RunError, match=said):
        rename_run(store.get("first"), name)
    assert {path: path.read_bytes() for path in store.root.rglob("*.json")} == before


def test_what_was_cut_short_is_finished_by_the_same_command(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = renaming._write_config
    written: list[Path] = []

    def stop_after_one(path: Path, config: Any) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(path)
        write(path, config)

    monkeypatch.setattr(renaming, "_write_config", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        rename_run(store.get("first"), "base")
    monkeypatch.setattr(renaming, "_write_config", write)
    rename_run(store.get("first"), "base")
    assert names(store.get("second"))[0] == names(store.get("third"))[0] == "base"


def test_a_damaged_run_can_be_renamed_and_hinders_no_other(store: RunStore) -> None:
    (store.get("stranger").folder / "config.json").write_text("{")
    rename_run(store.get("first"), "base")
    assert rename_run(store.get("stranger"), "odd").name == "odd"
