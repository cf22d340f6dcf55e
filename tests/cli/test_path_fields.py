"""A field that a notebook gives as a text is a path for the command line."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from retrain_cli.cli.signatures import Fields, SomeFields
from retrain_cli.paths import Paths, StrPath, absolute, as_path, as_paths
from retrain_cli.workflows.add_class import AddClassRequest
from retrain_cli.workflows.report import ReportRequest


def kinds(owner: type, *names: str) -> list[object]:
    """The types of the options that fields become."""
    texts = dict.fromkeys(names, "text")
    others = tuple(name for name in get_type_hints(owner) if name not in names)
    options = Fields(without=others, **texts).options(owner)
    found: list[inspect.Parameter] = [one for option in options for one in option.parameters()]
    return [get_args(one.annotation)[0] for one in found]


def test_an_option_is_a_path() -> None:
    assert kinds(ReportRequest, "html") == [Path | None]
    assert kinds(AddClassRequest, "photos") == [list[Path]]
    assert SomeFields(ReportRequest, ["html"]).make({"output": Path("a.html")}) == {
        "html": Path("a.html")
    }


@pytest.mark.parametrize("paths", ["photos", Path("photos"), ["photos"], (Path("photos"),)])
def test_one_path_is_as_good_as_a_list(paths: Paths) -> None:
    assert as_paths(paths) == (Path("photos"),)


@pytest.mark.parametrize("path", ["~", Path("~")])
def test_the_home_folder_is_the_users(path: StrPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert as_path(path) == absolute(path) == Path("/home/ada")
