"""The options that all studies have in common, and what is done with them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.errors import ConfigError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.studies.study import StudySettings

if TYPE_CHECKING:
    from retrain_cli.studies.runner import StudyProgress
    from retrain_cli.studies.study import Study

_DEFAULT = StudySettings()
_TRAINING = _DEFAULT.training


def _common(
    ctx: typer.Context,
    repeats: Annotated[
        int, typer.Option(help="How often each condition is trained.")
    ] = _DEFAULT.repeats,
    seed: Annotated[
        int, typer.Option(help="Seed of the first repeat; the others count on from it.")
    ] = _TRAINING.seed,
    steps: Annotated[
        int, typer.Option(help="Optimiser steps of each head; for lbfgs the most iterations.")
    ] = _TRAINING.steps,
    optimizer: Annotated[
        str, typer.Option(help="adam, sgd, rmsprop, adamax, nadam, adamw, or lbfgs (full batch).")
    ] = _TRAINING.optimizer,
    learning_rate: Annotated[float, typer.Option(help="Step size.")] = _TRAINING.learning_rate,
    batch_size: Annotated[int, typer.Option(help="Images a step.")] = _TRAINING.batch_size,
    testing_percentage: Annotated[
        float, typer.Option(help="Share of the images for test.")
    ] = _TRAINING.testing_percentage,
    validation_percentage: Annotated[
        float, typer.Option(help="Share of the images for validation.")
    ] = _TRAINING.validation_percentage,
    workers: Annotated[
        int | None,
        typer.Option(help="Heads trained at a time (default: one a core).", show_default=False),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write the figure to this .png, .svg or .pdf file.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print the main table as CSV.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Only its signature is used."""


def with_common_options(make: Callable[..., Study]) -> Callable[..., None]:
    """A command whose options are those of `make` and the common ones.

    Typer reads the options of a command from a signature; this one is put together of two.
    """
    own, common = inspect.signature(make).parameters, inspect.signature(_common).parameters

    def command(**values: Any) -> None:
        study = make(**{n: values["ctx"] if n == "ctx" else values.pop(n) for n in own})
        _conduct(study, values)

    command.__name__, command.__doc__ = make.__name__, make.__doc__
    # The type of what `make` returns is known to type checkers alone, and not needed here.
    hints = get_type_hints(make, localns={"Study": object}, include_extras=True)
    hints |= get_type_hints(_common, include_extras=True)
    merged = [common["ctx"], *({**own, **common}[n] for n in (*own, *common) if n != "ctx")]
    parameters = [
        parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in merged
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {name: hint for name, hint in hints.items() if name != "return"}
    return command


def _conduct(study: Study, values: dict[str, Any]) -> None:
    from retrain_cli.cli.views.study import show_study
    from retrain_cli.reports.plots.plot_files import check_format
    from retrain_cli.reports.plots.study_plots import plot_charts
    from retrain_cli.workflows.study import run_study

    ctx, workers, plot = values.pop("ctx"), values.pop("workers"), values.pop("plot")
    as_csv, as_json = values.pop("csv"), values.pop("json")
    if as_csv and as_json:
        raise ConfigError("choose one of --csv and --json, not both")
    if plot is not None:
        check_format(plot)  # before hours of training, not after
    settings = StudySettings(values.pop("repeats"), TrainingConfig(**values))
    with console.progress(f"study {study.name}") as update:
        result = run_study(
            study,
            workspace_of(ctx),
            settings,
            workers=workers,
            on_progress=lambda progress: _tell(progress, update),
        )
    if plot is not None:
        plot_charts(result.charts, plot)
        console.note(f"wrote {plot}")
    show_study(result, "json" if as_json else "csv" if as_csv else "text")


def _tell(progress: StudyProgress, update: Callable[[console.Step], None]) -> None:
    if not progress.done and progress.kept:
        console.note(f"{progress.kept} trials were finished before; {progress.total} are left")
    update(console.Step(progress.done, progress.total, progress.condition))
