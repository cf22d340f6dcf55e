"""Runs made in every way there is, and made again by the commands that their reports print.

Each case makes a run; then the printed commands are run, as they are, on an empty workspace of
which nothing but the name is exchanged. The new run must predict the very same. The network is a
fake one whose numbers change with every setting of the backbone, so a setting that a command loses
is seen.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT
from helpers import QUICK_HEAD, RETRAIN, SMALL_SPEC, TINY
from lab import CLASSES, LAYERED, OTHER_SETTINGS, SHORT, Lab, SpecBackbone, draw_folder, stock_top
from networks import make_onnx
from PIL import Image

from retrain_cli.backbones import loader
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cli.main import hoist_global_options
from retrain_cli.flags import flag_of
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.history import TrainingProgress
from retrain_cli.heads.surgery import source_head
from retrain_cli.images.distortions import Distortion
from retrain_cli.runs.making import Grown, Trained
from retrain_cli.runs.provenance import Provenance
from retrain_cli.runs.run import Run, RunStore
from retrain_cli.workflows.add_class import AddClassRequest
from retrain_cli.workflows.bottlenecks import BottleneckRequest
from retrain_cli.workflows.cross_validate import FILE_NAME
from retrain_cli.workflows.report import ReportRequest, make_report
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace


@pytest.fixture(autouse=True)
def fake_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        loader, "load_backbone", lambda spec, device="auto", models=None, **_: SpecBackbone(spec)
    )
    monkeypatch.setattr(source_head, "load_source_top", stock_top)


Case = Callable[[Lab], str]
CASES: dict[str, Case] = {}


def case(make: Case) -> Case:
    """A way to make a run; returns its name."""
    CASES[make.__name__] = make
    return make


@case
def plain(lab: Lab) -> str:
    lab.fill()
    return lab.train("- it's $mine β")


@case
def every_training_setting(lab: Lab) -> str:
    lab.fill(views=2, distortion=Distortion(flip=True, crop=12.5, rotate=90))
    plain = {name: OTHER_SETTINGS[name] for name in OTHER_SETTINGS if name not in LAYERED}
    return lab.train("all", TrainingConfig(**plain))


@case
def every_setting_of_layers(lab: Lab) -> str:
    lab.fill()
    return lab.train("layers", replace(SHORT, **{name: OTHER_SETTINGS[name] for name in LAYERED}))


@case
def full_batch(lab: Lab) -> str:
    lab.fill()
    return lab.train("lbfgs", replace(SHORT, optimizer="lbfgs", steps=6))


@case
def small_classes_filled_with_views(lab: Lab) -> str:
    lab.fill(lab.uneven, views=2)
    return lab.train("filled", replace(SHORT, balance="views"))


@case
def small_classes_filled_with_mixtures(lab: Lab) -> str:
    lab.fill(lab.uneven)
    return lab.train("mixed", replace(SHORT, balance="smote", optimizer="lbfgs"))


@case
def grown_from_runs_whose_prior_is_taken_off(lab: Lab) -> str:
    lab.fill(lab.uneven)
    lab.train("first", replace(SHORT, balance="prior", prior="natural"))
    lab.train("second", replace(SHORT, balance="prior", tau=0.5), init_from="first")
    return lab.grow("wasp", lab.more / "wasp", run="second", name="grown")


@case
def classes_of_strange_names(lab: Lab) -> str:
    names = ("a,b", " c\\", "-d 'e'", "β,", "--quiet")
    photos = draw_folder(lab.root / "strange", dict.fromkeys(names, (110, 110, 110)), 8, seed=4)
    draw_folder(photos, CLASSES, 8, seed=5)
    lab.fill(photos)
    return lab.train("--verbose", replace(SHORT, classes=names))


@case
def near_duplicates_in_groups(lab: Lab) -> str:
    for number in range(20):
        photo = lab.photos / "ant" / f"{number:02}.png"
        with Image.open(photo) as image:
            copy = image.copy()
        copy.putpixel((0, 0), (1, 2, 3))
        copy.save(photo.with_name(f"{number:02}b.png"))
    lab.fill(group="near-duplicates")
    name = lab.train("grouped")
    lab.fill()
    lab.train("not")
    runs = RunStore(lab.workspace.runs_dir)
    grouped, alone = (runs.get(one).predictions.images.split for one in ("grouped", "not"))
    assert not np.array_equal(grouped, alone)
    return name


@case
def own_source_classes_and_overrides(lab: Lab) -> str:
    source, override = lab.root / "my classes.txt", lab.root / "-int ext.csv"
    source.write_text("ant\nteapot\ncup\n")
    override.write_text("teapot,ext\n")
    lab.fill(source_classes=str(source), int_ext=override)
    name = lab.train("own")
    lab.fill()  # what the workspace used last is something else by now
    return name


@case
def a_backbone_of_many_settings(lab: Lab) -> str:
    weights = lab.root / "-my weights.weights.h5"
    weights.write_bytes(b"any")
    spec = BackboneSpec(
        "mobilenet_v2", 0.5, "block_6_expand", "max", str(weights), 48, "letterbox", "float32"
    )
    lab.fill(backbone=replace(spec, runtime="keras"))
    name = lab.train("net")
    lab.fill(backbone=replace(spec, weights="random", runtime="keras"))
    return name


@case
def random_weights_and_source_classes(lab: Lab) -> str:
    lab.fill(backbone=replace(SMALL_SPEC, alpha=0.5, resize="crop"), source_classes="imagenet")
    return lab.train("random")


@case
def a_saved_model(lab: Lab) -> str:
    folder = lab.root / "saved model"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"any")
    hub = BackboneSpec(f"hub:{folder}", input_size=36, resize="crop", pooling="max")
    lab.fill(backbone=hub, trust_model=True)
    return lab.train("hub")


@case
def an_onnx_file(lab: Lab) -> str:
    file = make_onnx(lab.root / "a network.onnx", shape=("n", 3, "h", "w"))
    mine = BackboneSpec(
        f"onnx:{file}",
        input_size=24,
        scaling="0.5/0.25:bgr",
        output="map",
        pooling="max",
        precision="float32",
        runtime="onnxruntime",
    )
    lab.fill(backbone=mine)
    return lab.train("mine")


@case
def cross_validated(lab: Lab) -> str:
    lab.fill()
    return lab.train("folds", cv=3)


@case
def calibrated(lab: Lab) -> str:
    lab.fill()
    return lab.calibrate(lab.train("calibrated"))


@case
def interrupted(lab: Lab) -> str:
    lab.fill()

    def interrupt(progress: TrainingProgress) -> None:
        if progress.row.step == 20:
            raise KeyboardInterrupt

    request = TrainRequest(replace(SHORT, steps=1000), "cut short")
    return train_run(request, lab.workspace, interrupt).run.name


@case
def from_another_run_of_other_photos_that_is_gone(lab: Lab) -> str:
    lab.fill(draw_folder(lab.root / "before", {**CLASSES, "fly": (90, 90, 90)}, 9, seed=8))
    first = lab.train("first", replace(SHORT, seed=5))
    second = lab.train("second", replace(SHORT, optimizer="sgd"), init_from=first)
    lab.calibrate(second)  # does not count: a head is taken over as trained
    lab.fill()
    third = lab.train("third", replace(SHORT, steps=3), init_from=second)
    lab.remove(first)
    lab.remove(second)
    lab.train(first, replace(SHORT, l2=1.0))  # another run of that name
    return third


@case
def grown(lab: Lab) -> str:
    lab.fill()
    lab.train("base")
    some = sorted((lab.more / "wasp").iterdir())
    return lab.grow("--w'asp β", *some[:4], test=(some[4], some[5]), run="base", name="-grown")


@case
def grown_twice_from_a_calibrated_run_that_is_gone(lab: Lab) -> str:
    lab.fill()
    lab.calibrate(lab.train("base"))
    first = lab.grow("wasp", lab.more / "wasp", run="base", name="first")
    last = lab.grow("bug", lab.more / "bug", run=first, name="last")
    lab.remove("base")
    lab.remove(first)
    return lab.calibrate(last)


@case
def grown_and_trained_again(lab: Lab) -> str:
    lab.fill()
    lab.train("base", replace(SHORT, examples_per_class=6))
    return lab.grow("wasp", lab.more / "wasp", run="base", name="again", retrain=True)


@case
def trained_from_a_run_that_grew(lab: Lab) -> str:
    lab.fill()
    lab.train("base")
    lab.grow("wasp", lab.more / "wasp", run="base", name="grown")
    return lab.train("after", init_from="grown")


@case
def source_classes_kept(lab: Lab) -> str:
    _fill_with_source_classes(lab)
    return lab.train("kept", keep_source_classes=True)


@case
def source_classes_kept_by_a_file_and_grown(lab: Lab) -> str:
    _fill_with_source_classes(lab)
    top = lab.root / "-the top.h5"
    top.write_bytes(b"seven..")
    lab.train("kept", keep_source_classes=True, top=top)
    return lab.grow("wasp", lab.more / "wasp", run="kept", name="grown")


def _fill_with_source_classes(lab: Lab) -> None:
    source = lab.root / "classes.txt"
    source.write_text("ant\nteapot\ncup\nsaucer\n")
    lab.fill(source_classes=str(source))


@case
def names_that_are_taken(lab: Lab) -> str:
    lab.fill()
    lab.train("x")
    lab.train("x-again", init_from="x")
    lab.remove("x")
    return lab.train("x", replace(SHORT, seed=2), init_from="x-again")


@pytest.mark.parametrize("name", CASES)
def test_the_printed_commands_make_the_same_run_again(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(tmp_path)
    run = RunStore(lab.workspace.runs_dir).get(CASES[name](lab))
    commands = printed(run, lab.workspace)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    empty = Workspace(tmp_path / "empty")
    for words in commands:
        assert words[:5] == ["retrain", "--config", "none", "--workspace", str(lab.workspace.root)]
        type_in("--workspace", str(empty.root), *words[5:])
    again = RunStore(empty.runs_dir).latest()
    assert_same(again, run)
    assert [path.name for path in Path.cwd().iterdir()] == [f"report-{again.name}.html"]


def printed(run: Run, workspace: Workspace) -> list[list[str]]:
    """The words of each command of the report of a run."""
    report = make_report(ReportRequest(run.name, map_method="none"), workspace)
    return [shlex.split(command.text) for command in report.commands]


def type_in(*words: str) -> None:
    """Run a command as `retrain` does; whoever trusted a SavedModel has to say so once again."""
    trust = ["--trust-model"] if any(word.startswith("hub:") for word in words) else []
    ROOT(args=hoist_global_options([*words, *trust]), prog_name="retrain", standalone_mode=False)


def assert_same(again: Run, run: Run) -> None:
    """Both are the same but for their names and for what happened meanwhile."""
    assert again.labels == run.labels
    assert again.origins == run.origins
    np.testing.assert_array_equal(again.head.weights, run.head.weights)
    assert_equal_arrays(again, run, "predictions.npz")
    assert (run.folder / FILE_NAME).exists() == (again.folder / FILE_NAME).exists()
    if (run.folder / FILE_NAME).exists():
        assert_equal_arrays(again, run, FILE_NAME)
    assert (again.calibration is None) == (run.calibration is None)
    assert nameless(again.provenance) == nameless(run.provenance)


def assert_equal_arrays(again: Run, run: Run, file: str) -> None:
    with np.load(again.folder / file) as one, np.load(run.folder / file) as other:
        assert set(one) == set(other)
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def nameless(provenance: Provenance) -> list[Provenance]:
    """The line of a run without the names, and with an interruption as an end."""
    line = [*provenance.parents, *provenance.line("", calibrated=False)[-1:]]
    return [_nameless(one.provenance) for one in line]


def _nameless(one: Provenance) -> Provenance:
    if isinstance(one.made, Grown):
        return replace(one, made=replace(one.made, run=""), parents=())
    assert isinstance(one.made, Trained)
    training = replace(one.training, steps=one.made.stopped_at or one.training.steps)
    made = replace(one.made, init_from=None, stopped_at=None)
    return replace(one, made=made, training=training, parents=())


def test_other_settings_are_of_every_field() -> None:
    usual = {field.name: field.default for field in dataclasses.fields(TrainingConfig)}
    assert OTHER_SETTINGS.keys() == usual.keys()
    assert all(OTHER_SETTINGS[name] != usual[name] for name in usual)


@pytest.mark.parametrize(
    ("request_type", "kept_in", "irrelevant"),
    [
        (
            TrainRequest,
            Trained,
            {"config", "name", "note", "tensorboard", "memory_limit", "few_shot"},
        ),
        (AddClassRequest, Grown, {"name", "note", "device", "workers", "readers", "photo_timeout"}),
        (
            BottleneckRequest,
            Provenance,
            {  # how many views it was trained on is one of the training settings
                "settings",
                "validation_percentage",
                "testing_percentage",
                "rescan",
                "from_csv",
                "trust_model",
                "views",
                *("shard", "settled", "cluster", "parts"),
            },
        ),
    ],
)
def test_what_a_request_says_is_kept(
    request_type: type, kept_in: type, irrelevant: set[str]
) -> None:
    """A new field of a request has a place in the provenance, or it changes no run."""
    asked = {one.name: one for one in dataclasses.fields(request_type)}
    kept = {one.name: one for one in dataclasses.fields(kept_in)}
    assert asked.keys() - irrelevant <= kept.keys()
    assert not asked.keys() & irrelevant & kept.keys()
    if kept_in is not Provenance:
        for name in asked.keys() - irrelevant - {"run", "photos"}:
            assert asked[name].default == kept[name].default, name


@pytest.mark.parametrize(
    ("command", "settings", "no_option"),
    [
        ("train", TrainingConfig, set()),
        ("train", Trained, {"stopped_at", "search"}),
        ("bottlenecks", BackboneSpec, {"model", "crop"}),
        ("add-class", Grown, {"class_name", "photos", "before"}),
        ("report", ReportRequest, {"run"}),
    ],
)
def test_every_setting_is_an_option_of_its_command(
    command: str, settings: type, no_option: set[str]
) -> None:
    """What is not printed has to be what the command line takes for granted."""
    options = {
        flag: parameter
        for parameter in ROOT.get_command(None, command).params
        for flag in parameter.opts
    }
    for field in dataclasses.fields(settings):
        if field.name in no_option:
            continue
        parameter = options[flag_of(field.name, settings)]
        usual = field.default
        if usual is dataclasses.MISSING or usual == ():
            usual = None
        assert parameter.default == usual or not (parameter.default or usual), field.name


def test_pasted_into_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All lines at once, with a real network, where the workspace was before it moved."""
    monkeypatch.undo()
    lab = Lab(tmp_path)
    root, short = ("--workspace", str(lab.workspace.root)), (*QUICK_HEAD, "--eval-every", "10")
    type_in(*root, "bottlenecks", *TINY, "--", str(lab.photos))
    type_in(*root, "train", *short, "--name=-base")
    wasps = str(lab.more / "wasp")
    type_in(*root, "add-class", "--run=-base", "--name", "it's grown", "--", "-wasp", wasps)
    report = make_report(ReportRequest("it's grown", map_method="none"), lab.workspace)
    lines = "\n".join(command.text for command in report.commands[:-2])  # figures need no shell
    shutil.move(lab.workspace.root, tmp_path / "kept")
    paths = {**os.environ, "PATH": f"{RETRAIN.parent}:{os.environ['PATH']}"}
    script = ["bash", "-euc", lines]
    done = subprocess.run(script, cwd=tmp_path, env=paths, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    kept = RunStore(tmp_path / "kept" / "runs").get("it's grown")
    assert_same(RunStore(lab.workspace.runs_dir).get("it's grown-again"), kept)
