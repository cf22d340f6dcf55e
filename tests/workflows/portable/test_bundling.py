"""A run that travels as one file, to a machine that knows nothing of it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SMALL_SPEC, FakeBackbone, make_photos

from retrain_cli.errors import ExportError, RetrainError
from retrain_cli.exporting.bundle_file import write_bundle
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.label import LabelRequest
from retrain_cli.workflows.portable.bundling import BundleRequest, bundle_run, open_bundle
from retrain_cli.workflows.portable.file_labeller import open_labeller
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

NO_CONFIGS = (b"junk", b"\xff\xfe", b"[" * 100_000, b"NaN", b"[]", b"{}")


@pytest.fixture
def here(tmp_path: Path, fake_backbone: FakeBackbone) -> Workspace:
    """A workspace with the run `base` on photos in `album`."""
    workspace = Workspace(tmp_path / "here")
    photos = make_photos(tmp_path / "album", {"ant": 20, "bee": 20})
    settings = ExtractionSettings(batch_size=8, workers=1)
    request = BottleneckRequest(photos, SMALL_SPEC, settings=settings)
    fill_cache(request, workspace, load=lambda spec, device: fake_backbone)
    training = TrainingConfig(optimizer="lbfgs", steps=20, validation_percentage=30)
    train_run(TrainRequest(training, name="base"), workspace)
    return workspace


def labelled(request: LabelRequest, workspace: Workspace, photos: Path) -> list[Any]:
    sources = [Source(str(one)) for one in sorted(photos.rglob("*.png"))[:6]]
    with open_labeller(request, workspace, lambda spec, device: FakeBackbone()) as labeller:
        return list(labeller.label(sources))


def test_another_machine_gives_the_same_labels(here: Workspace, tmp_path: Path) -> None:
    done = bundle_run(BundleRequest(output=tmp_path / "b.retrain"), here)
    there = Workspace(tmp_path / "there")  # which is empty
    own = labelled(LabelRequest("base"), here, tmp_path / "album")
    theirs = labelled(LabelRequest(bundle=done.path), there, tmp_path / "album")
    assert own == theirs
    assert done.needs is None  # random weights are made by everybody alike
    again = labelled(LabelRequest(bundle=done.path), there, tmp_path / "album")
    assert again == own


def test_no_place_of_this_machine_travels(here: Workspace, tmp_path: Path) -> None:
    done = bundle_run(BundleRequest(output=tmp_path / "b.retrain"), here)
    with zipfile.ZipFile(done.path) as archive:
        assert sorted(archive.namelist()) == [
            "bundle.json", "config.json", "head.npz", "labels.json"
        ]  # fmt: skip
        for name in archive.namelist():
            assert str(tmp_path).encode() not in archive.read(name), name
        facts = json.loads(archive.read("bundle.json"))
    assert facts["labels"] == ["ant", "bee"]


def test_what_was_unpacked_is_looked_at_each_time(here: Workspace, tmp_path: Path) -> None:
    done = bundle_run(BundleRequest(output=tmp_path / "b.retrain"), here)
    there = Workspace(tmp_path / "there")
    opened = open_bundle(done.path, there)
    (opened.run.folder / "head.npz").write_bytes(b"damaged")
    assert open_bundle(done.path, there).run.labels == ("ant", "bee")
    np.testing.assert_array_equal(
        open_bundle(done.path, there).run.head.weights,
        RunStore(here.runs_dir).get("base").head.weights,
    )


def test_a_damaged_bundle(here: Workspace, tmp_path: Path) -> None:
    done = bundle_run(BundleRequest(output=tmp_path / "b.retrain"), here)
    data = done.path.read_bytes()
    middle = data.index(b"head.npz") + 200
    done.path.write_bytes(data[:middle] + b"!!!!" + data[middle + 4 :])
    with pytest.raises(ExportError, match="should be a bundle"):
        open_bundle(done.path, Workspace(tmp_path / "there"))
    assert not list((tmp_path / "there/cache/bundles").glob("[!.]*"))


def made_of(bundle: Path, folder: Path, changed: dict[str, bytes | None]) -> Path:
    """A bundle with other parts, whose list is right."""
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
        facts = json.loads(archive.read("bundle.json"))
        parts = {name: folder / name for name in facts.pop("files")}
    for name, data in changed.items():
        parts.pop(name, None)
        if data is not None:
            parts[name] = folder / name
            parts[name].parent.mkdir(exist_ok=True)
            parts[name].write_bytes(data)
    facts.pop("format")
    write_bundle(folder / "made.retrain", facts, parts)
    return folder / "made.retrain"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        *(({"config.json": data}, "holds no run that can be read") for data in NO_CONFIGS),
        ({"labels.json": b"{"}, "holds no run that can be read"),
        ({"head.npz": b"no head"}, "holds no run that can be read"),
        ({"config.json": None}, "holds config.json, and"),
        ({"labels.json": None}, "holds labels.json, and"),
        ({"head.npz": None}, "holds head.npz, and"),
        ({"model/model.xml": b"<net/>"}, "holds model/model.bin, and"),
        ({"model/model.bin": b"0"}, "holds model/model.xml, and"),
        ({"model": b"0"}, "which no bundle holds"),
    ],
)
def test_a_bundle_of_other_parts_is_none(
    here: Workspace, tmp_path: Path, changed: dict[str, bytes | None], words: str
) -> None:
    done = bundle_run(BundleRequest(output=tmp_path / "b.retrain"), here)
    made = made_of(done.path, tmp_path / "parts", changed)
    with pytest.raises(ExportError, match=words):
        open_bundle(made, Workspace(tmp_path / "there"))
    assert not list((tmp_path / "there/cache/bundles").glob("[!.]*"))


def test_the_threshold_leaves_photos_unnamed(here: Workspace, tmp_path: Path) -> None:
    done = bundle_run(BundleRequest(output=tmp_path / "b.retrain", max_error=0.2), here)
    least = open_bundle(done.path, Workspace(tmp_path / "there")).least_score
    request = LabelRequest(bundle=done.path, reject=True)
    if least is None:
        with pytest.raises(ExportError, match="carries none"):
            labelled(request, Workspace(tmp_path / "there"), tmp_path / "album")
        return
    for image in labelled(request, Workspace(tmp_path / "there"), tmp_path / "album"):
        assert image.novelty is None
        assert (image.rejected == "unsure") == (image.best.score < least)


def test_a_file_that_is_there_stays(here: Workspace, tmp_path: Path) -> None:
    (tmp_path / "b.retrain").write_text("mine")
    with pytest.raises(ExportError, match="is there already"):
        bundle_run(BundleRequest(output=tmp_path / "b.retrain"), here)
    assert (tmp_path / "b.retrain").read_text() == "mine"


def with_weights(here: Workspace, file: Path) -> None:
    """Let the run name a weights file, as one trained on such a file does."""
    folder = RunStore(here.runs_dir).get("base").folder
    config = json.loads((folder / "config.json").read_text())
    config["backbone"]["weights"] = str(file)
    spec = type(SMALL_SPEC).from_dict(config["backbone"])
    config["cache"] = spec.fingerprint()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "digests.json").unlink()


def test_weights_travel_where_asked_for(here: Workspace, tmp_path: Path) -> None:
    weights = tmp_path / "my weights.h5"
    weights.write_bytes(b"weights" * 100)
    with_weights(here, weights)
    bare = bundle_run(BundleRequest(output=tmp_path / "bare.retrain"), here)
    whole = bundle_run(BundleRequest(output=tmp_path / "whole.retrain", with_backbone=True), here)
    assert bare.needs is not None
    assert whole.needs is None
    own = labelled(LabelRequest("base"), here, tmp_path / "album")
    weights.rename(tmp_path / "elsewhere")
    there = Workspace(tmp_path / "there")
    with pytest.raises(RetrainError, match="was made without its backbone"):
        labelled(LabelRequest(bundle=bare.path), there, tmp_path / "album")
    assert labelled(LabelRequest(bundle=whole.path), there, tmp_path / "album") == own
