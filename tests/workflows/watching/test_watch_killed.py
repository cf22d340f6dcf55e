"""A watch that is killed before any operation: the next one leaves all as if nothing had been.

`tools/kill_points.py --only watch` strikes at all points, and with other faults.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.shim import Shim
from kill_points import in_child
from watched_folders import files_below

from retrain_cli.workflows.watching.inbox_watcher import InboxWatcher

POINTS = int(os.environ.get("RETRAIN_TEST_POINTS", "4"))
"""At how many of them it is killed; there are about twenty for a photo."""


@pytest.mark.parametrize("disk", ["album", "other_disk"])
@pytest.mark.parametrize("tags", ["json", "csv", "xmp", "sidecar"])
def test_nothing_is_lost_or_done_twice(
    watcher: Callable[..., InboxWatcher],
    inbox: Path,
    tmp_path: Path,
    tags: str,
    disk: str,
    request: pytest.FixtureRequest,
) -> None:
    album = request.getfixturevalue(disk) / "of mine"
    album.parent.mkdir(exist_ok=True)

    def watch() -> None:
        with watcher(album, tags=tags) as watching:
            assert [photo.image.error for photo in watching.photos()].count(None) <= 2
        assert watching.faults == 0

    def fresh() -> None:
        for folder in (inbox, album):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tmp_path / "template", inbox)

    (inbox / "c.png").unlink()
    inbox.rename(tmp_path / "template")
    fresh()
    end, points = in_child(watch, Shim("kill", 0, (inbox, album)))
    assert end == 0
    wanted = files_below(album)
    assert len(wanted) >= 2
    for number in range(points, 0, -max(1, points // POINTS)):
        fresh()
        assert in_child(watch, Shim("kill", number, (inbox, album)))[0] == -signal.SIGKILL
        assert in_child(watch)[0] == 0
        assert (number, files_below(album)) == (number, wanted)
        # Of a photo that has moved the file beside it may be there still, as it is in the album.
        assert set(files_below(inbox).values()) <= {*wanted.values()}
        assert [name for name in files_below(inbox) if not name.endswith(".xmp")] == []
