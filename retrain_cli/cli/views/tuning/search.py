"""How a search looks: its table, its plan, its picture, CSV and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain_cli.cli import console
from retrain_cli.reports.text import NOT_DEFINED, percent
from retrain_cli.runs.shell import shell_line
from retrain_cli.studies.search.axes import TRAINED, shown

if TYPE_CHECKING:
    from retrain_cli.studies.search.judging import RankedBy
    from retrain_cli.workflows.tuning.search_plan import SearchPlan
    from retrain_cli.workflows.tuning.search_result import Round, SearchResult, TriedSettings

_BEST = 10
_IDLE = "-"
_RANKED: dict[RankedBy, str] = {
    "log-loss": "log loss (of equals: top-1)",
    "top1": "top-1 (of equals: log loss)",
}


def show_result(result: SearchResult, form: console.Form, *, show_all: bool = False) -> None:
    """Print a result as `text`, `csv` (all trials) or `json`."""
    if form == "json":
        console.document(result.to_dict())
        return
    if form == "csv":
        console.csv_table(*_csv(result))
        return
    console.line(f"search: {_headline(result)}")
    shown_ones = result.tried if show_all else result.tried[:_BEST]
    console.table(_table(result, shown_ones))
    if len(shown_ones) < len(result.tried):
        console.note(f"{len(result.tried) - len(shown_ones):,} more: --all")
    _tell_of_left_out(result)
    console.line(f"run {result.run}: {_best(result)}")
    if result.training is None:
        console.note("the run was there already: the same search made it before")
    if len(result.tried) > 1:
        console.note(
            f"the best of {len(result.tried):,} looks better on the photos that chose it than it "
            "is; an honest figure is that of the test photos, which the search has not seen"
        )
    console.note(f"next: {shell_line(['retrain', 'eval', '--run', result.run])}")


def _headline(result: SearchResult) -> str:
    judges = "validation photos" if result.cv is None else f"photos in {result.cv} folds"
    space = f" of the {result.space} space" if result.space else ""
    fixed = _same_for_all(result)
    return (
        f"{len(result.tried):,} trials{space}{fixed}, judged by {result.judged_by:,} {judges}, "
        f"ranked by {_RANKED[result.by]}"
    )


def _same_for_all(result: SearchResult) -> str:
    same = [
        f"{_title(axis)} {shown(values[0])}"
        for axis in result.axes
        if len(values := _values_of(result, axis)) == 1
    ]
    return f" ({', '.join(same)})" if same else ""


def _told_apart(result: SearchResult) -> list[str]:
    """The axes that have more than one value."""
    return [axis for axis in result.axes if len(_values_of(result, axis)) > 1]


def _values_of(result: SearchResult, axis: str) -> list[Any]:
    """The values of an axis where it does anything, each once."""
    return list(dict.fromkeys(one.values[axis] for one in result.tried if not _is_idle(one, axis)))


def _title(axis: str) -> str:
    return axis.replace("_", " ")


def _cell(one: TriedSettings, axis: str) -> str:
    """The value of an axis; a stroke where it does nothing beside the others."""
    return _IDLE if _is_idle(one, axis) else shown(one.values[axis])


def _is_idle(one: TriedSettings, axis: str) -> bool:
    """Whether a setting does nothing beside the others; l2 may be none, and always does."""
    return one.values[axis] is None and axis != "l2"


def _table(result: SearchResult, tried: Sequence[TriedSettings]) -> console.Table:
    axes = _told_apart(result)
    with_steps = len(result.rounds) > 1
    columns = [
        "",
        *map(_title, axes),
        *([_title(TRAINED)] if with_steps else []),
        "log loss",
        "top-1",
        "seconds",
    ]
    rows = [
        [
            f"{place}",
            *(_cell(one, axis) for axis in axes),
            *([_steps(one.steps)] if with_steps else []),
            *_figures(one),
            f"{one.seconds:.1f}",
        ]
        for place, one in enumerate(tried, start=1)
    ]
    numeric = [0, *range(len(axes) + 1, len(columns))]
    return console.Table(columns, rows, right=numeric, spare=(len(columns) - 1,), more="--csv")


def _figures(one: TriedSettings) -> tuple[str, str]:
    if one.diverged is not None:
        return "diverged", NOT_DEFINED
    return f"{one.outcome['log_loss']:.4f}", percent(one.outcome["top1"])


def _best(result: SearchResult) -> str:
    from retrain_cli.evaluation.intervals import share_estimate

    best, outcome = result.best, result.best.outcome
    hits = round(outcome["top1"] * result.judged_by)
    share = share_estimate(hits, result.judged_by)
    interval = f" (95% CI {100 * share.low:.1f}-{share.high:.1%})" if share else ""
    said = ", ".join(
        f"{_title(axis)} {_cell(best, axis)}" for axis in result.axes if not _is_idle(best, axis)
    )
    judges = "validation" if result.cv is None else f"{result.cv} folds"
    return (
        f"{said or 'the usual settings'}: {judges} log loss {outcome['log_loss']:.4f}, top-1 "
        f"{percent(outcome['top1'])}{interval}"
    )


def _tell_of_left_out(result: SearchResult) -> None:
    for line in _left_out(result.senseless, result.alike):
        console.note(line)
    failed = [one for one in result.tried if one.diverged is not None]
    if failed:
        trials = "trial" if len(failed) == 1 else "trials"
        console.warn(f"{len(failed):,} {trials} did not come to an end: {failed[0].diverged}")


def _left_out(senseless: int, alike: int) -> list[str]:
    found = []
    if senseless:
        found.append(f"left out {senseless:,} combination(s) that `train` refuses")
    if alike:
        found.append(f"left out {alike:,} combination(s) that train the same as another")
    return found


def _csv(result: SearchResult) -> tuple[list[str], list[list[str]]]:
    columns = ["rank", "trial", "backbone"]
    axes = [axis for axis in result.axes if axis != "backbone"]
    columns += [*axes, "round", TRAINED, "log_loss", "top1", "seconds", "diverged"]
    rows = [
        [
            f"{place}",
            f"{one.number}",
            one.backbone,
            *("" if _cell(one, axis) == _IDLE else _cell(one, axis) for axis in axes),
            f"{one.rung}",
            "" if one.steps is None else f"{one.steps}",
            *(_number(one.outcome.get(name)) for name in ("log_loss", "top1")),
            f"{one.seconds:.3f}",
            one.diverged or "",
        ]
        for place, one in enumerate(result.tried, start=1)
    ]
    return columns, rows


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def show_plan(plan: SearchPlan, form: console.Form) -> None:
    """What would be done."""
    if form == "json":
        console.document(plan.to_dict())
        return
    folds = "" if plan.cv is None else f", each of {plan.cv} folds"
    judges = "validation photos" if plan.cv is None else f"photos in {plan.cv} folds"
    rows = [
        ["trials", f"{plan.trials:,}{_kept(plan.kept)}"],
        ["rounds", "; ".join(map(_round, plan.rounds))],
        ["trainings", f"{plan.trainings:,}{folds}, {plan.workers} at a time"],
        ["judged by", f"{plan.judged_by:,} {judges}"],
        ["time", f"about {console.duration(plan.seconds)}"],
    ]
    if len(plan.rounds) == 1:
        del rows[1]
    table = console.Table(("what", "value"), rows)
    if form == "csv":
        console.csv_table(table.columns, table.rows)
        return
    console.table(table)
    for line in _left_out(plan.senseless, plan.alike):
        console.note(line)


def _kept(count: int) -> str:
    return f", {count:,} finished before" if count else ""


def _round(one: Round) -> str:
    return f"{one.trials:,} for {_steps(one.steps)} steps"


def _steps(count: int | None) -> str:
    return _IDLE if count is None else f"{count:,}"


def draw(result: SearchResult, path: Path) -> None:
    """Write the settings and their figures as parallel coordinates; what diverged is left out."""
    from retrain_cli.reports.plots.parallel_plot import Coordinate, plot_parallel

    tried = [one for one in result.tried if one.diverged is None]
    axes = [
        Coordinate(_title(axis), [_place(one, axis) for one in tried])
        for axis in _told_apart(result)
    ]
    if len(result.rounds) > 1:
        axes.append(Coordinate(_title(TRAINED), [one.steps for one in tried]))
    figures = (
        ("top1", Coordinate("top-1", [one.outcome["top1"] for one in tried], True, percent=True)),
        (
            "log-loss",
            Coordinate("log loss", [one.outcome["log_loss"] for one in tried], True, True),
        ),
    )
    ordered = sorted(figures, key=lambda one: one[0] == result.by)
    plot_parallel([*axes, *(one for _, one in ordered)], path)
    console.note(f"wrote {path}")


def _place(one: TriedSettings, axis: str) -> Any:
    value = one.values[axis]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, tuple) and len(value) == 1:
        return value[0]
    return None if _is_idle(one, axis) else shown(value)
