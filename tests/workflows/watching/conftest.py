"""A run of a fake network that tells ants from bees, and an inbox with photos of both."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from helpers import SMALL_SPEC, FakeBackbone, make_photos

from retrain_cli.heads.config import TrainingConfig
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.label import Labeller, LabelRequest
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workflows.watching.inbox_watcher import InboxWatcher
from retrain_cli.workflows.watching.watch_request import WatchRequest
from retrain_cli.workspace import Workspace

LabellerMaker = Callable[..., Labeller]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with the run `album`, which nothing writes to."""
    root = tmp_path_factory.mktemp("watched")
    photos = make_photos(root / "photos", {"ant": 12, "bee": 12})
    workspace = Workspace(root / "workspace")
    fill_cache(BottleneckRequest(photos, SMALL_SPEC), workspace, load=fake)
    train_run(TrainRequest(TrainingConfig(optimizer="ridge"), name="album"), workspace)
    return workspace


def fake(spec: object, device: str) -> FakeBackbone:
    return FakeBackbone()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """Two ants and a bee, one of the ants in a folder of its own."""
    made = make_photos(tmp_path / "made", {"ant": 2, "bee": 1}, seed=5)
    folder = tmp_path / "inbox"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(made / "ant" / "0000.png", folder / "a.png")
    shutil.copy(made / "ant" / "0001.png", folder / "sub" / "b.png")
    shutil.copy(made / "bee" / "0000.png", folder / "c.png")
    return folder


@pytest.fixture
def album(tmp_path: Path) -> Path:
    return tmp_path / "album"


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder in another file system than the inbox."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    with TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def watcher(trained: Workspace, inbox: Path) -> Iterator[Callable[..., InboxWatcher]]:
    """Make a watcher of the inbox that ends, with what it tells in `told`."""
    with ExitStack() as stack:

        def make(sort_into: Path | None = None, told: Any = None, **options: Any) -> InboxWatcher:
            labels = options.pop("labels", {})
            request = WatchRequest(inbox, sort_into, **{"interval": 0.001, "once": True, **options})
            labelling = LabelRequest(**{"top_k": 1, "workers": 1, "readers": "threads", **labels})
            labeller = stack.enter_context(Labeller(labelling, trained, load=fake))
            tell = (lambda text: None) if told is None else told.append
            return InboxWatcher(request, labeller, labelling.top_k or 1, tell=tell)

        yield make


@pytest.fixture
def watch(watcher: Callable[..., InboxWatcher]) -> Callable[..., dict[str, str | None]]:
    """Watch once; what became of each photo, by its path in the inbox."""

    def run(*arguments: Any, **options: Any) -> dict[str, str | None]:
        made = watcher(*arguments, **options)
        with made:
            return {
                Path(photo.image.path).name: photo.image.error
                or str(photo.place and photo.place.relative_to(arguments[0]))
                for photo in made.photos()
            }

    return run
