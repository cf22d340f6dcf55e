"""`check`, `similar` and `label --reject` as a user types them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import QUICK_HEAD, TINY, Outcome, make_photos

pytestmark = pytest.mark.usefixtures("warm")


def test_check_moves_and_looks_alike(retrain: Callable[..., Outcome], tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", {"ant": 30, "bee": 30}, size=(90, 80))
    (photos / "ant/cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    assert "needs bottlenecks" in retrain("check").refused()
    assert retrain("bottlenecks", photos, *TINY, "--group", "near-duplicates").code == 0
    checked = retrain("check", "--no-labels", "--script", "moves.txt", "--json")
    assert checked.code == 0, checked.err
    assert [bad["path"] for bad in checked.json["bad"]] == ["ant/cut.jpg"]
    planned = retrain("check", "--apply", "moves.txt", "--dry-run")
    assert (photos / "ant/cut.jpg").is_file()
    assert retrain("check", "--apply", "moves.txt").out == planned.out
    assert planned.out.count(" -> ") == 1
    assert (tmp_path / "photos-quarantine/ant/cut.jpg").is_file()
    assert "is gone" in retrain("check", "--apply", "moves.txt").refused()
    assert retrain("check", "--undo").code == 0
    assert (photos / "ant/cut.jpg").is_file()
    assert "did nothing" in retrain("check", "--undo").refused()
    retrain("check", "--undo", "--apply", "moves.txt").refused(2)

    query = photos / "ant/0000.png"
    lines = retrain("similar", query, "-k", 3).out.splitlines()
    assert len(lines) == 3
    assert all(len(line.split("\t")) == 3 for line in lines)
    listed = retrain("similar", "-", "-k", 2, stdin=f"{query}\n".encode()).out.splitlines()
    assert [line.split("\t")[0] for line in listed] == [str(query)] * 2
    retrain("similar", "nothing.jpg").refused()
    retrain("similar").refused(2)

    assert retrain("train", *QUICK_HEAD, "--validation-percentage", 0).code == 0
    assert "--validation-percentage" in retrain("label", "--reject", query).refused()
    assert "answered" in retrain("eval", "--coverage").out
