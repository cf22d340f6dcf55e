"""`retrain similar IMAGE...`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.sources import named_sources
from retrain_cli.errors import ConfigError, DatasetError

if TYPE_CHECKING:
    from retrain_cli.workflows.similar import SimilarImages


def similar(
    ctx: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Images, folders, or - for a list of paths on standard input."),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Photos an image.")] = 5,
    split: Annotated[
        str, typer.Option(help="Among which photos: training, validation, test or all.")
    ] = "training",
    search: Annotated[
        str,
        typer.Option(
            help="exact, index (approximate; an extra), or auto: exact up to a million photos."
        ),
    ] = "auto",
    null: Annotated[
        bool, typer.Option("-0", "--null", help="The list on standard input is NUL-separated.")
    ] = False,
    batch_size: Annotated[int, typer.Option(help="Images a forward pass at most.")] = 32,
    workers: Annotated[
        int | None, typer.Option(help="Threads that read and decode (default: one a processor).")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, gpu or gpu:N.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="A JSON line an image.")] = False,
) -> None:
    """Find the training photos that are most like an image.

    By the cosine of the bottlenecks. In a pipe it prints path, class and similarity, separated by
    tabs, nearest first; for several images the image comes before them.
    """
    from retrain_cli.workflows.similar import SimilarRequest, SimilarSearch

    if not paths:
        raise ConfigError("similar needs images: paths, folders, or - for a list on standard input")
    request = SimilarRequest(k, split, search, batch_size, workers, device)
    sources = named_sources(paths, "\0" if null else "\n", [workspace_of(ctx).root])
    several = len(paths) > 1 or paths == ["-"]
    good = bad = 0
    with SimilarSearch(request, workspace_of(ctx)) as photos:
        for image in photos.search(sources):
            good, bad = (good, bad + 1) if image.error else (good + 1, bad)
            if json:
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
        console.line("\t".join([image.path, *row] if several else row))
