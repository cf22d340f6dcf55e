"""What the shell offers for a word: names of runs, classes, backbones and commands.

Called at each press of the Tab key, so nothing here imports an engine or opens a run. What cannot
be read is not offered.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from retrain_cli.runs.command_lines import comma_list, split_commas
from retrain_cli.workspace import Workspace

Offered = Iterable[str | tuple[str, str]]
Completer = Callable[[typer.Context, str], Offered]

_BASH = "complete_bash"
_UNSAFE = re.compile(r"([^\w@%+=:,./-])")


def run_names(ctx: typer.Context, incomplete: str) -> Offered:
    """The runs of the workspace, newest first, with their notes; and `latest`."""
    from retrain_cli.runs.folder import LATEST
    from retrain_cli.runs.naming import run_names as names_in

    folder = _workspace(ctx).runs_dir
    with suppress(OSError):
        names = names_in(folder)
        yield from _words([(name, _note(folder / name)) for name in names], incomplete)
        if names:
            yield from _words([(LATEST, "the run that was finished last")], incomplete)


def backbone_names(incomplete: str) -> Offered:
    """The networks of the table."""
    from retrain_cli.backbones.table import KERAS_BACKBONES

    return _words([(name, "") for name in KERAS_BACKBONES], incomplete)


def class_names(ctx: typer.Context, incomplete: str) -> Offered:
    """The classes of the run that is named, or of the latest."""
    return _words([(name, "") for name in _classes_of_run(ctx)], incomplete)


def class_list(ctx: typer.Context, incomplete: str) -> Offered:
    """The classes of the dataset last used, one after the other with commas."""
    before, comma, begun = incomplete.rpartition(",")
    taken = split_commas(before)
    for name in _classes_of_dataset(ctx):
        if name not in taken and comma_list([name]).startswith(begun):
            yield from _words([(f"{before}{comma}{comma_list([name])}", "")], incomplete)


def cache_names(ctx: typer.Context, incomplete: str) -> Offered:
    """The caches of the workspace."""
    with suppress(OSError):
        files = sorted(_workspace(ctx).cache_dir.glob("*.sqlite"))
        yield from _words([(path.stem, "") for path in files], incomplete)


def command_names(ctx: typer.Context, incomplete: str) -> Offered:
    """The commands of `retrain`, or of the one that is named."""
    group: Any = ctx.find_root().command
    for name in ctx.params.get("names") or ():
        group = group.get_command(None, name)
    names = group.list_commands(None) if hasattr(group, "list_commands") else ()
    return _words([(name, "") for name in names], incomplete)


COMPLETERS: dict[str, Completer | Callable[[str], Offered]] = {
    "run": run_names,
    "init_from": run_names,
    "from_run": run_names,
    "BackboneSpec.name": backbone_names,
    "TrainingConfig.classes": class_list,
    "EvalRequest.positive": class_names,
}
"""By the field's name, or by dataclass and field, as in `options.SHARED`."""


def _words(pairs: Iterable[tuple[str, str]], incomplete: str) -> Iterator[tuple[str, str]]:
    """Those that begin as what was typed; bash inserts them as they are, so they are escaped."""
    for word, text in pairs:
        if not word.startswith(incomplete):
            continue
        if os.environ.get("_RETRAIN_COMPLETE") != _BASH:
            yield word, text
        elif not _UNSAFE.search(incomplete):
            yield _UNSAFE.sub(r"\\\1", word), text


def _workspace(ctx: typer.Context) -> Workspace:
    """The root command is parsed for a completion, and not called."""
    chosen = ctx.find_root().params.get("workspace")
    return Workspace.locate(None if chosen is None else Path(chosen))


def _note(folder: Path) -> str:
    from retrain_cli.runs.folder import NOTE_FILE

    with suppress(OSError, ValueError):
        return (folder / NOTE_FILE).read_text(encoding="utf-8").strip()
    return ""


def _classes_of_run(ctx: typer.Context) -> list[str]:
    from retrain_cli.runs.naming import find_run
    from retrain_cli.runs.naming import run_names as names_in

    with suppress(Exception):
        folder = _workspace(ctx).runs_dir
        name = ctx.params.get("run") or names_in(folder)[0]
        rows = json.loads((find_run(name, folder) / "labels.json").read_text(encoding="utf-8"))
        return [str(row["class"]) for row in rows]
    return []


def _classes_of_dataset(ctx: typer.Context) -> list[str]:
    from retrain_cli.datasets.file_index import known_classes
    from retrain_cli.storage.urls import absolute_place

    workspace = _workspace(ctx)
    with suppress(Exception):
        root = absolute_place(workspace.read_state()["last_used"]["image_dir"])
        return known_classes(workspace.index_path, root)
    return []
