"""A run gets another name, and so do the links of the runs that came from it.

A run keeps the names of its parents in its `config.json`, and the place of a backbone that another
run lends it. These change first and the folder last:
where that is cut short, the same command does what is left.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from retrain_cli.durable import sync
from retrain_cli.errors import RetrainError, RunError
from retrain_cli.files import parse_json
from retrain_cli.paths import absolute
from retrain_cli.runs.folder import check_name
from retrain_cli.runs.info import OWN_BACKBONE
from retrain_cli.runs.lent_backbones import follow_backbone, with_string
from retrain_cli.runs.provenance import Parent, Provenance
from retrain_cli.runs.run import Run, RunStore
from retrain_cli.runs.run_digests import replacing_in_run
from retrain_cli.workspace import to_json, writing_to

_LINKS = ("init_from", "added_to", "from_run")
"""Of a run's `dataset`: what holds the name of its parent."""


def rename_run(run: Run, name: str) -> Run:
    """Give a run another name; runs beside it that came from it name it so from then on.

    Args:
        run: the run.
        name: its new name.

    Raises:
        RunError: the name is taken, is no name, or is the one that it has.
        WorkspaceError: the runs cannot be changed.
    """
    root, old = run.folder.parent, run.name
    target = root / check_name(name)
    if name == old:
        raise RunError(f"a new name must be another one, and the run is called {name!r} already")
    if target.exists() and not target.samefile(run.folder):  # the same where case does not count
        raise RunError(f"a run's name must be new, but {name!r} is taken: choose another one")
    for other, renamed in _with_new_links(run, name):
        _write_config(other.folder, renamed)
    with writing_to(root):
        run.folder.rename(target)
        sync(root)
    follow_backbone(run.folder, target)
    return Run(target)


def _with_new_links(run: Run, name: str) -> Iterator[tuple[Run, dict[str, Any]]]:
    """The runs beside it that came from it, with what their `config.json` is to hold."""
    try:
        line = replace(run.provenance, parents=())
    except RetrainError:  # a damaged run can be renamed, too; nothing came from what cannot be read
        return
    weights = [str(absolute(run.folder.with_name(one) / OWN_BACKBONE)) for one in (run.name, name)]
    for other in RunStore(run.folder.parent).list():
        if other.name != run.name and (config := _config(other)):
            moved = with_string(config, weights[0], weights[1])
            if _rename_links(moved, run, line, name) or moved != config:
                yield other, moved


def _config(run: Run) -> dict[str, Any] | None:
    """What its `config.json` holds; None where it is damaged."""
    try:
        _ = run.info
        config: dict[str, Any] = parse_json((run.folder / "config.json").read_bytes())
    except (RetrainError, OSError, ValueError):
        return None
    return config


def _rename_links(config: dict[str, Any], run: Run, line: Provenance, name: str) -> bool:
    """Change the links that mean the run; whether there are any."""
    dataset, created = config["dataset"], str(config["created"])
    parents: list[dict[str, Any]] = dataset.get("parents", [])
    meant = [one for one in parents if one["name"] == run.name and _is_record_of(one, line)]
    if not parents:  # an older version noted the name alone
        linked = any(dataset.get(link) == run.name for link in _LINKS)
        return linked and run.info.created <= created and _relink(dataset, run.name, name)
    for parent in meant:
        followers = [one["dataset"] for one in parents[parents.index(parent) + 1 :]] + [dataset]
        _relink(followers[0], run.name, name)
        parent["name"] = name
    return bool(meant)


def _is_record_of(parent: Mapping[str, Any], line: Provenance) -> bool:
    """Whether it tells of this run, and not of an older one that had the same name."""
    told = Parent.from_dict(parent).provenance
    if not line.complete:  # completed from files, of which fewer may be there today
        return (told.image_dir, told.backbone) == (line.image_dir, line.backbone)
    return told in (line, line.uninterrupted())


def _relink(dataset: dict[str, Any], old: str, new: str) -> bool:
    for link in _LINKS:
        if dataset.get(link) == old:
            dataset[link] = new
    return True


def _write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Replace the file; its time stays, for that is the run's place among the others."""
    stamp = (folder / "config.json").stat()
    with replacing_in_run(folder, "config.json") as draft:
        draft.write_text(to_json(config, indent=2) + "\n", encoding="utf-8")
        os.utime(draft, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
