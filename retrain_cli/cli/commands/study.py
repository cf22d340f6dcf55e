"""`retrain study NAME`: one function for each study, of its own options alone.

`_study` adds the options that all studies have, runs the study and shows its result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import typer

from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.options import SIZES, OwnTop
from retrain_cli.cli.signatures import Fields, chained
from retrain_cli.cli.study_options import conduct
from retrain_cli.studies.protocols.cost import CostStudy
from retrain_cli.studies.protocols.difficulty import DifficultyStudy
from retrain_cli.studies.protocols.examples import ExamplesStudy
from retrain_cli.studies.protocols.few_shot import FewShotStudy
from retrain_cli.studies.protocols.histogram import HistogramStudy
from retrain_cli.studies.protocols.int_ext import IntExtStudy
from retrain_cli.studies.protocols.stock import StockStudy
from retrain_cli.studies.protocols.tuning_guide import TuningGuideStudy
from retrain_cli.studies.study import Study

app = typer.Typer(
    help="Run the paper's experiments on your own photos: how effective is transfer learning here?",
    no_args_is_help=True,
)


def _study(name: str) -> Callable[[Callable[..., Study]], Callable[..., Study]]:
    """Make a command of a function that makes a study of its options."""

    def register(make: Callable[..., Study]) -> Callable[..., Study]:
        app.command(name)(chained(make, conduct))
        return make

    return register


@_study("int-ext")
def int_ext(
    study: Annotated[
        IntExtStudy,
        Fields(
            classes="Classes of each classifier (default: 100 as in the paper, or as many as the "
            "photos allow).",
            mixes="How many mixes, from all EXT to all INT in equal steps.",
        ),
    ],
) -> Study:
    """Accuracy of classifiers of known (INT) and new (EXT) classes in several mixes (Figs. 6, 7).

    Each repeat draws other target classes at random. Mixes that the photos do not allow are
    named and left out.
    """
    return study


@_study("examples")
def examples(
    study: Annotated[
        ExamplesStudy,
        Fields(target="The top-1 accuracy that is wanted; says what it would take."),
    ],
) -> Study:
    """Accuracy against the number of training images per class (Fig. 8).

    A power law fitted to the curve tells how many more photos a wanted accuracy would take, overall
    and for each class. The fit is checked: made on the smaller sizes, it predicts the largest.
    """
    return study


@_study("histogram")
def histogram(study: Annotated[HistogramStudy, Fields()]) -> Study:
    """Histograms of per-class accuracy for several numbers of training images (Fig. 9)."""
    return study


@_study("difficulty")
def difficulty(
    study: Annotated[
        DifficultyStudy,
        Fields(
            few="The size that counts as few (default: the smallest).",
            easy="Easy: at least this share of its best accuracy with few images.",
            difficult="Difficult: less than this share.",
        ),
    ],
) -> Study:
    """Classes that are easy, moderate or difficult to learn from few images (Fig. 10)."""
    return study


@_study("cost")
def cost(
    ctx: typer.Context,
    epochs: Annotated[
        int, typer.Option(help="Epochs that training from scratch on your photos would take.")
    ] = CostStudy.epochs,
) -> Study:
    """Time, energy, memory and disk of re-training, against training from scratch.

    Re-training is measured; what training from scratch would cost is an estimate, with its source.
    """
    from retrain_cli.workflows.study import cost_facts

    return CostStudy(cost_facts(workspace_of(ctx)), epochs)


@_study("tuning-guide")
def tuning_guide() -> Study:
    """Accuracy and time by batch size, learning rate, steps and optimiser; recommends one setting.

    One setting is varied at a time around the protocol that the options below name.
    """
    return TuningGuideStudy()


@_study("few-shot")
def few_shot(
    study: Annotated[
        FewShotStudy,
        Fields(
            left_out="Classes to leave out, one at a time.",
            sizes=replace(SIZES, help="From how many photos they are added again."),
            retrain="Also train all classes again each time; takes long.",
        ),
    ],
) -> Study:
    """A class left out, then added from a few photos: its rank, and the others' cost (Fig. 11)."""
    return study


@_study("stock")
def stock(ctx: typer.Context, top: OwnTop) -> Study:
    """The backbone's own classifier against the new head, on classes that it already knew (INT)."""
    from retrain_cli.workflows.shared.kept_sources import load_stock_classes
    from retrain_cli.workflows.shared.last_used import LastUsed

    known = load_stock_classes(LastUsed.load(workspace_of(ctx)), top)
    return StockStudy(known.head, known.source)
