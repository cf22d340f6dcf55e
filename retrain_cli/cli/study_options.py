"""The options that all studies have in common, and what is done with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.context import check_plot, workspace_of
from retrain_cli.cli.options import Plot, TableForm
from retrain_cli.cli.signatures import Fields
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.studies.protocols.freeze import FreezeStudySettings
from retrain_cli.studies.study import NetworkStudySettings, Study, StudySettings

if TYPE_CHECKING:
    from retrain_cli.extraction.progress import ExtractionCounts
    from retrain_cli.studies.runner import StudyProgress

_NOT_ASKED = (
    "views",
    "epsilon",
    "sampling",
    "balance",
    "prior",
    "tau",
    "l2",
    "examples_per_class",
    "classes",
    "eval_every",
    "patience",
)
"""Of the protocol: a study has them as the paper had."""


_OF_HEADS = tuple(one.name for one in dataclasses.fields(TrainingConfig) if one.name != "seed")
"""What has no meaning for a study that trains no heads."""


def conduct_freezing(
    study: Study,
    ctx: typer.Context,
    settings: Annotated[
        FreezeStudySettings,
        Fields(
            without=tuple(name for name in _OF_HEADS if not name.endswith("_percentage")),
            repeats="How often each model is trained.",
            testing_percentage="Share of the photos for test.",
            validation_percentage="Share of the photos for validation, which tells when to stop.",
            seed="Seed of the first repeat; the others count on from it.",
            same_split="Keep the same test photos in all repeats; the intervals do not tell then "
            "what other photos would do.",
        ),
    ],
    plot: Plot,
    form: TableForm,
) -> None:
    """As `conduct_networks`, with shares of photos to choose."""
    conduct(study, ctx, settings, None, plot, form)


def conduct_networks(
    study: Study,
    ctx: typer.Context,
    settings: Annotated[
        NetworkStudySettings,
        Fields(
            without=_OF_HEADS,
            repeats="How often each scheme is trained.",
            seed="Seed of the first run; the others count on from it.",
            same_split="Keep the same test photos in all runs; the intervals do not tell then what "
            "other photos would do.",
        ),
    ],
    plot: Plot,
    form: TableForm,
) -> None:
    """As `conduct`, for studies that train networks."""
    conduct(study, ctx, settings, None, plot, form)


def conduct(
    study: Study,
    ctx: typer.Context,
    settings: Annotated[
        StudySettings,
        Fields(
            without=_NOT_ASKED,
            repeats="How often each condition is trained.",
            seed="Seed of the first repeat; the others count on from it.",
            same_split="Keep the split of `train` in all repeats; the intervals do not tell then "
            "what other splits would do.",
        ),
    ],
    workers: Annotated[
        int | None, typer.Option(help="Heads trained at a time (default: one a core).")
    ],
    plot: Plot,
    form: TableForm,
) -> None:
    """Run a study and show its result."""
    from retrain_cli.cli.commands.bottlenecks import extraction_step, photos_kept
    from retrain_cli.cli.views.study import show_study
    from retrain_cli.reports.plots.study_plots import plot_charts
    from retrain_cli.workflows.study import run_study

    check_plot(plot)
    seen: list[ExtractionCounts] = []
    extracting = interrupts.keeping(lambda: photos_kept(seen))
    with (
        extracting if study.vectors_of or study.compares else nullcontext(),
        console.progress(f"study {study.name}") as update,
    ):
        result = run_study(
            study,
            workspace_of(ctx),
            settings,
            workers=workers,
            on_progress=lambda progress: _tell(progress, update),
            on_extraction=extraction_step(update, seen),
        )
    if plot is not None:
        plot_charts(result.charts, plot)
        console.note(f"wrote {plot}")
    show_study(result, form)


def _tell(progress: StudyProgress, update: Callable[[console.Step], None]) -> None:
    if not progress.done and progress.kept:
        console.note(f"{progress.kept} trials were finished before; {progress.total} are left")
    update(console.Step(progress.done, progress.total, progress.condition))
