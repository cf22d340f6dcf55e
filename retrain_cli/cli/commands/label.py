"""`retrain label PATH...`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.grammar import check_goes_with
from retrain_cli.cli.options import ImagePaths, JsonForm, NullSeparated
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.cli.sources import images_of_stdin, named_sources
from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.reports.text import printable
from retrain_cli.workflows.label import LabelRequest

if TYPE_CHECKING:
    from pathlib import Path

    from retrain_cli.evaluation.curves.rejection import RejectionRule
    from retrain_cli.workflows.label import LabelledImage
    from retrain_cli.workflows.shared.embedding import Source


@command
def label(
    ctx: typer.Context,
    paths: ImagePaths,
    request: Annotated[
        LabelRequest,
        Fields(
            threshold="Leave out labels with a lower score.",
            reject="Leave photos unnamed that are none of the classes, or unsure.",
            max_error="With --reject: the share of the named that may be wrong.",
        ),
    ],
    null: NullSeparated,
    stdin_image: Annotated[
        bool,
        typer.Option("--stdin-image", help="Standard input is itself an image, or several."),
    ],
    form: JsonForm,
) -> None:
    """Label new images with a trained run, in input order, as they come.

    On a terminal it prints a table, in a pipe one JSON line per image:
    {"path": ..., "labels": [{"label": ..., "score": ...}]}. A file that is no good image gets
    {"path": ..., "labels": [], "error": ...} in its place.
    """
    from retrain_cli.engine import quiet_engine
    from retrain_cli.workflows.label import Labeller

    check_goes_with(ctx, {"max_error": "--max-error"}, "--reject", given=request.reject)
    check_goes_with(ctx, {"null": "--null"}, "- for a list of paths", given="-" in (paths or ()))
    sources = _sources(paths or [], null, stdin_image, workspace_of(ctx).root)
    as_json = form == "json" or not sys.stdout.isatty()
    good = bad = 0
    with (
        interrupts.keeping(lambda: f"{good + bad} file(s) were answered, all of them in full"),
        Labeller(request, workspace_of(ctx)) as labeller,
        quiet_engine(),
    ):
        _tell_rule(labeller.rule)
        for image in labeller.label(sources):
            (_print_json if as_json else _print_row)(image)
            console.flush()
            good, bad = (good, bad + 1) if image.error else (good + 1, bad)
    if bad:
        console.warn(f"{bad} of {good + bad} file(s) could not be labelled; see their errors")
    if not good:
        raise DatasetError("a label needs an image, and there was none that can be read")


def _tell_rule(rule: RejectionRule | None) -> None:
    if rule is None or rule.coverage is None or rule.error is None:
        return
    console.note(
        f"unknown is what scores below {rule.least_score:.3f} or is more novel than "
        f"{rule.most_novelty:.3f}: on {rule.n_images} validation images {rule.coverage.value:.1%} "
        f"are named, and {rule.error.value:.1%} of these wrongly (95% CI {rule.error.low:.1%} to "
        f"{rule.error.high:.1%})"
    )


def _print_json(image: LabelledImage) -> None:
    answer: dict[str, Any] = {
        "path": image.path,
        "labels": [{"label": label.label, "score": label.score} for label in image.labels],
    }
    if image.error:
        answer["error"] = image.error
    if image.novelty is not None:
        answer["novelty"] = image.novelty
    if image.rejected and image.best:
        answer["rejected"] = image.rejected
        answer["best"] = vars(image.best)
    console.line(console.to_json(answer))


def _print_row(image: LabelledImage) -> None:
    from rich.markup import escape

    shown = escape(printable(image.path))
    if image.error:
        console.styled(f"{shown}  [red]{escape(image.error)}[/]")
        return
    if image.rejected and image.best:
        guess = escape(printable(image.best.label))
        why = f"{image.rejected}: novelty {image.novelty:.2f}, {guess} {image.best.score:.1%}"
        console.styled(f"{shown}  [yellow]unknown[/] [dim]({why})[/]")
        return
    labels = [
        f"[{'bold' if place == 0 else 'dim'}]{escape(printable(label.label))} {label.score:.1%}[/]"
        for place, label in enumerate(image.labels)
    ]
    console.styled(f"{shown}  {'  '.join(labels) or '[dim]no label reaches the threshold[/]'}")


def _sources(paths: list[str], null: bool, stdin_image: bool, workspace: Path) -> Iterable[Source]:
    if stdin_image:
        if paths:
            raise ConfigError("--stdin-image takes its image from standard input, not from a path")
        return images_of_stdin()
    if not paths:
        raise ConfigError("label needs images: paths, folders, or - for a list on standard input")
    return named_sources(paths, "\0" if null else "\n", [workspace])
