"""`retrain similar IMAGE...`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.grammar import check_goes_with
from retrain_cli.cli.options import ImagePaths, JsonForm, NullSeparated
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.cli.sources import named_sources
from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.workflows.similar import SimilarRequest

if TYPE_CHECKING:
    from retrain_cli.workflows.similar import SimilarImages


@command
def similar(
    ctx: typer.Context,
    paths: ImagePaths,
    request: Annotated[
        SimilarRequest,
        Fields(
            split="Among which photos.",
            search="exact compares with each photo, index with few (an extra); auto is exact up to "
            "a million photos.",
        ),
    ],
    null: NullSeparated,
    form: JsonForm,
) -> None:
    """Find the training photos that are most like an image.

    By the cosine of the bottlenecks. In a pipe it prints path, class and similarity, separated by
    tabs, nearest first; for several images the image comes before them.
    """
    from retrain_cli.workflows.similar import SimilarSearch

    if not paths:
        raise ConfigError("similar needs images: paths, folders, or - for a list on standard input")
    check_goes_with(ctx, {"null": "--null"}, "- for a list of paths", given="-" in (paths or ()))
    sources = named_sources(paths, "\0" if null else "\n", [workspace_of(ctx).root])
    several = len(paths) > 1 or paths == ["-"]
    good = bad = 0
    with (
        console.progress("searching") as update,
        SimilarSearch(request, workspace_of(ctx)) as photos,
    ):
        for image in photos.search(sources):
            good, bad = (good, bad + 1) if image.error else (good + 1, bad)
            if not sys.stdout.isatty():  # on a terminal the answers themselves show it
                update(console.Step(good + bad, 0))
            if form == "json":
                _print_json(image)
            elif image.error:
                console.warn(f"{image.path}: {image.error}")
            else:
                _print_rows(image, several=several)
            console.flush()
    if not good:
        raise DatasetError("a search needs an image, and there was none that can be read")


def _print_json(image: SimilarImages) -> None:
    answer = {
        "path": image.path,
        "similar": [
            {"path": photo.path, "class": photo.class_name, "similarity": photo.similarity}
            for photo in image.photos
        ],
    }
    if image.error:
        answer["error"] = image.error
    console.line(console.to_json(answer))


def _print_rows(image: SimilarImages, *, several: bool) -> None:
    rows = [[photo.path, photo.class_name, f"{photo.similarity:.4f}"] for photo in image.photos]
    if sys.stdout.isatty():
        columns = ("photo", "class", "similarity")
        console.table(console.Table(columns, rows, title=image.path, right=(2,)))
        return
    for row in rows:
        console.tab_separated([image.path, *row] if several else row)
