"""Scripts of moves, and the journal: nothing is lost, whatever happens."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moved_photos import AFTER, contents

from retrain_cli.datasets.move_journal import latest_journal, plan_moves
from retrain_cli.datasets.moves import Move, MoveScript, read_script, write_script
from retrain_cli.datasets.moving import perform, undo
from retrain_cli.errors import DatasetError

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1)
ODD_BYTES = st.binary(min_size=1).map(lambda name: os.fsdecode(name.translate(None, b"/\0")))
NAMES = (TEXTS | ODD_BYTES).filter(lambda name: name not in ("", ".."))
"""What a file can be called: text, or bytes that are none; half a character alone is neither."""


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
