"""How a run was made: its settings for people, and the commands that make it again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from retrain_cli.backbones.spec import BUNDLED, IMAGENET, SAVED_MODEL, BackboneSpec
from retrain_cli.errors import RetrainError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.reports.content import Command, Settings
from retrain_cli.reports.text import setting
from retrain_cli.runs.run import Run
from retrain_cli.runs.shell import shell_line
from retrain_cli.workflows.cross_validate import METRICS_KEY
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workspace import Workspace


def settings_of_run(run: Run) -> tuple[Settings, ...]:
    """Data, backbone, training and versions, each as a list of names and values."""
    info = run.info
    result = {
        "best step": info.best_step,
        "stopped by": info.stopped_by,
        "made": info.created,
    }
    return (
        _settings("Data", {key: value for key, value in info.dataset.items() if key != "backbone"}),
        _settings("Backbone", {**info.backbone, "cache": info.cache}),
        _settings("Training", {**info.training.to_dict(), **result}),
        _settings("Versions", info.versions),
    )


def _settings(title: str, values: Mapping[str, Any]) -> Settings:
    rows = tuple((name.replace("_", " "), setting(value)) for name, value in values.items())
    return Settings(title, rows)


def commands_of_run(run: Run, split: str, workspace: Workspace) -> tuple[Command, ...]:
    """What to type to make the run, its figures and this report again."""
    root = ["retrain", "--workspace", str(workspace.root)]
    copy = f"{run.name}-again"
    evaluation = ["eval", "--run", run.name, "--split", split, "--top5"]
    lines = (
        ([*root, "bottlenecks", *_bottleneck_flags(run, workspace)], "compute the bottlenecks"),
        ([*root, "train", *_training_flags(run), f"--name={copy}"], "train the head"),
        *_calibration(run, [*root, "eval", "--run", copy, "--calibrate"]),
        ([*root, *evaluation], "show its figures"),
        ([*root, "report", run.name, "--split", split], "make this report"),
    )
    return tuple(Command(shell_line(arguments), purpose) for arguments, purpose in lines)


def _calibration(run: Run, arguments: list[str]) -> Iterator[tuple[list[str], str]]:
    if run.calibration is not None:
        yield arguments, "calibrate its scores"


def _bottleneck_flags(run: Run, workspace: Workspace) -> Iterator[str]:
    spec = BackboneSpec.from_dict(run.info.backbone)
    yield str(run.info.dataset["image_dir"])
    yield from ("--backbone", spec.name)
    if not spec.is_hub:
        plain = {"alpha": None, "layer": None, "pooling": "avg", "input_size": None}
        usual = {**plain, "resize": "squash", "precision": "auto", "runtime": "auto"}
        for name, value in usual.items():
            yield from _flag(name, getattr(spec, name), value)
        if spec.weights not in (IMAGENET, BUNDLED, SAVED_MODEL):
            yield from ("--weights", spec.weights)
    source = str(run.info.dataset.get("source_classes", ""))
    if source and source != spec.default_source_classes():
        yield from ("--source-classes", source)
    overrides = _overrides(run, workspace)
    if overrides:
        yield from ("--int-ext", overrides)


def _overrides(run: Run, workspace: Workspace) -> str | None:
    """The file that overrides INT and EXT, where the workspace still remembers it."""
    try:
        used = LastUsed.load(workspace)
    except RetrainError:
        return None
    same = str(used.image_dir) == run.info.dataset["image_dir"]
    return str(used.int_ext) if same and used.int_ext else None


def _training_flags(run: Run) -> Iterator[str]:
    usual = TrainingConfig()
    for field in dataclasses.fields(TrainingConfig):
        value = getattr(run.config, field.name)
        text = ",".join(value) if isinstance(value, tuple) else value
        yield from _flag(field.name, text, getattr(usual, field.name))
    yield from _flag("init_from", run.info.dataset.get("init_from"), None)
    folds = run.metrics.get(METRICS_KEY)
    if folds:
        yield from ("--cv", str(folds["folds"]))


def _flag(name: str, value: Any, usual: Any) -> Iterator[str]:
    if value is not None and value != usual:
        yield "--" + name.replace("_", "-")
        yield repr(value) if isinstance(value, float) else str(value)
