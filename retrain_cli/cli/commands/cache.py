"""`retrain cache info|verify|gc|merge|export`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.completion import cache_names
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.grammar import Group, RetrainCommand
from retrain_cli.cli.options import DryRun, JsonForm
from retrain_cli.cli.signatures import command
from retrain_cli.errors import CacheError
from retrain_cli.exporting.vectors import formats_in_words

if TYPE_CHECKING:
    from retrain_cli.workflows.cache import CacheCheck, RowListener

app = typer.Typer(
    cls=Group,
    add_completion=False,
    help="Look into, check, tidy, merge and export the cache.",
    no_args_is_help=True,
)


@app.command(cls=RetrainCommand)
@command
def info(ctx: typer.Context, form: JsonForm) -> None:
    """Show sizes and counts for each backbone."""
    from retrain_cli.backbones.digests import settings_of
    from retrain_cli.workflows.cache import CacheInfo, list_caches

    caches = list_caches(workspace_of(ctx))
    if form == "json":
        console.document([{**vars(cache), "path": str(cache.path)} for cache in caches])
    elif not caches:
        _note_if_none(caches)
    else:
        columns = ("cache", "bottlenecks", "width", "size", "settings", "img/s", "")

        def row(cache: CacheInfo) -> list[str]:
            rate = cache.images_per_second
            return [
                cache.name,
                f"{cache.bottlenecks:,}{_arrays(cache.arrays)}",
                str(cache.width or ""),
                console.size(cache.bytes),
                ", ".join(filter(None, (settings_of(cache.identity), _kept_as(cache.dtype)))),
                f"{rate:.1f}" if rate else "",
                "last used" if cache.in_use else "",
            ]

        rows = [row(cache) for cache in caches]
        console.table(console.Table(columns, rows, right=(1, 2, 3, 5), prose=(4,)))


@app.command(cls=RetrainCommand)
@command
def verify(
    ctx: typer.Context,
    cache: Annotated[
        str | None,
        typer.Argument(
            help="Name of one cache, or how it begins (default: all).", autocompletion=cache_names
        ),
    ],
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Remove damaged rows, save what is sound in a damaged file."),
    ],
    form: JsonForm,
) -> None:
    """Check every cached bottleneck; exits with 3 where one is damaged."""
    from retrain_cli.workflows.cache import verify_caches

    seen: list[console.Step] = []
    with interrupts.keeping(lambda: _checked(seen)), console.progress("checking") as update:
        on_row = _each(update, seen)
        checks = verify_caches(workspace_of(ctx), cache, repair=repair, on_row=on_row)
    if form == "json":
        console.document([check.to_dict() for check in checks])
    _note_if_none(checks)
    for check in checks:
        for damage in check.damaged:
            console.warn(f"{check.name}: {damage.digest or 'the file'}: {damage.reason}")
        if form != "json":
            console.line(
                f"{check.name}: {check.bottlenecks:,} bottlenecks{_arrays(check.arrays)}, "
                f"{_found(check, repair)}"
            )
    left = [check.name for check in checks if check.unrepaired]
    if left:
        raise CacheError(
            f"every row must be sound, and some are damaged in {', '.join(left)}: `retrain cache "
            "verify --repair` removes damaged rows and saves the sound ones of a damaged file"
        )


def _kept_as(dtype: str) -> str:
    """Told where it is not the usual."""
    return f"{dtype} rows" if dtype != "float32" else ""


def _arrays(count: int) -> str:
    """Told where there are any; most caches have none."""
    return f" and {count:,} arrays" if count else ""


def _found(check: CacheCheck, repair: bool) -> str:
    salvaged = check.salvaged
    if salvaged is not None:
        return (
            f"the file was damaged: {salvaged.saved:,} saved into a new one, {salvaged.lost:,} "
            f"lost, the old one kept as {salvaged.kept_as.name}"
        )
    before = f" ({check.checked_before:,} of them checked before)" if check.checked_before else ""
    if not check.damaged:
        return f"all sound{before}"
    removed = f", {check.removed:,} removed" if repair else ""
    return f"{len(check.damaged):,} damaged{removed}{before}"


_SWEPT = "what was removed stays removed: the same command goes on, and gives its space back"


def _checked(seen: Sequence[console.Step]) -> str:
    """What an interrupted check keeps."""
    if not seen:
        return "no row was checked yet"
    step = seen[-1]
    return (
        f"{step.done:,} of {step.total:,} rows of {step.stage} are checked: `retrain cache verify "
        f"{step.stage}` goes on with the others"
    )


@app.command(cls=RetrainCommand)
@command
def gc(
    ctx: typer.Context,
    dry_run: DryRun,
    form: JsonForm,
) -> None:
    """Remove bottlenecks of photos that no known image folder holds any more.

    Folders are known as they were when `retrain bottlenecks` last looked. Converted networks that
    no cache and no run uses go, too.
    """
    from retrain_cli.workflows.cache import collect_garbage
    from retrain_cli.workflows.shared.unused_models import remove_unused_models

    workspace = workspace_of(ctx)
    with interrupts.keeping(lambda: _SWEPT), console.progress("tidying") as update:
        checks = collect_garbage(
            workspace, dry_run=dry_run, on_warning=console.warn, on_row=_each(update)
        )
        models = remove_unused_models(workspace, dry_run=dry_run)
    if form == "json":
        networks = [{"name": model.name, "bytes": model.bytes} for model in models]
        console.document({"caches": [check.to_dict() for check in checks], "networks": networks})
        return
    _note_if_none(checks)
    for check in checks:
        verb = "would be removed" if dry_run else "removed"
        console.line(
            f"{check.name}: {check.removed:,} {verb}, {check.bottlenecks:,}"
            f"{_arrays(check.arrays)} in the cache"
        )
    for model in models:
        verb = "would be removed" if dry_run else "removed"
        console.line(f"{model.name}: converted network {verb}, {console.size(model.bytes)}")


@app.command(cls=RetrainCommand)
@command
def merge(
    ctx: typer.Context,
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Other workspaces, shards, folders of shards, cache files, or Parquet parts that "
            "workers wrote (default: the shards of this workspace)."
        ),
    ],
) -> None:
    """Take over the bottlenecks that other machines or shards computed.

    Each is taken once. A merge that was cut short loses nothing and can be repeated.
    """
    from retrain_cli.cli.views.merge import show_merge
    from retrain_cli.workflows.sharding.merging import merge_caches

    with console.progress("merging") as update:
        merged = merge_caches(workspace_of(ctx), sources or (), _each(update), console.warn)
    show_merge(merged)


@app.command(cls=RetrainCommand)
@command
def export(
    ctx: typer.Context,
    target: Annotated[Path, typer.Argument(help=f"File to write: {formats_in_words()}.")],
) -> None:
    """Write the bottlenecks of the image folder last used, with path, class and split."""
    from retrain_cli.workflows.cache import export_cache

    with console.progress("exporting") as update:
        count = export_cache(
            workspace_of(ctx), target, lambda done, total: update(console.Step(done, total))
        )
    console.note(f"wrote {count:,} bottlenecks to {target}")


def _each(
    update: Callable[[console.Step], None], seen: list[console.Step] | None = None
) -> RowListener:
    """Progress through the rows of one cache file after the other; `seen` is given the last."""

    def on_row(name: str, done: int, total: int) -> None:
        step = console.Step(done, total, stage=name)
        if seen is not None:
            seen[:] = [step]
        update(step)

    return on_row


def _note_if_none(caches: Sequence[object]) -> None:
    if not caches:
        console.note("no cache yet: `retrain bottlenecks IMAGE_DIR` makes one")
