"""`retrain study NAME`: one function for each study, of its own options alone.

`_study` adds the options that all studies have, runs the study and shows its result.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli.cli.context import numbers, workspace_of
from retrain_cli.cli.study_options import with_common_options

if TYPE_CHECKING:
    from retrain_cli.studies.study import Study

_Sizes = Annotated[
    str | None,
    typer.Option(
        help="Training images per class, such as 3,5,10; all images are always the last.",
        show_default=False,
    ),
]

app = typer.Typer(
    help="Run the paper's experiments on your own photos: how effective is transfer learning here?",
    no_args_is_help=True,
)


def _study(name: str) -> Callable[[Callable[..., Study]], Callable[..., Study]]:
    """Make a command of a function that makes a study of its options."""

    def register(make: Callable[..., Study]) -> Callable[..., Study]:
        app.command(name)(with_common_options(make))
        return make

    return register


@_study("int-ext")
def int_ext(
    classes: Annotated[
        int | None,
        typer.Option(
            help="Classes of each classifier (default: 100 as in the paper, or as many as the "
            "photos allow).",
            show_default=False,
        ),
    ] = None,
    mixes: Annotated[
        int, typer.Option(help="How many mixes, from all EXT to all INT in equal steps.")
    ] = 11,
) -> Study:
    """Accuracy of classifiers of known (INT) and new (EXT) classes in several mixes (Figs. 6, 7).

    Each repeat draws other target classes at random. Mixes that the photos do not allow are
    named and left out.
    """
    from retrain_cli.studies.protocols.int_ext import IntExtStudy

    return IntExtStudy(classes, mixes)


@_study("examples")
def examples(
    sizes: _Sizes = None,
    target: Annotated[
        float, typer.Option(help="The top-1 accuracy that is wanted; says what it would take.")
    ] = 0.9,
) -> Study:
    """Accuracy against the number of training images per class (Fig. 8).

    A power law fitted to the curve tells how many more photos a wanted accuracy would take, overall
    and for each class. The fit is checked: made on the smaller sizes, it predicts the largest.
    """
    from retrain_cli.studies.protocols.examples import ExamplesStudy

    return ExamplesStudy(**_given(sizes), target=target)


@_study("histogram")
def histogram(sizes: _Sizes = None) -> Study:
    """Histograms of per-class accuracy for several numbers of training images (Fig. 9)."""
    from retrain_cli.studies.protocols.histogram import HistogramStudy

    return HistogramStudy(**_given(sizes))


@_study("difficulty")
def difficulty(
    sizes: _Sizes = None,
    few: Annotated[
        int | None,
        typer.Option(
            help="The size that counts as few (default: the smallest).", show_default=False
        ),
    ] = None,
    easy: Annotated[
        float, typer.Option(help="Easy: at least this share of its best accuracy with few images.")
    ] = 0.9,
    difficult: Annotated[float, typer.Option(help="Difficult: less than this share.")] = 0.7,
) -> Study:
    """Classes that are easy, moderate or difficult to learn from few images (Fig. 10)."""
    from retrain_cli.studies.protocols.difficulty import DifficultyStudy

    return DifficultyStudy(**_given(sizes), few=few, easy=easy, difficult=difficult)


def _given(sizes: str | None) -> dict[str, tuple[int, ...]]:
    """The sizes if there are any; else the study knows its own."""
    return {} if sizes is None else {"sizes": numbers(sizes, "--sizes")}


@_study("cost")
def cost(
    ctx: typer.Context,
    epochs: Annotated[
        int, typer.Option(help="Epochs that training from scratch on your photos would take.")
    ] = 100,
) -> Study:
    """Time, energy, memory and disk of re-training, against training from scratch.

    Re-training is measured; what training from scratch would cost is an estimate, with its source.
    """
    from retrain_cli.studies.protocols.cost import CostStudy
    from retrain_cli.workflows.study import cost_facts

    return CostStudy(cost_facts(workspace_of(ctx)), epochs)


@_study("tuning-guide")
def tuning_guide() -> Study:
    """Accuracy and time by batch size, learning rate, steps and optimiser; recommends one setting.

    One setting is varied at a time around the protocol that the options below name.
    """
    from retrain_cli.studies.protocols.tuning_guide import TuningGuideStudy

    return TuningGuideStudy()


@_study("few-shot")
def few_shot(
    classes: Annotated[int, typer.Option(help="Classes to leave out, one at a time.")] = 10,
    sizes: Annotated[
        str | None,
        typer.Option(
            help="From how many photos they are added again (default: 1,3,5,10).",
            show_default=False,
        ),
    ] = None,
    retrain: Annotated[
        bool,
        typer.Option("--retrain", help="Also train all classes again each time; takes long."),
    ] = False,
) -> Study:
    """A class left out, then added from a few photos: its rank, and the others' cost (Fig. 11)."""
    from retrain_cli.studies.protocols.few_shot import FewShotStudy

    return FewShotStudy(classes, **_given(sizes), retrain=retrain)


@_study("stock")
def stock(
    ctx: typer.Context,
    top: Annotated[
        Path | None,
        typer.Option(
            help="Weights file of the backbone with its own classifier (default: the backbone's "
            "weights file; for imagenet weights the one that Keras publishes)."
        ),
    ] = None,
) -> Study:
    """The backbone's own classifier against the new head, on classes that it already knew (INT)."""
    from retrain_cli.studies.protocols.stock import StockStudy
    from retrain_cli.workflows.shared.kept_sources import load_stock_classes
    from retrain_cli.workflows.shared.last_used import LastUsed

    known = load_stock_classes(LastUsed.load(workspace_of(ctx)), top)
    return StockStudy(known.head, known.source)
