"""A run's own backbone, with which other runs and the workspace work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_runs import make_contents
from typer.testing import CliRunner

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cli.main import app
from retrain_cli.errors import RunError
from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.runs.info import OWN_BACKBONE
from retrain_cli.runs.lent_backbones import Borrowers, borrowers_of, check_not_lent
from retrain_cli.runs.making import Trained, Tuned
from retrain_cli.runs.renaming import rename_run
from retrain_cli.runs.run import Run, RunStore
from retrain_cli.workspace import Workspace


def run_of(store: RunStore, name: str, weights: str, made: Trained | Tuned) -> Run:
    contents = make_contents()
    backbone = BackboneSpec(weights=weights, input_size=299)
    provenance = replace(contents.info.provenance, backbone=backbone, made=made)
    info = replace(contents.info, provenance=provenance)
    with store.create(name) as writer:
        if weights == OWN_BACKBONE:
            (writer.folder / OWN_BACKBONE).write_bytes(b"weights")
        return writer.commit(replace(contents, info=info))


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """A tuned run, a head on its bottlenecks, and a run that has nothing to do with them."""
    workspace = Workspace(tmp_path / "work")
    workspace.prepare()
    store = RunStore(workspace.runs_dir)
    tuned = run_of(store, "tuned", OWN_BACKBONE, Tuned(BackboneSpec(), TuningConfig()))
    run_of(store, "over", tuned.info.backbone.weights, Trained())
    run_of(store, "stranger", "imagenet", Trained())
    workspace.write_state({"last_used": {"backbone": {"weights": tuned.info.backbone.weights}}})
    return store


def test_who_works_with_a_backbone(store: RunStore) -> None:
    tuned = store.get("tuned")
    assert borrowers_of(tuned) == Borrowers(("over",), is_last_used=True)
    assert borrowers_of(store.get("over")) == Borrowers()
    message = "run over and the bottlenecks last used cannot do without it"
    with pytest.raises(RunError, match=message):
        check_not_lent([tuned.folder])
    Workspace(store.root.parent).write_state({})
    check_not_lent([tuned.folder, store.get("over").folder])  # both go together
    check_not_lent([store.get("over").folder, store.get("stranger").folder])


def test_a_new_name_is_followed(store: RunStore) -> None:
    renamed = rename_run(store.get("tuned"), "better")
    own = str(renamed.folder / OWN_BACKBONE)
    assert renamed.info.backbone.weights == own
    assert store.get("over").info.backbone.weights == own
    assert store.get("stranger").info.backbone.weights == "imagenet"
    assert borrowers_of(renamed) == Borrowers(("over",), is_last_used=True)
    assert '"weights": "backbone.safetensors"' in (renamed.folder / "config.json").read_text()


def test_it_is_removed_only_by_force(store: RunStore) -> None:
    def rm(*words: str) -> tuple[int, str]:
        command = ["--workspace", str(store.root.parent), "runs", "rm", *words]
        done = CliRunner().invoke(app, command)
        return done.exit_code, f"{done.output} {done.exception}"

    for words in (["tuned"], ["tuned", "--dry-run"]):
        code, said = rm(*words)
        assert code != 0
        assert store.get("tuned")
    code, said = rm("tuned", "--force")
    assert code == 0, said
    assert [run.name for run in store.list()] == ["stranger", "over"]
