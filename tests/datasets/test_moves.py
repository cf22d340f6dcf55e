"""Scripts of moves, and the journal: nothing is lost, whatever happens."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain_cli.datasets.move_journal import latest_journal, perform, plan_moves, undo
from retrain_cli.datasets.moves import Move, MoveScript, read_script, write_script
from retrain_cli.errors import DatasetError
from retrain_cli.images.examine import content_digest

NAMES = st.text(st.characters(exclude_characters="/\0"), min_size=1).filter(lambda n: n != "..")


@pytest.fixture
def script(tmp_path: Path) -> MoveScript:
    """Four photos of two classes, two to be relabelled, one of them to a taken name."""
    for name in ("ant/1.jpg", "ant/2.jpg", "bee/1.jpg", "bee/3.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    digest = {name: content_digest(name.encode()).hex() for name in ("ant/1.jpg", "bee/3.jpg")}
    moves = (
        Move("ant/1.jpg", "bee/1.jpg", False, digest["ant/1.jpg"], "looks like bee"),
        Move("bee/3.jpg", "bee/3.jpg", True, digest["bee/3.jpg"], "blank"),
    )
    return MoveScript(tmp_path / "photos", tmp_path / "quarantine", moves)


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "journals" not in path.parts
    }


AFTER = {
    "photos/ant/2.jpg": b"ant/2.jpg",
    "photos/bee/1.jpg": b"bee/1.jpg",
    "photos/bee/1-2.jpg": b"ant/1.jpg",
    "quarantine/bee/3.jpg": b"bee/3.jpg",
}


def test_moves_are_made_and_taken_back(script: MoveScript, tmp_path: Path) -> None:
    before, journals = contents(tmp_path), tmp_path / "journals"
    done = perform(plan_moves(script, journals))
    assert contents(tmp_path) == AFTER
    assert latest_journal(journals) == done
    assert done.finished
    undo(done)
    assert contents(tmp_path) == before
    assert latest_journal(journals) is None
    assert not (tmp_path / "quarantine" / "bee").exists()


class Killed(BaseException):
    """Not an Exception: nothing catches it on its way."""


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("call", ["link", "unlink"])
@pytest.mark.parametrize("forward", [True, False])
def test_a_kill_in_the_middle_loses_nothing(
    script: MoveScript,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: int,
    call: str,
    forward: bool,
) -> None:
    before, journals = contents(tmp_path), tmp_path / "journals"
    planned = plan_moves(script, journals)
    owner = os if call == "link" else Path
    real, calls = getattr(owner, call), iter(range(100))

    def dying(*arguments: Any, **options: Any) -> Any:
        if next(calls) == at:
            raise Killed
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, call, dying)
        with suppress(Killed):
            perform(planned)
    assert set(contents(tmp_path).values()) == set(before.values())
    journal = latest_journal(journals)
    if journal is None:  # it died before it began
        assert contents(tmp_path) == before
    elif forward:
        perform(journal)
        assert contents(tmp_path) == AFTER
    else:
        undo(journal)
        assert contents(tmp_path) == before


def test_another_disk_is_copied_to(
    script: MoveScript, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    before = contents(tmp_path)
    done = perform(plan_moves(script, tmp_path / "journals"))
    assert contents(tmp_path) == AFTER
    undo(done)
    assert contents(tmp_path) == before


def test_nothing_is_moved_where_one_photo_changed(script: MoveScript, tmp_path: Path) -> None:
    (script.root / "bee/3.jpg").write_bytes(b"edited")
    before = contents(tmp_path)
    with pytest.raises(DatasetError, match="has changed"):
        plan_moves(script, tmp_path / "journals")
    assert contents(tmp_path) == before
    (script.root / "bee/3.jpg").unlink()
    with pytest.raises(DatasetError, match="is gone"):
        plan_moves(script, tmp_path / "journals")


def test_undo_refuses_where_the_old_place_is_taken_or_a_photo_changed(
    script: MoveScript, tmp_path: Path
) -> None:
    done = perform(plan_moves(script, tmp_path / "journals"))
    (script.root / "ant/1.jpg").write_bytes(b"new")
    with pytest.raises(DatasetError, match="is taken"):
        undo(done)
    (script.root / "ant/1.jpg").unlink()
    (script.root / "bee/1-2.jpg").write_bytes(b"edited")
    before = contents(tmp_path)
    with pytest.raises(DatasetError, match="has changed"):
        undo(done)
    assert contents(tmp_path) == before


def test_links_and_a_photo_named_twice_are_refused(script: MoveScript, tmp_path: Path) -> None:
    twice = MoveScript(script.root, script.quarantine, (script.moves[0],) * 2)
    with pytest.raises(DatasetError, match="twice"):
        plan_moves(twice, tmp_path / "journals")
    (script.root / "bee/3.jpg").rename(tmp_path / "elsewhere.jpg")
    (script.root / "bee/3.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    with pytest.raises(DatasetError, match="link"):
        plan_moves(script, tmp_path / "journals")


@given(NAMES, NAMES, NAMES, st.booleans())
def test_names_of_any_kind_survive_the_script(
    tmp_path_factory: pytest.TempPathFactory, one: Any, other: Any, reason: Any, sure: Any
) -> None:
    path = tmp_path_factory.mktemp("script") / "moves.txt"
    move = Move(f"a/{one}", f"b/{other}", sure, "ab" * 16, reason)
    script = MoveScript(Path("/photos") / one, Path("/q"), (move,))
    write_script(script, path)
    (read,) = read_script(path).moves
    assert read_script(path).root == script.root
    assert (read.source, read.target, read.quarantine) == (move.source, move.target, sure)


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    move = Move(f"a/{name}", f"b/{name}", False, "ab" * 16)
    write_script(MoveScript(tmp_path, tmp_path, (move,)), tmp_path / "moves.txt")
    assert read_script(tmp_path / "moves.txt").moves[0].source == f"a/{name}"


@pytest.mark.parametrize(
    "line",
    [
        'move "a/1.jpg" "../../etc/1.jpg" ' + "ab" * 16,
        'move "/etc/passwd" "a/1.jpg" ' + "ab" * 16,
        'move "a/1.jpg" "b/1.jpg" abc',
        'move "a/1.jpg',
        'delete "a/1.jpg"',
    ],
)
def test_lines_that_are_no_move(tmp_path: Path, line: str) -> None:
    path = tmp_path / "moves.txt"
    write_script(MoveScript(tmp_path, tmp_path, ()), path)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DatasetError, match="line 8"):
        read_script(path)
