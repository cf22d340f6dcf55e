"""Photos come into the album once, whole, and over nothing; what is wrong with one is told."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from watched_folders import files_below

from retrain_cli.durable import make_folder
from retrain_cli.errors import ConfigError, DatasetError, WorkspaceError
from retrain_cli.workflows.watching import inbox_watcher
from retrain_cli.workflows.watching.arrivals import Arrivals
from retrain_cli.workflows.watching.inbox_watcher import InboxWatcher
from retrain_cli.workflows.watching.watch_request import WatchRequest

Watch = Callable[..., dict[str, str | None]]
Watcher = Callable[..., InboxWatcher]


def test_photos_move_into_the_folders_of_their_labels(
    watch: Watch, inbox: Path, album: Path
) -> None:
    before = files_below(inbox)
    assert watch(album) == {"a.png": "ant/a.png", "b.png": "ant/b.png", "c.png": "bee/c.png"}
    assert files_below(inbox) == {}
    assert files_below(album) == {
        "ant/a.png": before["a.png"],
        "ant/b.png": before["sub/b.png"],
        "bee/c.png": before["c.png"],
    }
    assert watch(album) == {}


def test_what_is_no_good_photo_stays(watch: Watch, inbox: Path, album: Path) -> None:
    (inbox / "bad.jpg").write_bytes(b"\xff\xd8\xff no more")
    (inbox / "notes.txt").write_text("of mine")
    (inbox / "empty.jpg").touch()
    found = watch(album)
    assert "ant/a.png" in found.values()
    assert "JPEG" in str(found["bad.jpg"])
    assert sorted(files_below(inbox)) == ["bad.jpg", "empty.jpg", "notes.txt"]


def test_what_gets_no_label_has_a_folder_of_its_own(watch: Watch, album: Path) -> None:
    watch(album, labels={"threshold": 1.0})
    assert {name.partition("/")[0] for name in files_below(album)} == {"none-of-these"}


def test_no_file_is_replaced_and_the_same_one_is_kept_once(
    watch: Watch, inbox: Path, album: Path
) -> None:
    photo = (inbox / "a.png").read_bytes()
    make_folder(album / "ant")
    (album / "ant" / "a.png").write_text("of somebody else")
    assert watch(album)["a.png"] == "ant/a-2.png"
    (inbox / "a.png").write_bytes(photo)
    assert watch(album) == {"a.png": "ant/a-2.png"}
    assert not (inbox / "a.png").exists()
    assert (album / "ant" / "a.png").read_text() == "of somebody else"
    assert len(files_below(album)) == 4


def test_a_link_to_a_photo_in_the_album_is_not_taken_for_the_photo(
    watch: Watch, inbox: Path, album: Path
) -> None:
    make_folder(album / "ant")
    (album / "ant" / "a.png").symlink_to(inbox / "a.png")
    photo = (inbox / "a.png").read_bytes()
    assert watch(album)["a.png"] == "ant/a-2.png"
    assert (album / "ant" / "a-2.png").read_bytes() == photo


def test_an_album_in_the_inbox_is_no_part_of_it(watch: Watch, inbox: Path) -> None:
    assert len(watch(inbox / "album")) == 3
    assert watch(inbox / "album") == {}


def test_an_inbox_in_the_album_is_left_at_peace(
    watcher: Watcher, inbox: Path, tmp_path: Path
) -> None:
    """It is the folder of one class: a photo of that stays, and is not labelled for ever."""
    album = tmp_path / "album"
    album.mkdir()
    inbox.rename(album / "ant")
    inbox.symlink_to(album / "ant")
    with watcher(album, tags="json") as watching:
        assert len([*watching.photos()]) == 3
    assert sorted(files_below(album)) == ["ant/a.png", "ant/b.png", "bee/c.png", "labels.jsonl"]


def test_to_another_disk_goes_a_copy(watch: Watch, inbox: Path, other_disk: Path) -> None:
    before = sorted(files_below(inbox).values())
    (inbox / "a.png").chmod(0o640)
    assert len(watch(other_disk / "album")) == 3
    assert sorted(files_below(other_disk / "album").values()) == before
    assert (other_disk / "album" / "ant" / "a.png").stat().st_mode & 0o777 == 0o640
    assert files_below(inbox) == {}


def test_a_photo_that_is_still_copied_is_waited_for(inbox: Path) -> None:
    arrivals = Arrivals(inbox)
    arrivals.look()
    with (inbox / "a.png").open("ab") as file:
        file.write(b"more")
    assert [path.name for path in arrivals.look()] == ["c.png", "b.png"]
    assert arrivals.growing == 1
    assert inbox / "a.png" in arrivals.look()


def test_what_is_left_comes_again_when_it_changes(inbox: Path) -> None:
    arrivals = Arrivals(inbox)
    arrivals.look()
    photo = arrivals.look()[0]
    arrivals.leave(photo)
    assert photo not in arrivals.look()
    photo.write_bytes(photo.read_bytes() + b"repaired")
    arrivals.look()
    assert photo in arrivals.look()


def test_nothing_is_known_of_what_is_gone(inbox: Path) -> None:
    arrivals = Arrivals(inbox)
    arrivals.look()
    shutil.rmtree(inbox)
    arrivals.look()
    assert arrivals._known == {}


@pytest.mark.parametrize("change", ["gone", "replaced"])
def test_a_photo_that_changes_while_it_is_labelled_is_not_moved(
    watcher: Watcher, inbox: Path, album: Path, change: str
) -> None:
    watching = watcher(album, tags="json")

    def label(photos: Any) -> Any:
        for answer in labelled(photos):
            if answer.path.endswith("a.png"):
                os.unlink(answer.path)  # noqa: PTH108
                if change == "replaced":
                    shutil.copy(inbox / "c.png", answer.path)
            yield answer

    labelled = watching._labeller.label
    watching._labeller.label = label  # type: ignore[method-assign]
    with watching:
        assert [Path(photo.image.path).name for photo in watching.photos()] == ["c.png", "b.png"]
    assert (inbox / "a.png").exists() == (change == "replaced")
    assert watching.faults == 0
    assert (album / "labels.jsonl").read_text().count("\n") == 2


def test_a_fault_with_one_photo_does_not_end_the_watch(
    watcher: Watcher, inbox: Path, album: Path
) -> None:
    (album / "ant").parent.mkdir()
    (album / "ant").write_text("a file, where a folder is to be")
    told: list[str] = []
    with watcher(album, told, tags="csv") as watching:
        assert [photo.place for photo in watching.photos()] == [album / "bee" / "c.png"]
    assert watching.faults == 2
    assert [line.partition(" ")[0] for line in told] == [
        str(inbox / "a.png"), str(inbox / "sub" / "b.png")
    ]  # fmt: skip
    assert all("stays where it is for now" in line for line in told)
    assert (album / "labels.csv").read_text().count("\n") == 2  # the columns, and c.png


def test_where_all_photos_fail_they_wait(
    watcher: Watcher, inbox: Path, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a full disk: three are told of, and not one of all the others."""
    for number in range(9):
        shutil.copy(inbox / "a.png", inbox / f"more-{number}.png")
    album.mkdir()
    (album / "ant").write_text("")
    (album / "bee").write_text("")
    told: list[str] = []
    with watcher(album, told, once=False) as watching:
        monkeypatch.setattr(time, "sleep", _end_after(5))
        with pytest.raises(KeyboardInterrupt):
            next(watching.photos())
        assert len(told) == watching.faults == 3
    assert len(files_below(inbox)) == 12


def _end_after(count: int) -> Callable[[float], None]:
    rests = iter(range(count))

    def rest(seconds: float) -> None:
        if next(rests, None) is None:
            raise KeyboardInterrupt

    return rest


def _acting(*acts: Callable[[], object]) -> Callable[[float], None]:
    """What rests by doing these, one after the other."""
    left = iter(acts)
    return lambda seconds: [act() for act in islice(left, 1)].clear()


def _nothing() -> None:
    pass


def test_a_photo_that_could_not_be_moved_is_tried_again(
    watcher: Watcher, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    album.mkdir()
    (album / "ant").write_text("in the way")
    told: list[str] = []
    monkeypatch.setattr(inbox_watcher, "RETRY_S", 0.0)
    monkeypatch.setattr(time, "sleep", _acting(_nothing, _nothing, (album / "ant").unlink))
    with watcher(album, told, once=False) as watching:
        photos = watching.photos()
        assert [next(photos).image.labels[0].label for _ in range(3)] == ["bee", "ant", "ant"]
    assert watching.faults == 4
    assert len(told) == 2  # each is told once


def test_an_inbox_that_goes_is_waited_for(
    watcher: Watcher, inbox: Path, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    away = inbox.with_name("away")
    with watcher(album, told, once=False) as watching:
        goes, comes = partial(inbox.rename, away), partial(away.rename, inbox)
        monkeypatch.setattr(time, "sleep", _acting(goes, _nothing, comes))
        photos = watching.photos()
        assert {next(photos).place.name for _ in range(3)} == {"a.png", "b.png", "c.png"}
    (line,) = told
    assert "not there any more" in line


def test_two_watches_of_one_inbox_are_refused(watcher: Watcher, album: Path) -> None:
    with watcher(album), pytest.raises(WorkspaceError, match="one watch at a time"):
        watcher(album).__enter__()
    with watcher(album):
        pass


def test_requests_that_cannot_work(tmp_path: Path, watcher: Watcher, inbox: Path) -> None:
    with pytest.raises(ConfigError, match="moved, tagged, or both"):
        WatchRequest(tmp_path)
    with pytest.raises(ConfigError, match="another folder"):
        WatchRequest(tmp_path, tmp_path / ".")
    with pytest.raises(ConfigError, match="interval"):
        WatchRequest(tmp_path, tags="csv", interval=0)
    shutil.rmtree(inbox)
    with pytest.raises(DatasetError, match="make it"):
        watcher(tmp_path / "album").__enter__()
