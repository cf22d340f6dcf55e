"""`retrain classes`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.grammar import check_goes_with
from retrain_cli.cli.options import JsonForm
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.errors import ConfigError
from retrain_cli.workflows.classes import SuggestRequest

if TYPE_CHECKING:
    from retrain_cli.workflows.classes import ClassInfo

_NOT_KNOWN = "n/a"


@command
def classes(
    ctx: typer.Context,
    suggest: Annotated[
        bool,
        typer.Option(
            "--suggest", help="Show what the backbone's own classifier sees in each class's photos."
        ),
    ],
    request: Annotated[
        SuggestRequest,
        Fields(least_share="Propose a source class that is seen in this share of photos."),
    ],
    write: Annotated[
        Path | None, typer.Option(help="Write the proposals as a file for --int-ext.")
    ],
    form: JsonForm,
) -> None:
    """List the classes of the dataset last used: INT or EXT, and why.

    With --suggest, the source class that the backbone itself sees in most photos of each class. A
    proposal is what the backbone takes them for, not what they are: a kangaroo is seen as a
    wallaby. Keep the lines that are true. It also doubts names aloud: a folder `mouse` is named
    like the computer mouse, and its photos may show the animal.
    """
    from retrain_cli.cli.views.names import show_hints
    from retrain_cli.workflows.classes import list_class_infos, write_override

    if not suggest and (request.top is not None or write is not None):
        raise ConfigError("--top and --write go with --suggest: add --suggest")
    check_goes_with(ctx, {"least_share": "--least-share"}, "--suggest", given=suggest)
    with console.progress("classes"):
        infos = list_class_infos(workspace_of(ctx), request if suggest else None)
    if form == "json":
        console.document([info.to_dict() for info in infos])
    else:
        console.listing(_table(infos, suggest), "--json has all")
    show_hints([info.origin for info in infos])
    for info in infos:
        _show_doubt(info)
    if write is not None:
        count = write_override(infos, write)
        console.note(
            f"wrote {count} proposals to {write}: remove the lines that are not true, then "
            f"`retrain bottlenecks IMAGE_DIR --int-ext {write}`"
        )


def _show_doubt(info: ClassInfo) -> None:
    """Say that a class is named like a source class that its photos do not look like."""
    if info.doubt is None:
        return
    name, most = info.origin.class_name, info.seen[0]
    console.warn(
        f"{name} is named like {info.origin.matched}, which the backbone sees in {info.doubt:.0%} "
        f"of its photos; most often ({most.share:.0%}) it sees {most.name}: where the name means "
        f"something else, write `{name},ext` into a file for --int-ext"
    )


def _table(infos: list[ClassInfo], suggest: bool) -> console.Table:
    columns = ["class", "INT/EXT", "because it is named", "images"]
    if not suggest:
        return console.Table(columns, [_row(info) for info in infos], right=(3,), prose=(2,))
    columns += ["seen most as", "share", "proposal"]
    rows = [[*_row(info), *_seen(info)] for info in infos]
    return console.Table(columns, rows, right=(3, 5), prose=(2, 6))


def _row(info: ClassInfo) -> list[str]:
    origin = info.origin
    return [
        origin.class_name,
        origin.origin or _NOT_KNOWN,
        origin.matched,
        f"{info.images:,}",
    ]


def _seen(info: ClassInfo) -> list[str]:
    if not info.seen:
        return ["", "", ""]
    most, proposal = info.seen[0], info.proposal
    proposed = f"{proposal.wnid} {proposal.name}" if proposal else ""
    return [most.name, f"{most.share:.0%}", proposed]
