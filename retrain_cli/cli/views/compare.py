"""How a comparison looks: figures, classes, settings, photos; as text, CSV or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from retrain_cli.cli import console
from retrain_cli.datasets.class_names import listed
from retrain_cli.evaluation.intervals import Estimate
from retrain_cli.reports.text import printable
from retrain_cli.workflows.compare import RunComparison

_MOST_CLASSES = 12
_NOT_THERE = "-"
_FIRST, _SECOND = "first", "second"
"""How the runs are called where their names are too long."""


def show_comparisons(comparisons: Sequence[RunComparison], form: console.Form) -> None:
    """Each run against the first."""
    if form == "json":
        console.document([comparison.to_dict() for comparison in comparisons])
    elif form == "csv":
        _show_csv(comparisons)
    else:
        for comparison in comparisons:
            _show(comparison)


def show_flips(comparisons: Sequence[RunComparison], form: console.Form) -> None:
    """The photos that exactly one run gets right."""
    if form == "json":
        console.document(
            [
                {"first": one.first.name, "second": one.second.name, **vars(flip)}
                for one in comparisons
                for flip in one.flips
            ]
        )
        return
    several = len(comparisons) > 1
    columns = (*(["run"] if several else []), "change", "path", "true", "first", "second")
    rows = [
        [
            *([comparison.second.name] if several else []),
            *(flip.change, flip.path, flip.true, flip.first, flip.second),
        ]
        for comparison in comparisons
        for flip in comparison.flips
    ]
    console.rows_for_programs(console.Table(columns, rows), form)


def _show(comparison: RunComparison) -> None:
    first, second = comparison.first.name, comparison.second.name
    console.styled(f"[bold]{_name(second)}[/] (second) against")
    console.styled(f"[bold]{_name(first)}[/] (first)")
    console.line(
        f"on {comparison.n_images:,} common test images of {comparison.n_classes:,} classes"
    )
    _warn(comparison)
    columns = ("", first, second, "difference", "95% CI", "p")
    rows = [
        [
            _figure_name(figure.name),
            f"{figure.first:.1%}",
            f"{figure.second:.1%}",
            *_points(figure.difference),
            "" if figure.p_value is None else f"{figure.p_value:.3g}",
        ]
        for figure in comparison.figures
    ]
    console.table(console.Table(columns, rows, right=range(1, 6), short={1: _FIRST, 2: _SECOND}))
    _show_verdict(comparison)
    _show_classes(comparison)
    _show_settings(comparison)
    _show_data(comparison)


def _warn(comparison: RunComparison) -> None:
    data = comparison.data
    for names, run in (
        (data.classes_removed, comparison.first),
        (data.classes_added, comparison.second),
    ):
        if names:
            console.warn(
                f"{len(names)} class(es) of {run.name} alone are left out ({_few(names)}); more "
                "classes make the same photos harder"
            )
    if data.relabelled:
        console.warn(f"{len(data.relabelled)} photo(s) in another class now are left out")


def _show_verdict(comparison: RunComparison) -> None:
    gained = sum(flip.change == "gained" for flip in comparison.flips)
    lost = len(comparison.flips) - gained
    top1 = comparison.figures[0]
    if top1.p_value is not None and top1.p_value < 0.05:
        verdict = "better" if gained > lost else "worse"
        word = f"{verdict} than {comparison.first.name}"
    else:
        word = f"not told apart from {comparison.first.name}"
    console.styled(f"[bold]{_name(comparison.second.name)} is {_name(word)}[/]")
    console.line(f"photos gained {gained:,}, lost {lost:,} (--flips lists them)")


def _show_classes(comparison: RunComparison) -> None:
    changes = comparison.classes
    if not changes:
        return
    first, second = comparison.first.name, comparison.second.name
    columns = ("class", "INT/EXT", "images", first, second, "gained", "lost", "p", "verdict")
    rows = [
        [
            change.class_name,
            change.origin or "n/a",
            str(change.n_images),
            f"{change.first:.1%}",
            f"{change.second:.1%}",
            *(str(change.gained), str(change.lost)),
            f"{change.p_value:.3g}",
            change.verdict,
        ]
        for change in changes[:_MOST_CLASSES]
    ]
    short = {3: _FIRST, 4: _SECOND}
    console.table(
        console.Table(
            columns, rows, right=range(2, 8), short=short, spare=(1, 5, 6), more="--json has all"
        )
    )
    if len(changes) > _MOST_CLASSES:
        sure = sum(change.verdict != "within chance" for change in changes)
        console.line(
            f"{len(changes):,} classes changed, {sure:,} beyond chance; --json lists all of them"
        )


def _show_settings(comparison: RunComparison) -> None:
    if comparison.settings:
        columns = ("setting", comparison.first.name, comparison.second.name)
        rows = [[c.name, _shown(c.first), _shown(c.second)] for c in comparison.settings]
        short = {1: _FIRST, 2: _SECOND}
        console.table(console.Table(columns, rows, short=short, prose=(1, 2)))
    else:
        console.line("the settings are the same")


def _show_data(comparison: RunComparison) -> None:
    data = comparison.data
    if not (data.added or data.removed or data.moved or data.relabelled):
        console.line(f"the photos are the same: {data.common:,}, in the same splits and classes")
        return
    console.line(
        f"photos: {data.common:,} in both, {len(data.added):,} added, "
        f"{len(data.removed):,} removed, {len(data.moved):,} in another split, "
        f"{len(data.relabelled):,} in another class"
    )


def _show_csv(comparisons: Sequence[RunComparison]) -> None:
    columns = ("first", "second", "figure", "images", "of first", "of second")
    rows = [
        [
            *(comparison.first.name, comparison.second.name, figure.name, str(figure.n_images)),
            *(f"{value:.6g}" for value in (figure.first, figure.second)),
            *(f"{value:.6g}" for value in vars(figure.difference).values()),
            "" if figure.p_value is None else f"{figure.p_value:.6g}",
        ]
        for comparison in comparisons
        for figure in comparison.figures
    ]
    console.csv_table((*columns, "difference", "low", "high", "p"), rows)


def _figure_name(name: str) -> str:
    """A figure with what it is a share, or a mean, of."""
    origin, _, top = name.rpartition(" ")
    return {"": f"{top} of photos", "macro": f"{top}, mean of classes"}.get(origin, name)


def _name(name: str) -> str:
    """A name among text with markup."""
    from rich.markup import escape

    return escape(printable(name))


def _points(difference: Estimate) -> tuple[str, str]:
    """In percentage points, with their sign."""
    value, low, high = (f"{100 * part:+.1f}" for part in vars(difference).values())
    return value, f"{low} to {high}"


def _few(names: Sequence[str]) -> str:
    return listed(names[:3]) + ("..." if len(names) > 3 else "")


def _shown(value: Any) -> str:
    if value is None:
        return _NOT_THERE
    if isinstance(value, list):
        return f"{len(value)}: {_few([str(entry) for entry in value])}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
