"""`study strategies` and `advise` as commands, on photos and a small network."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import forget_standard_error, run_here
from helpers import SMALL_SPEC, FakeBackbone, Outcome, make_photos
from numpy.typing import NDArray
from small_networks import small_network

from retrain_cli.backbones.runtimes import blocks
from retrain_cli.cli.views.tuning.advise import show_advice
from retrain_cli.finetuning import parts
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.shared.all_layers import fill_layers
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.transfer.advise import AdviceRequest, advise
from retrain_cli.workspace import Workspace

LAYERS = ("low", "middle", "top")
QUICK = (
    "--sizes 6 --repeats 1 --epochs 1 --optimizer lbfgs --steps 20 --part first+last "
    "--testing-percentage 25"
)


class Layered(FakeBackbone):
    """Three layers of as many numbers as those of `small_network`."""

    layer_widths: tuple[int, ...] = (4, 8, 6)
    width = 18

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return super().__call__(images)[:, : self.width]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("strategies")
    photos = make_photos(root / "photos", {"ant": 12, "bee": 12, "cow": 12})
    workspace = Workspace(root / ".retrain")
    fill_cache(BottleneckRequest(photos, SMALL_SPEC), workspace, load=lambda *_: FakeBackbone())
    wide = replace(SMALL_SPEC.resolve(), layer=",".join(LAYERS))
    fill_layers(wide, LastUsed.load(workspace), workspace, load=lambda *_: Layered())
    return root


@pytest.fixture
def run(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[[str], Outcome]:
    monkeypatch.chdir(place)
    monkeypatch.setattr(blocks, "block_layers", lambda spec: LAYERS)
    monkeypatch.setattr(parts, "build_network", lambda spec: small_network(32))

    return lambda line: run_here(shlex.split(line), capfd)


def test_the_study_from_photos_to_winners(run: Callable[[str], Outcome], place: Path) -> None:
    first = run(f"study strategies {QUICK} --json --plot figure.svg")
    found = first.json
    assert [row["photos"] for row in found["winners"]] == [6]
    rows = found["strategies"]
    assert [row["strategy"] for row in rows] == [
        "head on the top",
        "head on an earlier layer",
        "fine-tune part",
        "fine-tune all",
    ]
    assert all(0 <= row["top-1"]["mean"] <= 1 for row in rows)
    assert [row["tuned kept"] for row in rows[:2]] == ["-", "-"]
    assert {one["layer"] for one in found["layers"]} <= set(LAYERS[:-1])
    assert (place / "figure.svg").read_text().startswith("<?xml")
    again = run(f"study strategies {QUICK} --json")
    assert "4 trials were finished before; 0 are left" in again.err
    assert again.json == found
    fewer = run(f"study strategies {QUICK} --strategies top,earlier --csv")
    assert "2 trials were finished before; 0 are left" in fewer.err
    assert fewer.out.startswith("photos,strategy,top-1")
    sizes = run(f"study strategies {QUICK} --sizes 4,20,900 --strategies top --json").json
    assert [row["photos"] for row in sizes["winners"]] == [4, 20]  # 900 adds no photo


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ("--sizes 2,5", 2, "chosen by 3 training photos of each class at least"),
        ("--sizes 0", 2, "--sizes must be at least 1"),
        ("--strategies top,magic", 2, "--strategies takes some of top, earlier, part, all"),
        ("--layer magic", 2, "--layer takes auto or a layer below the last"),
        ("--epochs 0", 2, "--epochs must be at least 1"),
        ("--classes ant,dodo", 2, "dodo"),
        ("--testing-percentage 0", 3, "a study needs test images and there are none"),
        ("--testing-percentage 80 --validation-percentage 10", 3, "add photos"),
        ("--classes ant", 2, "at least two different classes"),
    ],
)
def test_what_cannot_work_is_told_in_a_line(
    run: Callable[[str], Outcome], options: str, code: int, says: str
) -> None:
    done = run(f"study strategies --optimizer lbfgs --repeats 1 {options}")
    assert (done.code, done.out) == (code, "")
    (line,) = [one for one in done.err.splitlines() if one.startswith("error")]
    assert says in line


def test_a_part_that_does_not_exist(run: Callable[[str], Outcome]) -> None:
    done = run(f"study strategies {QUICK} --strategies part --part from:magic")
    assert done.code in (2, 3)
    assert "magic" in done.err


def test_advice_without_a_classifier_tells_both_scenarios(run: Callable[[str], Outcome]) -> None:
    done = run("advise --json")
    found = done.json
    assert (found["photos"], found["classes"], found["similarity"]) == (36, 3, None)
    assert [one["number"] for one in found["scenarios"]] == [1, 3]
    assert "the source classes are not known" in found["why_no_similarity"]
    assert "both scenarios of this size are told" in done.err
    text = run("advise")
    assert text.code == 0
    assert "    retrain train" in text.out.splitlines()
    assert any("--layer auto" in line for line in text.out.splitlines())
    assert "this may be wrong" in text.err


def test_a_file_without_a_classifier_is_refused(run: Callable[[str], Outcome], place: Path) -> None:
    done = run("advise --top nowhere.h5")
    assert (done.code, done.out) == (3, "")
    assert len(done.err.splitlines()) == 1


def test_advice_on_an_earlier_layer_goes_back_to_the_top_first(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", {"ant": 12, "bee": 12})
    workspace = Workspace(tmp_path / "work")
    spec = replace(SMALL_SPEC, layer="conv_pw_5_relu")
    fill_cache(BottleneckRequest(photos, spec), workspace, load=lambda *_: FakeBackbone())
    top, earlier = advise(AdviceRequest(), workspace).advised
    program = f"retrain --workspace {workspace.root}"
    assert top.commands[0].startswith(f"{program} bottlenecks {photos} ")
    assert "--layer" not in top.commands[0]
    assert top.commands[1:] == earlier.commands[1:] == (f"{program} train",)
    assert earlier.commands[0] == f"{top.commands[0]} --layer auto"


def test_a_class_of_too_few_photos_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photos = make_photos(tmp_path / "photos", {"ant": 12, "bee": 2})
    workspace = Workspace(tmp_path / "work")
    fill_cache(BottleneckRequest(photos, SMALL_SPEC), workspace, load=lambda *_: FakeBackbone())
    forget_standard_error()
    show_advice(advise(AdviceRequest(), workspace), "text")
    assert "the smallest class has 2 training photos" in capfd.readouterr().err
