"""`retrain dataset split`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli.cli import console
from retrain_cli.cli.context import comma_separated, workspace_of
from retrain_cli.cli.grammar import Group, RetrainCommand
from retrain_cli.cli.options import Described, JsonForm
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.workflows.transfer.split_by_similarity import SimilaritySplitRequest

if TYPE_CHECKING:
    from retrain_cli.workflows.transfer.split_by_similarity import SimilaritySplit

app = typer.Typer(
    cls=Group,
    add_completion=False,
    help="Divide the photos of the dataset last used, for use elsewhere.",
    no_args_is_help=True,
)


@app.callback()
def _only_a_group() -> None:
    """Typer takes an application with one command for that command."""


@app.command(cls=RetrainCommand)
@command
def split(
    ctx: typer.Context,
    request: Annotated[
        SimilaritySplitRequest,
        Fields(
            by_similarity="A new or empty folder that gets source.txt and target.txt, a photo's "
            "path a line.",
            links="Write source/CLASS/ and target/CLASS/ with symbolic links to the photos, too.",
            classes=Described(
                "Photos of these classes only, such as ant,bee.",
                parser=comma_separated,
                metavar="NAME,NAME,...",
            ),
            linkage="How far apart two clusters are.",
            metric="How far apart two photos are; ward needs euclidean.",
        ),
    ],
    form: JsonForm,
) -> None:
    """Divide each class in two by similarity: a larger source, a smaller and different target.

    As `retrain study source-target` does: the photos of each class are clustered by their cached
    bottlenecks, and the first two clusters are taken. Groups of photos that stay in one split
    (_nohash_ names, duplicates) stay together. The photos are left alone.
    """
    from retrain_cli.workflows.transfer.split_by_similarity import split_by_similarity

    found = split_by_similarity(request, workspace_of(ctx))
    if form == "json":
        console.document(found.to_dict())
    else:
        show_split(found)


def show_split(found: SimilaritySplit) -> None:
    """The counts of each class, and what was written."""
    rows = [[one.name, f"{one.source:,}", f"{one.target:,}"] for one in found.classes]
    console.table(console.Table(("class", "source", "target"), rows, right=(1, 2)))
    console.note(
        f"mean cosine distance of source and target: {found.distance:.4f}, of their mean vectors: "
        f"{found.distance_of_means:.4f}"
    )
    for path in found.files:
        console.note(f"wrote {path}")
