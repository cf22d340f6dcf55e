"""The figures of an evaluation, each described once.

Text, CSV, JSON, HTML and Markdown loop over the three lists below. To add a figure, compute it in a
file of this folder and describe it here:

- `HEADLINES`: kept with every run and every fold, and shown at the top of a report;
- `FIGURES`: one number for the whole evaluation;
- `CLASS_FIGURES`: one number for each class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from retrain_cli.evaluation.curves.class_curves import Curves
from retrain_cli.evaluation.curves.rank_counts import RankCounts
from retrain_cli.evaluation.intervals import Estimate
from retrain_cli.evaluation.reliability import Reliability
from retrain_cli.evaluation.result import HISTOGRAM_BINS, ClassResult, EvalResult, TopK

Value = Estimate | float | None
"""None is not defined."""

Form = Literal["percent", "number"]
"""How a figure is written: a share as 93.1%, anything else as 0.931."""

Section = Literal["summary", "curves", "calibration"]
"""Where a report shows a figure; those of `curves` need the scores of all classes."""

Place = Literal["text", "csv", "html"]
"""Tables of classes that may have a column for a figure; JSON has every figure."""

EVERYWHERE: frozenset[Place] = frozenset(("text", "csv", "html"))


@dataclass(frozen=True, eq=False)
class Measured:
    """What figures are computed from.

    Attributes:
        result: counts, and what follows from them.
        curves: ROC and precision-recall curves; None where they cannot be computed.
    """

    result: EvalResult
    curves: Curves | None = None


# -- kept with every run, and shown at the top ---------------------------------------------------


@dataclass(frozen=True)
class Headline:
    """An accuracy that a run is known by: a share of photos, or a mean over classes.

    Attributes:
        name: its key in `metrics.json`.
        title: as shown.
        of: the figure; None where it is not defined.
        counted: what it is a share of, in words.
        otherwise: why it may not be defined.
        is_card: whether it stands at the top of a report.
    """

    name: str
    title: str
    of: Callable[[EvalResult], Estimate | None]
    counted: Callable[[EvalResult], str]
    otherwise: str = ""
    is_card: bool = True


def _top(result: EvalResult, k: int) -> TopK:
    return next(top for top in result.top if top.k == k)


def _photos(result: EvalResult) -> str:
    return f"of {result.n_images:,} photos"


def _classes(result: EvalResult) -> str:
    return f"mean of {result.n_classes - result.n_empty_classes:,} classes"


def _int(result: EvalResult) -> str:
    return f"mean of {result.n_int_classes:,} classes"


def _ext(result: EvalResult) -> str:
    return f"mean of {result.n_ext_classes:,} classes"


_NONE = "no such class"
HEADLINES: tuple[Headline, ...] = (
    Headline("top1", "Top-1", lambda r: _top(r, 1).overall, _photos),
    Headline("macro_top1", "Macro top-1", lambda r: _top(r, 1).macro, _classes, _NONE),
    Headline("top5", "Top-5", lambda r: _top(r, 5).overall, _photos, "needs more classes"),
    Headline("int_top1", "INT top-1", lambda r: _top(r, 1).int_macro, _int, _NONE),
    Headline("ext_top1", "EXT top-1", lambda r: _top(r, 1).ext_macro, _ext, _NONE),
    Headline("int_top5", "INT top-5", lambda r: _top(r, 5).int_macro, _int, _NONE, is_card=False),
    Headline("ext_top5", "EXT top-5", lambda r: _top(r, 5).ext_macro, _ext, _NONE, is_card=False),
)


def headline_figures(result: EvalResult) -> dict[str, float | int | None]:
    """The number of images, and each of `HEADLINES`; None where one is not defined.

    Args:
        result: an evaluation at k = 1 and 5.
    """
    shares = {one.name: one.of(result) for one in HEADLINES}
    values = {name: share.value if share else None for name, share in shares.items()}
    return {"images": result.n_images, **values}


# -- of the whole evaluation ---------------------------------------------------------------------


@dataclass(frozen=True)
class Figure:
    """One number for the whole evaluation.

    Attributes:
        name: its key in JSON.
        title: as shown.
        of: the figure.
        form: how it is written.
        section: where a report shows it.
    """

    name: str
    title: str
    of: Callable[[Measured], Value]
    form: Form = "percent"
    section: Section = "summary"


def _curve_figure(name: str, title: str, of: Callable[[Curves], Value]) -> Figure:
    def value(measured: Measured) -> Value:
        return of(measured.curves) if measured.curves else None

    return Figure(name, title, value, "number", "curves")


def _score_figure(name: str, title: str, of: Callable[[Reliability], Value], form: Form) -> Figure:
    def value(measured: Measured) -> Value:
        return of(measured.result.reliability) if measured.result.reliability else None

    return Figure(name, title, value, form, "calibration")


FIGURES: tuple[Figure, ...] = (
    _curve_figure("macro_auc", "ROC AUC, one class against the rest, mean", lambda c: c.macro_auc),
    _curve_figure("micro_auc", "ROC AUC, all classes together (micro)", lambda c: c.micro_auc),
    _curve_figure(
        "macro_average_precision", "average precision, mean", lambda c: c.macro_average_precision
    ),
    _curve_figure(
        "micro_average_precision",
        "average precision, all classes together (micro)",
        lambda c: c.micro.average_precision,
    ),
    _score_figure("log_loss", "log loss", lambda scores: scores.log_loss, "number"),
    _score_figure(
        "expected_calibration_error",
        "expected calibration error",
        lambda scores: scores.expected_calibration_error,
        "percent",
    ),
)


# -- of each class -------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClassFigure:
    """One number for each class; top-k accuracies stand beside these, for every k asked for.

    Attributes:
        name: its key in JSON.
        title: as shown.
        of: the figure.
        form: how it is written.
        places: which tables of classes have a column for it.
        needs_curves: whether it needs the scores of all classes.
    """

    name: str
    title: str
    of: Callable[[Measured, ClassResult], Value]
    form: Form = "percent"
    places: frozenset[Place] = EVERYWHERE
    needs_curves: bool = False


def _class_curve_figure(
    name: str, title: str, of: Callable[[RankCounts], Value], *places: Place
) -> ClassFigure:
    def value(measured: Measured, row: ClassResult) -> Value:
        return of(measured.curves.classes[row.index]) if measured.curves else None

    return ClassFigure(name, title, value, "number", frozenset(places), needs_curves=True)


CLASS_FIGURES: tuple[ClassFigure, ...] = (
    ClassFigure("precision", "precision", lambda m, row: row.precision),
    # Top-1 is the recall of a class, so tables do not show it twice.
    ClassFigure("recall", "recall", lambda m, row: row.top1, places=frozenset()),
    ClassFigure("f1", "F1", lambda m, row: row.f1),
    _class_curve_figure("auc", "AUC", lambda curve: curve.auc_estimate, "csv", "html"),
    _class_curve_figure(
        "average_precision", "average precision", lambda curve: curve.average_precision, "csv"
    ),
)


def class_columns(place: Place, *, curves: bool) -> list[ClassFigure]:
    """The figures that a table of classes shows, with or without the need of curves."""
    return [one for one in CLASS_FIGURES if place in one.places and one.needs_curves == curves]


# -- as JSON -------------------------------------------------------------------------------------


def json_value(value: Value) -> Any:
    """A figure as JSON: null, a number, or a number with its interval."""
    return value.to_dict() if isinstance(value, Estimate) else value


def document(measured: Measured) -> dict[str, Any]:
    """Every figure as JSON values, null where not defined; without the confusion matrix."""
    result, reliability = measured.result, measured.result.reliability
    difference = result.int_ext_difference
    return {
        "split": result.split,
        "images": result.n_images,
        "classes": result.n_classes,
        "classes_without_images": result.n_empty_classes,
        "int_classes": result.n_int_classes,
        "ext_classes": result.n_ext_classes,
        "top": [top.to_dict() for top in result.top],
        "int_ext_difference": difference and difference.to_dict(),
        "averages": result.averages.to_dict(),
        **_figures(measured, "summary"),
        **_figures(measured, "calibration"),
        "reliability": [entry.to_dict() for entry in reliability.bins] if reliability else [],
        "confused_pairs": [pair.to_dict() for pair in result.confused_pairs()],
        "histogram": {
            "bins": list(HISTOGRAM_BINS),
            "all": list(result.histogram.all),
            "int": list(result.histogram.int_classes),
            "ext": list(result.histogram.ext_classes),
        },
        "per_class": [_class_document(measured, row) for row in result.classes],
        "curves": _figures(measured, "curves") if measured.curves else None,
    }


def _figures(measured: Measured, section: Section) -> dict[str, Any]:
    return {one.name: json_value(one.of(measured)) for one in FIGURES if one.section == section}


def _class_document(measured: Measured, row: ClassResult) -> dict[str, Any]:
    def values(*, curves: bool) -> dict[str, Any]:
        return {
            one.name: json_value(one.of(measured, row))
            for one in CLASS_FIGURES
            if one.needs_curves == curves
        }

    tops = zip(measured.result.ks, row.top, strict=True)
    return {
        "class": row.class_name,
        "origin": row.origin,
        "images": row.n_images,
        **{f"top{k}": accuracy for k, accuracy in tops},
        **values(curves=False),
        "confused_with": row.confused_with,
        "confused_count": row.confused_count,
        **(values(curves=True) if measured.curves else {}),
    }


def in_document(values: Mapping[str, Any], figure: Figure) -> Any:
    """A figure as it stands in what `document` made."""
    return (values["curves"] or {}).get(figure.name) if _is_curve(figure) else values[figure.name]


def _is_curve(figure: Figure) -> bool:
    return figure.section == "curves"
