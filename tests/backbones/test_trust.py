"""A SavedModel is a program: it runs only where somebody said so, once for its very content."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import FakeBackbone, make_photos

from retrain_cli.backbones.loader import load_backbone, loader_of
from retrain_cli.backbones.runtimes import saved_model
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.trust import UntrustedModelError, is_trusted, trust
from retrain_cli.cli import console
from retrain_cli.cli.commands.bottlenecks import ask_for_trust
from retrain_cli.cli.main import app
from retrain_cli.errors import WeightsError, WorkspaceError
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workspace import Workspace


@pytest.fixture
def spec(tmp_path: Path) -> BackboneSpec:
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"a graph")
    (folder / "variables" / "variables.index").write_bytes(b"numbers")
    return BackboneSpec(f"hub:{folder}", input_size=32)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[BackboneSpec]:
    """The SavedModels that ran."""
    seen: list[BackboneSpec] = []

    def build(spec: BackboneSpec, device: str) -> FakeBackbone:
        seen.append(spec)
        return FakeBackbone()

    monkeypatch.setattr(saved_model, "build_saved_model_backbone", build)
    monkeypatch.setattr("retrain_cli.backbones.loader.choose_device", lambda device: "cpu:0")
    return seen


@pytest.fixture
def request_(spec: BackboneSpec, tmp_path: Path) -> BottleneckRequest:
    return BottleneckRequest(make_photos(tmp_path / "photos", {"ant": 4, "bee": 4}), spec)


def test_it_is_refused_until_it_is_trusted(
    request_: BottleneckRequest, ran: list[BackboneSpec], workspace: Workspace
) -> None:
    with pytest.raises(UntrustedModelError, match="trust_model=True"):
        fill_cache(request_, workspace)
    assert ran == []
    assert fill_cache(replace(request_, trust_model=True), workspace).computed == 8
    make_photos(Path(request_.image_dir or ""), {"cat": 4}, seed=5)
    assert fill_cache(request_, workspace).computed == 4  # once is enough
    assert len(ran) == 2


def test_a_notebook_says_it_itself(spec: BackboneSpec, ran: list[BackboneSpec]) -> None:
    with pytest.raises(UntrustedModelError):
        load_backbone(spec)
    assert load_backbone(spec, trust_model=True).width == FakeBackbone.width


def test_every_way_to_a_backbone_asks(
    spec: BackboneSpec, ran: list[BackboneSpec], workspace: Workspace
) -> None:
    load = loader_of(workspace)
    with pytest.raises(UntrustedModelError):
        load(spec, "cpu")
    workspace.prepare()
    trust(spec.resolve(), workspace)
    load(spec, "cpu")
    assert len(ran) == 1


def test_trust_is_in_content_not_in_a_place(
    spec: BackboneSpec, tmp_path: Path, workspace: Workspace
) -> None:
    workspace.prepare()
    trust(spec, workspace)
    folder = Path(spec.hub_source)
    moved = folder.rename(tmp_path / "moved")
    assert is_trusted(replace(spec, name=f"hub:{moved}"), workspace)
    (moved / "variables" / "variables.index").write_bytes(b"others")
    assert not is_trusted(replace(spec, name=f"hub:{moved}"), workspace)
    assert not is_trusted(spec.__class__(f"hub:{moved}"), Workspace(tmp_path / "another"))


def test_a_backbone_of_the_table_needs_no_trust(workspace: Workspace) -> None:
    trust(BackboneSpec("vgg16"), workspace)
    assert is_trusted(BackboneSpec("vgg16"), workspace)
    assert not workspace.trusted_path.exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"models": 3}', '{"models": []}', '{"else": {}}', "[" * 100_000]
)
def test_a_damaged_list_trusts_nobody(text: str, spec: BackboneSpec, workspace: Workspace) -> None:
    workspace.prepare()
    workspace.trusted_path.write_text(text)
    with pytest.raises(WorkspaceError, match="delete it"):
        is_trusted(spec, workspace)


@pytest.mark.parametrize("kind", ["pipe", "linked folder", "dangling link", "device"])
def test_what_a_digest_cannot_stand_for_is_refused(
    kind: str, spec: BackboneSpec, tmp_path: Path, workspace: Workspace
) -> None:
    odd = Path(spec.hub_source) / "variables" / "odd"
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        targets = {"linked folder": str(tmp_path), "device": "/dev/zero"}
        odd.symlink_to(targets.get(kind, "nowhere"))
    with pytest.raises(WeightsError, match="holds files and folders"):
        is_trusted(spec, workspace)


def test_in_a_pipe_the_error_names_the_option(
    request_: BottleneckRequest,
    ran: list[BackboneSpec],
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ["--workspace", str(workspace.root), "bottlenecks", str(request_.image_dir)]
    words += ["--backbone", request_.backbone.name, "--input-size", "32"]
    told: list[str] = []
    monkeypatch.setattr(console, "error", told.append)
    with pytest.raises(SystemExit) as caught:
        app(args=words, standalone_mode=False)
    assert caught.value.code == 3
    assert len(told) == 1 and "--trust-model" in told[0]
    app(args=[*words, "--trust-model"], standalone_mode=False)
    assert len(ran) == 1
    assert len(json.loads(workspace.trusted_path.read_text())["models"]) == 1


@pytest.mark.parametrize(
    ("answer", "trusted"), [("y", True), ("YES", True), ("", False), ("n", False)]
)
def test_on_a_terminal_it_is_asked_once(
    answer: str,
    trusted: bool,
    request_: BottleneckRequest,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    class Person:
        def readline(self) -> str:
            return answer + "\n"

        def isatty(self) -> bool:
            return True

    def ask(question: str) -> bool:
        asked.append(question)
        return spoken(question)

    spoken = console.ask
    monkeypatch.setattr(console, "can_ask", lambda: True)
    monkeypatch.setattr(console, "ask", ask)
    monkeypatch.setattr("sys.stdin", Person())
    assert ask_for_trust(request_, workspace).trust_model is trusted
    assert len(asked) == 1 and request_.backbone.hub_source in asked[0]
    workspace.prepare()
    trust(request_.backbone, workspace)
    ask_for_trust(request_, workspace)
    assert len(asked) == 1


def test_nobody_is_asked_about_a_backbone_of_the_table(
    request_: BottleneckRequest, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(question: str) -> bool:
        raise AssertionError(question)

    monkeypatch.setattr(console, "can_ask", lambda: True)
    monkeypatch.setattr(console, "ask", never)
    chosen: Any = replace(request_, backbone=BackboneSpec("vgg16"))
    assert ask_for_trust(chosen, workspace) is chosen
