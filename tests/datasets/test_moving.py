"""Photos that move: no only copy is deleted, whatever lies in the way and whatever ends it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from moved_photos import AFTER, contents

from retrain_cli.datasets import moving
from retrain_cli.datasets.move_journal import Journal, latest_journal, plan_moves
from retrain_cli.datasets.moves import MoveScript, write_script
from retrain_cli.datasets.moving import perform, undo
from retrain_cli.errors import DatasetError, WorkspaceError
from retrain_cli.workflows.shared.apply_moves import apply_script
from retrain_cli.workspace import Workspace

OPERATIONS = ("link", "unlink", "rename", "replace", "mkdir", "rmdir", "fsync")
DISKS = ["same", "other", "no second names"]


class Killed(BaseException):
    """Not an Exception: nothing catches it on its way."""


@pytest.fixture
def applied(script: MoveScript, tmp_path: Path) -> Journal:
    """A script whose moves were made."""
    return perform(plan_moves(script, tmp_path / "journals"))


def put_on(disk: str, patch: pytest.MonkeyPatch) -> None:
    """Make second names impossible: between two disks, or at all."""
    real = os.link

    def refuse(source: Any, target: Any, **options: Any) -> None:
        if disk == "no second names":
            raise OSError(errno.EPERM, "Operation not permitted")
        if Path(source).parent.parent.name != Path(target).parent.name:  # no draft beside it
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(source, target, **options)

    if disk != "same":
        patch.setattr(os, "link", refuse)


def killed_before(number: int, action: Callable[[], object]) -> bool:
    """Do something until before its n-th operation, after which nothing is done any more."""
    done = 0
    with pytest.MonkeyPatch.context() as patch:

        def counted(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                nonlocal done
                if done >= number:
                    raise Killed
                done += 1
                return real(*arguments, **options)

            return call

        for name in OPERATIONS:
            patch.setattr(os, name, counted(getattr(os, name)))
        try:
            action()
        except Killed:
            return True
    return False


def apply(script: MoveScript, journals: Path) -> None:
    """What `--apply` does: what was begun first, and then the script, if it was not that."""
    before = latest_journal(journals)
    if before is not None and before.undoing:
        undo(before)
        before = None
    if before is None:
        perform(plan_moves(script, journals))
    elif not before.finished:
        perform(before)


def take_back(journals: Path) -> None:
    """What `--undo` does, where there is something to take back."""
    journal = latest_journal(journals)
    if journal is not None:
        undo(journal)


@pytest.mark.parametrize("disk", DISKS)
@pytest.mark.parametrize("then", ["--apply", "--undo"])
@pytest.mark.parametrize("during", ["--apply", "--undo"])
def test_a_kill_between_any_two_operations_loses_nothing(
    script: MoveScript,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    disk: str,
    during: str,
    then: str,
) -> None:
    put_on(disk, monkeypatch)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    journals = tmp_path / "journals"
    actions = {"--apply": partial(apply, script, journals), "--undo": partial(take_back, journals)}
    before = contents(tmp_path)
    for number in range(1000):
        if during == "--undo":
            apply(script, journals)
        was_killed = killed_before(number, actions[during])
        assert set(contents(tmp_path).values()) == set(before.values()), number
        if not was_killed:
            break
        actions[then]()
        assert contents(tmp_path) == (AFTER if then == "--apply" else before), number
        take_back(journals)
        assert contents(tmp_path) == before, number
    assert 10 < number < 1000


@pytest.mark.parametrize("disk", DISKS)
def test_names_are_on_the_disk_before_the_old_ones_go(
    script: MoveScript, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    put_on(disk, monkeypatch)
    events: list[tuple[str, str]] = []

    def recorded(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            result = real(*arguments, **options)
            path = arguments[-1]
            if name == "fsync":
                path = os.readlink(f"/proc/self/fd/{path}")  # noqa: PTH115
            events.append((name, str(path)))
            return result

        return call

    for name in OPERATIONS:
        monkeypatch.setattr(os, name, recorded(name))
    done = perform(plan_moves(script, tmp_path / "journals"))
    finished = max(n for n, event in enumerate(events) if event[1] == str(done.path))
    for move in done.moves:
        source, target = Path(move.source), Path(move.target)
        arrived = next(n for n, event in enumerate(events) if event[1] == str(target))
        kept = events.index(("fsync", str(target.parent)), arrived)
        gone = arrived if disk == "no second names" else events.index(("unlink", str(source)))
        assert arrived < kept
        assert kept < gone or gone == arrived  # renamed in one step
        assert gone < events.index(("fsync", str(source.parent)), gone) < finished
        if disk == "other":  # the copy is on the disk before it has its name
            assert any(what == "fsync" and "draft" in path for what, path in events[:arrived])
    assert ("fsync", str(done.path.parent)) in events[finished:]


def test_a_link_at_the_old_place_is_no_reason_to_delete_the_new(
    applied: Journal, tmp_path: Path
) -> None:
    for move in applied.moves:
        Path(move.source).symlink_to(move.target)
    before = contents(tmp_path)
    with pytest.raises(DatasetError, match="is taken"):
        undo(applied)
    assert contents(tmp_path) == before
    perform(applied)  # as after a crash before the journal said that all was done
    assert contents(tmp_path) == before
    assert all(Path(move.source).is_symlink() for move in applied.moves)


@pytest.mark.parametrize("same_name", [True, False])
def test_a_class_folder_that_became_a_link_to_another(
    script: MoveScript, tmp_path: Path, same_name: bool
) -> None:
    if same_name:
        (script.root / "bee" / "1.jpg").unlink()  # so that ant/1.jpg keeps its name there
    applied = perform(plan_moves(script, tmp_path / "journals"))
    shutil.rmtree(script.root / "ant")
    (script.root / "ant").symlink_to("bee")
    before = contents(tmp_path)
    with pytest.raises(DatasetError, match="put the folder back" if same_name else "is taken"):
        undo(applied)
    assert contents(tmp_path) == before
    assert perform(applied).kept == ()
    assert contents(tmp_path) == before


def test_a_hard_link_made_by_the_user_is_not_taken_for_ours(
    script: MoveScript, tmp_path: Path
) -> None:
    (script.root / "bee" / "1.jpg").unlink()  # so that ant/1.jpg keeps its name there
    applied = perform(plan_moves(script, tmp_path / "journals"))
    move = applied.moves[0]
    os.link(move.target, tmp_path / "mine.jpg")
    Path(move.source).parent.rename(tmp_path / "away")
    Path(move.source).parent.symlink_to(Path(move.target).parent)
    before = contents(tmp_path)
    perform(applied)
    assert contents(tmp_path) == before


def test_equal_content_is_no_reason_to_delete(applied: Journal, tmp_path: Path) -> None:
    for move in applied.moves:
        shutil.copy(move.target, move.source)  # by the user: who knows what for
    before = contents(tmp_path)
    assert perform(applied).kept == tuple(move.source for move in applied.moves)
    assert contents(tmp_path) == before
    kept = undo(applied).kept
    assert kept == tuple(move.target for move in reversed(applied.moves))
    assert contents(tmp_path) == before


def test_another_file_at_the_old_place_is_let_be(applied: Journal, tmp_path: Path) -> None:
    Path(applied.moves[0].source).write_bytes(b"new")
    before = contents(tmp_path)
    assert perform(applied).kept == ()
    assert contents(tmp_path) == before


def test_looking_changes_nothing_where_one_of_many_cannot_go_back(
    script: MoveScript, tmp_path: Path
) -> None:
    planned = plan_moves(script, tmp_path / "journals")
    os.link(planned.moves[1].source, tmp_path / "bee-3.jpg")
    quarantine = Path(planned.moves[1].target)
    quarantine.parent.mkdir(parents=True)
    os.link(planned.moves[1].source, quarantine)  # half-way, as a crash leaves it
    Path(planned.moves[0].source).write_bytes(b"edited")
    before = contents(tmp_path)
    for call in (perform, undo):
        with pytest.raises(DatasetError):
            call(planned)
        assert contents(tmp_path) == before


@pytest.mark.parametrize("text", ["", '{"finished": true, "moves": []}', "{"])
@pytest.mark.parametrize("name", [".000001.4711.json", ".000009.4711.json", "notes.json", "1.json"])
def test_what_is_no_journal_is_not_taken_for_one(
    script: MoveScript, tmp_path: Path, name: str, text: str
) -> None:
    journals = tmp_path / "journals"
    journals.mkdir()
    (journals / name).write_text(text)
    before = contents(tmp_path)
    assert latest_journal(journals) is None
    done = perform(plan_moves(script, journals))
    assert done.path.name == "000001.json"
    assert latest_journal(journals) == done
    undo(done)
    assert latest_journal(journals) is None
    assert contents(tmp_path) == before


def test_a_damaged_journal_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "000001.json").write_text("{")
    with pytest.raises(DatasetError, match="move it away"):
        latest_journal(tmp_path)


def test_taking_back_that_was_cut_short_is_finished_before_the_next_script(
    script: MoveScript, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path / "journals")
    before = contents(tmp_path)
    write_script(script, tmp_path / "moves.txt")
    journal = apply_script(tmp_path / "moves.txt", workspace)
    Journal(journal.path, journal.moves, finished=False, undoing=True).save()
    write_script(replace(script, moves=()), tmp_path / "moves.txt")
    with pytest.raises(DatasetError, match="no move to make"):
        apply_script(tmp_path / "moves.txt", workspace)
    (tmp_path / "moves.txt").unlink()
    assert contents(tmp_path) == before


def test_a_users_file_of_any_name_stays(
    script: MoveScript, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on("other", monkeypatch)
    mine = script.root / "bee" / ".1-2.jpg.part"
    mine.write_bytes(b"mine")
    (tmp_path / "quarantine" / "bee").mkdir(parents=True)
    (tmp_path / "quarantine" / "bee" / ".3.jpg.part").symlink_to(mine)
    done = perform(plan_moves(script, tmp_path / "journals"))
    assert mine.read_bytes() == b"mine"
    undo(done)
    assert mine.read_bytes() == b"mine"


def test_a_full_disk_is_found_before_the_first_move(
    script: MoveScript, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def device(path: Path) -> int:
        return int(path.is_relative_to(script.root))

    monkeypatch.setattr(moving, "_device", device)
    usage = shutil.disk_usage(tmp_path)
    before, journals = contents(tmp_path), tmp_path / "journals"
    for free, enough in ((8, False), (9, True)):  # bee/3.jpg holds nine bytes
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: usage._replace(free=free))
        planned = plan_moves(script, journals)
        if not enough:
            with pytest.raises(WorkspaceError, match="nothing was moved"):
                perform(planned)
            assert contents(tmp_path) == before
            assert latest_journal(journals) is None
        else:
            assert perform(planned).finished
            assert contents(tmp_path) == AFTER


def test_a_disk_that_fills_up_while_copying_loses_nothing(
    script: MoveScript, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, journals = contents(tmp_path), tmp_path / "journals"
    planned = plan_moves(script, journals)
    with monkeypatch.context() as patch:
        put_on("other", patch)
        real, copies = shutil.copy2, iter(range(9))

        def fill_up(source: Any, target: Any) -> Any:
            if next(copies):
                Path(target).write_bytes(b"half")
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(source, target)

        patch.setattr(shutil, "copy2", fill_up)
        with pytest.raises(WorkspaceError, match="No space left"):
            perform(planned)
    assert contents(tmp_path) == before
    assert not list(tmp_path.rglob(".retrain-draft-*"))
    undo(latest_journal(journals) or planned)
    assert contents(tmp_path) == before


def test_a_copy_that_is_not_what_was_copied_is_refused(
    script: MoveScript, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on("other", monkeypatch)
    monkeypatch.setattr(shutil, "copy2", lambda source, target: Path(target).write_bytes(b"rot"))
    before = contents(tmp_path)
    with pytest.raises(WorkspaceError, match="not what was copied"):
        perform(plan_moves(script, tmp_path / "journals"))
    assert contents(tmp_path) == before
