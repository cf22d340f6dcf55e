"""Workspaces in which commands are struck by faults, and what must hold afterwards."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from helpers import SMALL_SPEC, FakeBackbone, make_photos

from retrain_cli.cache.store import BottleneckStore
from retrain_cli.cache.verification import verify_store
from retrain_cli.datasets.moves import Move, MoveScript, write_script
from retrain_cli.errors import WorkspaceError
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.renaming import rename_run
from retrain_cli.runs.run import RunStore
from retrain_cli.runs.verifying import verify_run
from retrain_cli.studies import runner
from retrain_cli.studies.protocols.examples import ExamplesStudy
from retrain_cli.studies.study import StudySettings
from retrain_cli.workflows.add_class import AddClassRequest, add_class
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.cache import (
    collect_garbage,
    export_cache,
    verify_caches,
)
from retrain_cli.workflows.calibrate import calibrate, remove_calibration
from retrain_cli.workflows.check import CheckRequest, check_dataset
from retrain_cli.workflows.label import Labeller, LabelRequest
from retrain_cli.workflows.report import ReportRequest, write_report
from retrain_cli.workflows.sharding.merging import merge_caches
from retrain_cli.workflows.shared.apply_moves import apply_script, undo_last
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.sort_photos import PhotoSorter, SortRequest
from retrain_cli.workflows.study import run_study
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workflows.watching.inbox_watcher import InboxWatcher
from retrain_cli.workflows.watching.watch_request import WatchRequest
from retrain_cli.workspace import Workspace

_SHORT = TrainingConfig(
    steps=20, eval_every=10, optimizer="lbfgs", testing_percentage=25, validation_percentage=35
)
_EXTRACTION = ExtractionSettings(batch_size=8, workers=1, readers="threads")


@dataclass(frozen=True)
class Scene:
    """A folder with photos and a workspace.

    Attributes:
        root: the folder.
    """

    root: Path

    @property
    def workspace(self) -> Workspace:
        """The workspace."""
        return Workspace(self.root / "workspace")

    @property
    def photos(self) -> Path:
        """The photos."""
        return self.root / "photos"

    def fill(self) -> None:
        """Compute the bottlenecks."""
        request = BottleneckRequest(self.photos, SMALL_SPEC, settings=_EXTRACTION)
        fill_cache(request, self.workspace, load=lambda spec, device: FakeBackbone())


def make_scene(root: Path) -> Scene:
    """A workspace with a full cache, two runs, one of them calibrated, a script and a neighbour."""
    scene = Scene(root)
    make_photos(scene.photos, {"ant": 14, "bee": 14}, seed=1)
    make_photos(root / "wrong", {"ant": 8}, seed=77)
    for photo in (root / "wrong" / "ant").iterdir():  # so that no head is always right
        shutil.copy(photo, scene.photos / "bee" / f"like-{photo.name}")
    scene.fill()
    train_run(TrainRequest(_SHORT, "first"), scene.workspace)
    train_run(TrainRequest(replace(_SHORT, seed=2), "second"), scene.workspace)
    calibrate("second", scene.workspace)
    make_photos(root / "new", {"cat": 6}, seed=3)
    other = Scene(root / "other")
    make_photos(other.photos, {"dog": 9, "eel": 9}, seed=4)
    other.fill()
    moves = [
        Move(f"ant/{n:04}.png", f"bee/moved-{n}.png", False, _digest(scene, f"ant/{n:04}.png"), "")
        for n in range(5, 9)
    ]
    write_script(MoveScript(scene.photos, root / "quarantine", tuple(moves)), root / "moves.txt")
    return scene


def _digest(scene: Scene, photo: str) -> str:
    return hashlib.blake2b((scene.photos / photo).read_bytes(), digest_size=16).hexdigest()


def _more_photos(scene: Scene) -> None:
    make_photos(scene.photos, {"fly": 12}, seed=9)


def _fewer_photos(scene: Scene) -> None:
    make_photos(scene.photos, {"gnat": 9}, seed=9)
    scene.fill()
    shutil.rmtree(scene.photos / "gnat")
    scene.fill()


def _damaged_rows(scene: Scene) -> None:
    (path,) = scene.workspace.cache_dir.glob("*.sqlite")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE bottlenecks SET vector = zeroblob(128) WHERE rowid = 3")


def _damaged_file(scene: Scene) -> None:
    (path,) = scene.workspace.cache_dir.glob("*.sqlite")
    with path.open("r+b") as file:
        file.write(bytes(100))


def _applied(scene: Scene) -> None:
    apply_script(scene.root / "moves.txt", scene.workspace)


def _nothing(scene: Scene) -> None:
    pass


def _fake(spec: object, device: str) -> FakeBackbone:
    return FakeBackbone()


def _sort(scene: Scene) -> None:
    """As `retrain label new --sort-into sorted --move`."""
    sorting = SortRequest(scene.root / "sorted", move=True)
    request = LabelRequest("first", readers="threads", workers=1)
    photos = sorted((scene.root / "new").rglob("*.png"))
    with (
        Labeller(request, scene.workspace, load=_fake) as labeller,
        PhotoSorter(sorting, labeller.run.labels) as sorter,
    ):
        for image in labeller.label(Source(str(photo)) for photo in photos):
            if not image.error:
                sorter.place(Path(image.path), image.labels[0].label)


def _watch(scene: Scene) -> None:
    """As `retrain watch new --sort-into sorted --tags json --once`."""
    watching = WatchRequest(scene.root / "new", scene.root / "sorted", "json", 0.001, once=True)
    request = LabelRequest("first", readers="threads", workers=1)
    with (
        Labeller(request, scene.workspace, load=_fake) as labeller,
        InboxWatcher(watching, labeller, 1) as watcher,
    ):
        watched = [*watcher.photos()]
    if watcher.faults:  # as the command ends then
        raise WorkspaceError(f"{watcher.faults} of {len(watched)} photos could not be sorted")


def _rename(scene: Scene) -> None:
    rename_run(RunStore(scene.workspace.runs_dir).get("second"), "other")


def _annotate(scene: Scene) -> None:
    RunStore(scene.workspace.runs_dir).get("second").annotate("a note")


def _report(scene: Scene) -> None:
    page, text = scene.root / "page.html", scene.root / "page.md"
    write_report(ReportRequest("first", html=page, markdown=text), scene.workspace)


def _study(scene: Scene) -> None:
    settings = StudySettings(repeats=2, training=_SHORT)
    with patch.object(runner, "load_keras"):  # takes six seconds, and L-BFGS needs none
        run_study(ExamplesStudy((2,)), scene.workspace, settings, workers=2)


@dataclass(frozen=True)
class Case:
    """A command that writes.

    Attributes:
        name: as it is typed.
        run: the command.
        prepare: what is done to the scene before.
        may_lose: how many cached vectors it may remove.
        may_remove: a run that it removes.
        may_add: what that run is called afterwards; empty where it is gone.
    """

    name: str
    run: Callable[[Scene], object]
    prepare: Callable[[Scene], None] = _nothing
    may_lose: int = 0
    may_remove: str = ""
    may_add: str = ""


CASES = (
    Case("bottlenecks", lambda scene: scene.fill(), _more_photos),
    Case("train", lambda scene: train_run(TrainRequest(_SHORT, "third"), scene.workspace)),
    Case("eval --calibrate", lambda scene: calibrate("first", scene.workspace)),
    Case("eval --calibrate (again)", lambda scene: calibrate("second", scene.workspace)),
    Case("eval --no-calibrate", lambda scene: remove_calibration("second", scene.workspace)),
    Case(
        "runs rm",
        lambda scene: RunStore(scene.workspace.runs_dir).remove("second"),
        may_remove="second",
    ),
    Case("runs rename", _rename, may_remove="second", may_add="other"),
    Case("runs note", _annotate),
    Case("report", _report),
    Case("label --sort-into --move", _sort),
    Case("watch", _watch),
    Case(
        "add-class",
        lambda scene: add_class(
            AddClassRequest("cat", (scene.root / "new",), name="grown", readers="threads"),
            scene.workspace,
            load=_fake,
        ),
    ),
    Case("check", lambda scene: check_dataset(CheckRequest(labels=False), scene.workspace)),
    Case("check --apply", lambda scene: apply_script(scene.root / "moves.txt", scene.workspace)),
    Case("check --undo", lambda scene: undo_last(scene.workspace), _applied),
    Case("study examples", _study),
    Case("cache export", lambda scene: export_cache(scene.workspace, scene.root / "v.npz")),
    Case("cache gc", lambda scene: collect_garbage(scene.workspace), _fewer_photos, may_lose=9),
    Case(
        "cache merge", lambda scene: merge_caches(scene.workspace, scene.root / "other/workspace")
    ),
    Case(
        "cache verify --repair (a row)",
        lambda scene: verify_caches(scene.workspace, repair=True),
        _damaged_rows,
        may_lose=1,
    ),
    Case(
        "cache verify --repair (the file)",
        lambda scene: verify_caches(scene.workspace, repair=True),
        _damaged_file,
    ),
)


@dataclass(frozen=True)
class Held:
    """What a scene holds: contents of photos, cached vectors, runs and finished trials."""

    photos: Counter[str]
    vectors: frozenset[bytes]
    runs: frozenset[str]
    trials: frozenset[str]


def held_by(scene: Scene, *, repaired: bool) -> Held:
    """Look at a scene.

    Args:
        scene: the scene.
        repaired: whether the cache has to be sound; else it may be damaged as it was prepared.

    Raises:
        AssertionError: something that was finished is damaged.
    """
    folders = (scene.photos, *(scene.root / name for name in ("quarantine", "new", "sorted")))
    found = [path for folder in folders for path in folder.rglob("*")]
    digests = Counter(
        hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        for path in {path.resolve() for path in found if path.is_file()}
        if ".retrain-draft-" not in str(path)
    )
    runs = RunStore(scene.workspace.runs_dir).list()
    for run in runs:
        assert verify_run(run).faults == (), verify_run(run)
    LastUsed.load(scene.workspace)
    vectors: set[bytes] = set()
    for path in scene.workspace.cache_dir.glob("*.sqlite"):
        if repaired:
            with BottleneckStore(path) as store:
                assert not verify_store(store).damaged
                vectors |= {*store.digests()}
                assert np.isfinite(store.read([*store.digests()])).all()
    names = frozenset(run.name for run in runs)
    return Held(digests, frozenset(vectors), names, frozenset(_trials(scene)))


def _trials(scene: Scene) -> set[str]:
    """Keys of the finished trials; a line without its end is none."""
    kept: set[str] = set()
    for path in scene.workspace.studies_dir.glob("*/trials.jsonl"):
        lines = path.read_text().splitlines(keepends=True)
        kept |= {json.loads(line)["key"] for line in lines if line.endswith("\n")}
    return kept
