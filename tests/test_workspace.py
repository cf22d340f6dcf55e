"""Files that are replaced in one step, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrain_cli.errors import WorkspaceError
from retrain_cli.workspace import replacing, write_atomically


def test_a_file_is_replaced_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "out.npz"
    target.write_text("old")
    with replacing(target) as draft:
        assert draft.suffix == ".npz"  # NumPy would add it
        draft.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("error", "raised"),
    [(OSError(28, "No space left on device"), WorkspaceError), (KeyError("x"), KeyError)],
)
def test_a_failure_leaves_the_old_file_and_no_draft(
    tmp_path: Path, error: Exception, raised: type[Exception]
) -> None:
    target = tmp_path / "out.csv"
    write_atomically(target, "old")

    def fail() -> None:
        with replacing(target) as draft:
            draft.write_text("half")
            raise error

    with pytest.raises(raised):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"could not be written \(No such file"):
        write_atomically(tmp_path / "nowhere" / "state.json", "{}")
