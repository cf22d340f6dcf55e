"""How the curve of coverage against accuracy looks."""

from __future__ import annotations

from retrain_cli.cli import console
from retrain_cli.evaluation.coverage import CoverageCurve, CoveragePoint
from retrain_cli.workflows.evaluate import Evaluation

_COLUMNS = ("answered", "images", "score at least", "accuracy", "95% CI")


def show_coverage(evaluation: Evaluation, form: str) -> None:
    """The curve of a run: text, CSV or JSON."""
    curve = evaluation.coverage()
    if form == "json":
        console.document({"run": evaluation.run.name, **curve.to_dict()})
    elif form == "csv":
        console.line("coverage,images,least_score,accuracy,low,high")
        for point in curve.points:
            console.line(_csv_line(point))
    else:
        console.table(console.Table(_COLUMNS, _rows(curve), right=range(5)))
        if curve.risk_area is not None:
            console.note(f"mean error over all coverages: {curve.risk_area:.2%}")


def _rows(curve: CoverageCurve) -> list[list[str]]:
    return [
        [
            f"{point.coverage:.0%}",
            str(point.n_images),
            f"{point.least_score:.3f}",
            f"{point.accuracy.value:.1%}",
            f"{100 * point.accuracy.low:.1f}-{point.accuracy.high:.1%}",
        ]
        for point in curve.points
        if point.accuracy is not None
    ]


def _csv_line(point: CoveragePoint) -> str:
    parts = [point.coverage, point.n_images, point.least_score]
    if point.accuracy is not None:
        parts += [point.accuracy.value, point.accuracy.low, point.accuracy.high]
    return ",".join(f"{part:.6g}" for part in parts)
