"""How a run was made: its settings for people, and the commands that make it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from retrain_cli.errors import RetrainError
from retrain_cli.reports.content import Command, Settings
from retrain_cli.reports.text import setting
from retrain_cli.runs.command_lines import arguments, option
from retrain_cli.runs.provenance import Provenance
from retrain_cli.runs.run import Run, RunStore
from retrain_cli.runs.shell import shell_line
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workspace import Workspace


def settings_of_run(run: Run) -> tuple[Settings, ...]:
    """Data, backbone, training and versions, each as a list of names and values."""
    info = run.info
    data = run.provenance.described()
    del data["backbone"]  # has a list of its own
    result = {
        "best step": info.best_step,
        "stopped by": info.stopped_by,
        "made": info.created,
    }
    return (
        _settings("Data", data),
        _settings("Backbone", {**info.backbone.to_dict(), "cache": info.cache}),
        _settings("Training", {**info.training.to_dict(), **result}),
        _settings("Versions", info.versions),
    )


def _settings(title: str, values: Mapping[str, Any]) -> Settings:
    return Settings(title, tuple((name, setting(value)) for name, value in _flat(values)))


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        words = name.replace("_", " ")
        if isinstance(value, Mapping):
            yield from ((f"{words}: {inner}", one) for inner, one in _flat(value))
        else:
            yield words, value


def commands_of_run(
    run: Run, split: str, choices: tuple[str, ...], workspace: Workspace
) -> tuple[Command, ...]:
    """What to type to make the run, its figures and its report again.

    Every run that has to be made for that gets a new name, so that the commands can be typed where
    the old ones are, and in an empty workspace as well.

    Args:
        run: the run.
        split: which split the figures are of.
        choices: the options of the report.
        workspace: where the commands are to work.
    """
    taken = {one.name for one in RunStore(workspace.runs_dir).list()}
    provenance = _as_remembered(run.provenance, run.info.cache, workspace)
    made = provenance.commands(run.name, calibrated=run.calibration is not None, taken=taken)
    figures = ("eval", *option("--run", made.name), *option("--split", split), "--top5")
    lines = (
        *((step.arguments, step.purpose) for step in made.steps),
        (figures, "show its figures"),
        (("report", *choices, *arguments(made.name)), "make this report"),
    )
    # Not by whatever is set where they are typed: the commands say all that counts.
    root = ("retrain", "--config", "none", "--workspace", str(workspace.root))
    return tuple(Command(shell_line((*root, *words)), purpose) for words, purpose in lines)


def _as_remembered(provenance: Provenance, cache: str, workspace: Workspace) -> Provenance:
    """A run of an older version with what the workspace remembers of the same photos."""
    if provenance.complete:
        return provenance
    try:
        used = LastUsed.load(workspace)
    except RetrainError:
        return provenance
    if (used.image_dir, used.remembered) != (provenance.image_dir, cache):
        return provenance
    return replace(provenance, int_ext=used.int_ext, group=used.group)
