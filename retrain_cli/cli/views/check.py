"""How the outcome of `retrain check` looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from retrain_cli.cli import console
from retrain_cli.datasets.move_journal import Journal
from retrain_cli.datasets.moves import MoveScript, write_script
from retrain_cli.reports.text import printable
from retrain_cli.workflows.check import CheckReport
from retrain_cli.workflows.shared.duplicates import DuplicateGroup

_SHOWN = 20
"""Rows of each table; `--json` has all."""


def show_report(report: CheckReport, script: MoveScript, form: console.Form) -> None:
    """What was found: a line for each kind, then a table for each kind that was found."""
    if form == "json":
        console.document(_report_dict(report, script))
        return
    console.table(console.Table(("check", "found", ""), _summary(report), right=(1,), prose=(2,)))
    _table("unusable files", ("path", "reason"), [[*bad] for bad in report.bad], prose=(1,))
    _table(
        "odd photos",
        ("path", "problem", "measured"),
        [[_path(report, o.row), o.problem.kind, o.problem.detail] for o in report.odd],
        prose=(2,),
    )
    _table(
        "duplicates",
        ("kind", "alike", "photos", "splits", "paths"),
        [_duplicate_row(report, group) for group in report.duplicates],
        right=(1, 2),
        prose=(4,),
    )
    _table(
        "likely label errors",
        ("path", "suggested", "score", "given", "score"),
        [
            [
                _path(report, issue.row),
                issue.suggested,
                f"{issue.suggested_probability:.2f}",
                report.class_of(issue.row),
                f"{issue.given_probability:.2f}",
            ]
            for issue in report.labels or ()
        ],
        right=(2, 4),
    )
    _table(
        "classes",
        ("class", "photos", "problem"),
        [[entry.class_name, str(entry.images), entry.problem] for entry in report.classes],
        right=(1,),
        prose=(2,),
    )
    _table(
        "classes known by the border of their photos",
        ("class", "photos", "of the evidence"),
        [[one.name, str(one.n_photos), f"{one.at_the_border:.0%}"] for one in report.borders or ()],
        right=(1, 2),
    )
    if report.borders:
        console.warn(
            f"{len(report.borders)} class(es) are known by the border of their photos, where "
            "backgrounds, frames and stamps are: look at them with `retrain explain PHOTO --class "
            f"{report.borders[0].name}`"
        )
    if report.labels is None:
        console.warn(f"label errors: {report.labels_missing}")
    if report.unseen:
        console.warn(
            f"{report.unseen} photo(s) are gone or changed: run `retrain bottlenecks` again"
        )
    for path, reason in report.not_looked_at:
        console.warn(f"not looked at: {path}: {reason}")


def offer_script(script: MoveScript) -> None:
    """Say that there are moves to suggest."""
    sure = sum(move.sure for move in script.moves)
    if script.moves:
        console.note(
            f"{sure} suggested move(s), {len(script.moves) - sure} more to decide on: "
            "retrain check --script moves.txt"
        )


def save_script(script: MoveScript, path: Path) -> None:
    """Write the script and say what comes next."""
    write_script(script, path)
    sure = sum(move.sure for move in script.moves)
    console.note(
        f"wrote {path}: {sure} move(s), and {len(script.moves) - sure} as comments; read it, then "
        f"retrain check --apply {path}"
    )


def show_moves(
    journal: Journal, form: console.Form, *, undone: bool, planned: bool = False
) -> None:
    """Print what was moved, or moved back; with `planned`, what would be."""
    moves = [move.reversed() for move in reversed(journal.moves)] if undone else journal.moves
    if form == "json":
        rows = [{"from": move.source, "to": move.target} for move in moves]
        kept = list(journal.kept)
        console.document({"undone": undone, "planned": planned, "moves": rows, "kept": kept})
    else:
        for move in moves:
            source, target = printable(move.source), printable(move.target)
            console.line(f"{source} -> {target}")
    if planned:
        back = " back" if undone else ""
        console.note(f"{len(moves)} photo(s) would be moved{back}; nothing was changed")
        return
    for path in journal.kept:
        console.warn(
            f"{printable(path)} was left where it is: what has its place holds the same, but may "
            "be another file; remove one of them yourself"
        )
    again = "nothing is computed twice: retrain bottlenecks IMAGE_DIR, then retrain train"
    if undone:
        console.note(f"{len(moves)} photo(s) are back; {again}")
    else:
        console.note(f"{len(moves)} photo(s) moved, retrain check --undo takes it back; {again}")


def _summary(report: CheckReport) -> list[list[str]]:
    kinds = [problem.problem.kind for problem in report.odd]
    exact = [group for group in report.duplicates if group.kind == "exact"]
    near = [group for group in report.duplicates if group.kind == "near"]
    rows = [["unusable files", str(len(report.bad)), ""]]
    rows += [[f"{kind} photos", str(kinds.count(kind)), ""] for kind in dict.fromkeys(kinds)]
    for name, groups in (("exact", exact), ("near", near)):
        across = sum(group.classes > 1 for group in groups)
        torn = sum(group.splits > 1 for group in groups)
        detail = f"{across} across classes, {torn} across splits" if groups else ""
        rows.append([f"groups of {name} duplicates", str(len(groups)), detail])
    labels = "n/a" if report.labels is None else str(len(report.labels))
    rows.append(["likely label errors", labels, f"of {len(report.dataset):,} photos"])
    rows.append(["small classes", str(len(report.classes)), ""])
    if report.borders is not None:
        rows.append(["classes known by their border", str(len(report.borders)), ""])
    return rows


def _table(
    title: str,
    columns: tuple[str, ...],
    rows: list[list[str]],
    right: tuple[int, ...] = (),
    prose: tuple[int, ...] = (),
) -> None:
    if not rows:
        return
    more = f" (the first {_SHOWN} of {len(rows)}; --json has all)" if len(rows) > _SHOWN else ""
    console.table(console.Table(columns, rows[:_SHOWN], title + more, right, prose=prose))


def _duplicate_row(report: CheckReport, group: DuplicateGroup) -> list[str]:
    paths = [_path(report, row) for row in group.rows]
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return [
        group.kind,
        f"{group.similarity:.2f}",
        str(len(paths)),
        "+".join(sorted({report.splits[row] for row in group.rows})),
        "  ".join(paths[:3]) + more,
    ]


def _path(report: CheckReport, row: int) -> str:
    return report.dataset.paths[row]


def _report_dict(report: CheckReport, script: MoveScript) -> dict[str, Any]:
    return {
        "image_dir": str(report.dataset.root),
        "images": len(report.dataset),
        "bad": [{"path": path, "reason": reason} for path, reason in report.bad],
        "odd": [
            {"path": _path(report, o.row), "problem": o.problem.kind, "detail": o.problem.detail}
            for o in report.odd
        ],
        "duplicates": [
            {
                "kind": group.kind,
                "similarity": group.similarity,
                "classes": group.classes,
                "splits": group.splits,
                "photos": [
                    {
                        "path": _path(report, row),
                        "class": report.class_of(row),
                        "split": report.splits[row],
                    }
                    for row in group.rows
                ],
            }
            for group in report.duplicates
        ],
        "label_errors": report.labels
        and [
            {
                "path": _path(report, issue.row),
                "given": report.class_of(issue.row),
                "given_probability": issue.given_probability,
                "suggested": issue.suggested,
                "suggested_probability": issue.suggested_probability,
            }
            for issue in report.labels
        ],
        "label_errors_missing": report.labels_missing or None,
        "classes": [vars(entry) for entry in report.classes],
        "borders": report.borders
        and [
            {"class": one.name, "photos": one.n_photos, "at_the_border": one.at_the_border}
            for one in report.borders
        ],
        "unseen": report.unseen,
        "not_looked_at": [
            {"path": path, "reason": reason} for path, reason in report.not_looked_at
        ],
        "moves": [vars(move) for move in script.moves],
    }
