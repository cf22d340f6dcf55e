"""What needs the backbone's own classifier works offline with a packaged one, and names no file."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run_here
from numpy.typing import NDArray
from PIL import Image

from retrain_cli.backbones.source_top import SourceTop, load_source_top
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.datasets.source_classes import load_source_classes
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workspace import Workspace

LITE0 = BackboneSpec("efficientnet_lite0", precision="float32", runtime="keras")
KNOWN, NEW = ("daisy", "goldfish", "pizza", "umbrella"), ("gadget", "widget")
TELLING = 20
"""Grey levels between the classes of the photos."""


class Knowing:
    """In place of the network: what its classifier takes for the class that the grey stands for."""

    width = 1280
    input_size = (224, 224)
    device = "cpu:0"
    any_batch_size = True
    batches_at_once = 1

    def __init__(self, top: SourceTop) -> None:
        classes = load_source_classes("imagenet")
        assert classes is not None
        names = [entry.synonyms[0].casefold() for entry in classes.classes]
        places = [names.index(name) for name in KNOWN]
        columns = [top.weights[:, place] for place in places]
        seed = np.random.default_rng(0)
        columns += [seed.normal(size=self.width).astype(np.float32) for _ in NEW]
        self._centres = np.stack([column / np.linalg.norm(column) for column in columns])

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        means = images.mean(axis=(1, 2, 3))
        labels = np.clip(np.round(means / TELLING).astype(int) - 1, 0, len(self._centres) - 1)
        noise = np.random.default_rng(int(means.sum())).normal(size=(len(images), self.width))
        vectors: NDArray[np.float32] = 30 * self._centres[labels] + 0.05 * noise
        return vectors.astype(np.float32)


@pytest.fixture(scope="module")
def known_to_it(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a workspace whose bottlenecks are of lite0, as far as anybody can see."""
    root = tmp_path_factory.mktemp("packaged")
    generator = np.random.default_rng(1)
    for number, name in enumerate((*KNOWN, *NEW)):
        (root / "photos" / name).mkdir(parents=True)
        for photo in range(12):
            pixels = generator.integers(-5, 6, (20, 20, 3)) + (number + 1) * TELLING
            Image.fromarray(pixels.astype(np.uint8)).save(
                root / "photos" / name / f"{photo:02}.png"
            )
    network = Knowing(load_source_top(LITE0, 1000))
    fill_cache(
        BottleneckRequest(root / "photos", LITE0),
        Workspace(root / ".retrain"),
        load=lambda _spec, _device: network,
    )
    return root


@pytest.fixture
def run(
    known_to_it: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[[str], Any]:
    monkeypatch.chdir(known_to_it)
    monkeypatch.setenv("KERAS_HOME", str(known_to_it / "nothing downloaded"))

    def in_process(line: str) -> Any:
        done = run_here(shlex.split(line), capfd)
        assert done.code == 0, done.err
        return done.json

    return in_process


def test_the_source_head_says_what_new_classes_look_like(run: Callable[[str], Any]) -> None:
    rows = {row["class"]: row for row in run("classes --suggest --json")}
    assert {name for name, row in rows.items() if row["origin"] == "INT"} == set(KNOWN)


def test_the_source_classes_are_kept(run: Callable[[str], Any]) -> None:
    quick = "--optimizer lbfgs --steps 20 --testing-percentage 30 --validation-percentage 20"
    made = run(f"train --keep-source-classes {quick} --json")
    test = made["metrics"]["test"]
    assert test["top1"] > 0.9
    assert test["int_top1"] > 0.9


def test_study_stock_needs_no_top(run: Callable[[str], Any]) -> None:
    quick = "--optimizer lbfgs --steps 20 --testing-percentage 30 --repeats 1"
    told = json.dumps(run(f"study stock {quick} --json"))
    assert "1,000" in told or "1000" in told


def test_advice_by_its_own_classifier(run: Callable[[str], Any]) -> None:
    told = run("advise --json")
    assert told["int_share"] == len(KNOWN) / len((*KNOWN, *NEW))
    assert told["similarity"]["similar"]
    assert told["similarity"]["within"] > 0.9
    (scenario,) = told["scenarios"]
    assert (scenario["number"], scenario["strategy"]) == (1, "top")
    assert scenario["commands"] == ["retrain train"]
    record = told["record"]
    assert record["won"] + record["level"] + record["lost"] == record["cases"]
