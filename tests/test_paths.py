"""Paths with `~`, where it means a folder and where it does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from retrain_cli.backbones.downloads import keras_models_folder
from retrain_cli.paths import absolute, home
from retrain_cli.workspace import Workspace


def test_a_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_HOME", raising=False)
    assert absolute("~/x") == tmp_path / "x"
    assert home() == tmp_path
    assert keras_models_folder() == tmp_path / ".keras" / "models"


def test_nobody_has_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers run as users of any number, who stand in no list."""
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError):
        Path("~").expanduser()
    assert home() is None
    assert absolute("~/x") == tmp_path / "~" / "x"
    assert keras_models_folder() == Path("/tmp/.keras/models")
    assert Workspace.locate(Path("~/w")).root == tmp_path / "~" / "w"


def test_a_user_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute(Path("~no-such-user/x")) == tmp_path / "~no-such-user" / "x"
