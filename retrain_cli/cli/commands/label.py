"""`retrain label PATH...`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.grammar import check_goes_with
from retrain_cli.cli.options import Described, ImagePaths, NullSeparated, TableForm
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.cli.sources import images_of_stdin, named_sources
from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.workflows.label import LabelRequest
from retrain_cli.workflows.sort_photos import UNNAMED, PhotoSorter, SortRequest

if TYPE_CHECKING:
    from retrain_cli.evaluation.curves.rejection import RejectionRule
    from retrain_cli.workflows.label import LabelledImage
    from retrain_cli.workflows.portable.file_labeller import AnyLabeller
    from retrain_cli.workflows.shared.embedding import Source


@command
def label(
    ctx: typer.Context,
    paths: ImagePaths,
    request: Annotated[
        LabelRequest,
        Fields(
            threshold="Leave out labels with a lower score.",
            reject="Leave photos unnamed that look like none of the classes, or unsure; says how "
            "many unknown ones to expect.",
            max_error="With --reject: the share of the named that may be wrong.",
            top_k=Described("Labels an image (default: 1; in JSON 5).", "-k"),
            model="Label with this file of `export` in place of a run; for ONNX, LiteRT and "
            "OpenVINO without TensorFlow.",
            bundle="Label with this file of `bundle` in place of a run.",
            trust_model="Let a SavedModel that was exported elsewhere run: it is a program.",
        ),
    ],
    sorting: Annotated[
        SortRequest,
        Fields(
            sort_into="Put a copy of each photo into the folder of its label in this folder; "
            f"{UNNAMED} gets those without one. What is there stays, and is not copied again.",
            link="With --sort-into: links in place of copies.",
            move="With --sort-into: move the photos themselves.",
        ),
    ],
    null: NullSeparated,
    stdin_image: Annotated[
        bool,
        typer.Option("--stdin-image", help="Standard input is itself an image, or several."),
    ],
    form: TableForm,
) -> None:
    """Label new images with a trained run, in input order, as they come.

    On a terminal it prints a table and how many photos each class got, in a pipe one JSON line per
    image: {"path": ..., "labels": [{"label": ..., "score": ...}]}. A file that is no good image
    gets {"path": ..., "labels": [], "error": ...} in its place, and is never sorted.
    """
    from retrain_cli.cli.views.label import LabelView
    from retrain_cli.engine import quiet_engine
    from retrain_cli.workflows.label import USUAL_TOP_K
    from retrain_cli.workflows.portable.file_labeller import open_labeller

    check_goes_with(ctx, {"max_error": "--max-error"}, "--reject", given=request.reject)
    check_goes_with(ctx, {"null": "--null"}, "- for a list of paths", given="-" in (paths or ()))
    if stdin_image and sorting.sort_into is not None:
        raise ConfigError("--sort-into takes photos that are files, and --stdin-image gives none")
    ignored = [workspace_of(ctx).root, *([sorting.sort_into] if sorting.sort_into else [])]
    sources = _sources(paths or [], null, stdin_image, ignored)
    if form == "text" and not sys.stdout.isatty():
        form = "json"
    request = replace(request, top_k=request.top_k or (USUAL_TOP_K if form == "json" else 1))
    good = bad = 0
    with (
        interrupts.keeping(lambda: f"{good + bad} file(s) were answered, all of them in full"),
        console.progress("labelling") as update,
        open_labeller(request, workspace_of(ctx)) as labeller,
        _sorter(sorting, labeller) as sort,
        quiet_engine(),
    ):
        _tell_rule(labeller.rule, labeller.unknown_rejected)
        view = LabelView(
            form, labeller.labels, request.top_k or 1, sorts=sorting.sort_into is not None
        )
        for image in labeller.label(sources):
            view.show(image, sort(image))
            good, bad = (good, bad + 1) if image.error else (good + 1, bad)
            if not sys.stdout.isatty():  # on a terminal the answers themselves show it
                update(console.Step(good + bad, 0, f"{bad:,} bad" if bad else ""))
    view.summarise()
    if sorting.sort_into is not None:
        console.note(f"{good:,} photo(s) are in {sorting.sort_into}, by label")
    if bad:
        console.warn(f"{bad} of {good + bad} file(s) could not be labelled; see their errors")
    if not good:
        raise DatasetError("a label needs an image, and there was none that can be read")


@contextmanager
def _sorter(
    sorting: SortRequest, labeller: AnyLabeller
) -> Iterator[Callable[[LabelledImage], Path | None]]:
    """What puts an image where it belongs, and says where that is."""
    if sorting.sort_into is None:
        yield lambda image: None
        return
    with PhotoSorter(sorting, labeller.labels) as sorter:

        def sort(image: LabelledImage) -> Path | None:
            if image.error:
                return None
            return sorter.place(Path(image.path), image.labels[0].label if image.labels else None)

        yield sort


def _tell_rule(rule: RejectionRule | None, unknown_rejected: float | None) -> None:
    if unknown_rejected is None or rule is None or rule.coverage is None or rule.error is None:
        return
    console.note(
        f"unknown is what scores below {rule.least_score:.3f} or is more novel than "
        f"{rule.most_novelty:.3f}: on {rule.n_images} validation images {rule.coverage.value:.1%} "
        f"are named, and {rule.error.value:.1%} of these wrongly (95% CI {rule.error.low:.1%} to "
        f"{rule.error.high:.1%}); of photos of a class that is not there, about "
        f"{unknown_rejected:.0%} are expected to be unknown (estimated by leaving classes out)"
    )


def _sources(
    paths: list[str], null: bool, stdin_image: bool, ignored: list[Path]
) -> Iterable[Source]:
    if stdin_image:
        if paths:
            raise ConfigError("--stdin-image takes its image from standard input, not from a path")
        return images_of_stdin()
    if not paths:
        raise ConfigError("label needs images: paths, folders, or - for a list on standard input")
    return named_sources(paths, "\0" if null else "\n", ignored)
