"""From what `check` found to moves that a user can agree with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from retrain_cli.datasets.moves import Move, MoveScript
from retrain_cli.datasets.sources.photo_source import is_folder
from retrain_cli.errors import ConfigError, setting
from retrain_cli.images.examine import content_digest
from retrain_cli.paths import StrPath, absolute
from retrain_cli.workflows.check import CheckReport


def suggestions(report: CheckReport) -> Iterator[Move]:
    """At most one move a photo: sure ones, and as comments what a person should decide.

    Sure are unusable files, likely label errors that a class is confidently predicted for, blank
    photos, and copies within a class.
    """
    yield from _bad_moves(report)
    done: set[int] = set()
    found = [*_label_moves(report), *_odd_moves(report), *_duplicate_moves(report)]
    for row, move in sorted(found, key=lambda one: not one[1].sure):
        if row not in done:
            done.add(row)
            yield move


def _bad_moves(report: CheckReport) -> Iterator[Move]:
    for path, reason in report.bad:
        file = Path(report.dataset.root, path)
        with suppress(OSError):  # what cannot even be read cannot be moved safely
            if file.is_file() and not file.is_symlink():
                digest = content_digest(file.read_bytes()).hex()
                yield Move(path, path, True, digest, f"unusable: {reason}")


def _label_moves(report: CheckReport) -> Iterator[tuple[int, Move]]:
    for issue in report.labels or ():
        path = report.dataset.paths[issue.row]
        reason = (
            f"looks like {issue.suggested} ({issue.suggested_probability:.2f}), not like "
            f"{report.class_of(issue.row)} ({issue.given_probability:.2f})"
        )
        target = _in_class(path, issue.suggested, given=report.dataset.given[issue.row] is not None)
        sure = issue.confident and issue.suggested_probability > issue.given_probability
        yield issue.row, Move(path, target, False, _digest(report, issue.row), reason, sure)


def _in_class(path: str, class_name: str, *, given: bool) -> str:
    """The same file name in the folder of another class, of the same given split."""
    split = [path.partition("/")[0]] if given else []
    return "/".join([*split, class_name, path.rpartition("/")[2]])


def _odd_moves(report: CheckReport) -> Iterator[tuple[int, Move]]:
    for odd in report.odd:
        reason = f"{odd.problem.kind}: {odd.problem.detail}"
        yield odd.row, _quarantined(report, odd.row, reason, sure=odd.problem.kind == "blank")


def _duplicate_moves(report: CheckReport) -> Iterator[tuple[int, Move]]:
    """All but one photo of each group; sure only for exact copies within one class."""
    wrong = {issue.row for issue in report.labels or ()}
    for group in report.duplicates:
        kept = next((row for row in group.rows if row not in wrong), group.rows[0])
        same = "the same as" if group.kind == "exact" else "nearly the same as"
        for row in group.rows:
            if row != kept:
                sure = group.kind == "exact" and report.class_of(row) == report.class_of(kept)
                reason = f"{same} {report.dataset.paths[kept]}"
                yield row, _quarantined(report, row, reason, sure=sure)


def _quarantined(report: CheckReport, row: int, reason: str, *, sure: bool) -> Move:
    path = report.dataset.paths[row]
    return Move(path, path, True, _digest(report, row), reason, sure)


def _digest(report: CheckReport, row: int) -> str:
    return report.dataset.digests[row].hex()


def make_script(report: CheckReport, quarantine: StrPath) -> MoveScript:
    """The suggestions as a script, with a quarantine folder outside of the class folders.

    There are none for photos that are no files of a folder.

    Raises:
        ConfigError: the quarantine lies in the image folder, where it would be a class.
    """
    root, folder = report.dataset.root, absolute(quarantine)
    if not is_folder(root):
        return MoveScript(absolute("."), folder, ())
    if folder == root or root in folder.parents:
        raise ConfigError(
            f"{setting('quarantine')} must lie outside of the image folder, else it is a class; "
            f"{folder} is inside {root}: choose another folder"
        )
    return MoveScript(Path(root), folder, tuple(suggestions(report)))
