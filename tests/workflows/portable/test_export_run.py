"""A run as a file of each format: written, run by its own runtime, and held to the run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_lab import ExportLab
from served_process import serving

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.engine import openvino_core
from retrain_cli.errors import (
    AssertionNotMetError,
    ConfigError,
    DatasetError,
    ExportError,
    MissingExtraError,
)
from retrain_cli.exporting import export_formats as formats
from retrain_cli.exporting.description import DESCRIPTION_FILE
from retrain_cli.exporting.runners import exported_model
from retrain_cli.exporting.runners.exported_model import ExportedModel, open_exported
from retrain_cli.workflows.label import LabelRequest
from retrain_cli.workflows.portable import export_run as module
from retrain_cli.workflows.portable.export_request import ExportRequest
from retrain_cli.workflows.portable.export_run import export_run
from retrain_cli.workflows.portable.file_labeller import open_labeller
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workspace import Workspace

STANDARD = [row.name for row in formats.FORMATS.values() if not row.is_fetched]
"""What `--format all` writes."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> ExportLab:
    return ExportLab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def every(lab: ExportLab) -> Any:
    return lab.export("every", format="all")


def labelled(lab: ExportLab, path: Path, **options: Any) -> list[Any]:
    sources = [Source(str(one)) for one in sorted(lab.photos.rglob("*.png"))[:5]]
    with open_labeller(LabelRequest(model=path, **options), lab.workspace) as labeller:
        return list(labeller.label(sources))


def test_every_format_answers_as_the_run(lab: ExportLab, every: Any) -> None:
    assert [one.described.format for one in every.files] == STANDARD
    for one in every.files:
        assert one.parity.other_labels == 0, one.path
        assert one.parity.largest_difference < (0.02 if one.described.input != "pixels" else 1e-4)
        assert one.path.exists()
    every.check()
    assert every.accuracy == pytest.approx(every.own.accuracy(every.files[0].parity.labels))


@pytest.mark.parametrize("name", ["litert", "onnx", "openvino"])
def test_a_file_is_served_by_its_own_runtime(
    lab: ExportLab, every: Any, name: str, tmp_path: Path
) -> None:
    file = next(one for one in every.files if one.described.format == name)
    photo = min(lab.photos.rglob("*.png"))
    (expected,) = labelled(lab, file.path, top_k=2)[:1]
    with serving(tmp_path, "--model", str(file.path)) as running:
        told = running.label(photo.read_bytes())
        scores = {one["label"]: one["score"] for one in told["photos"][0]["labels"]}
        assert scores == pytest.approx({one.label: one.score for one in expected.labels}, abs=1e-5)
        assert running.ask(f"/v1/models/{file.path.stem}/metadata")["model_spec"]["version"]
        assert not running.has_loaded("libtensorflow_cc")


def test_what_lies_beside_the_files(lab: ExportLab, every: Any) -> None:
    assert (every.folder / "labels.txt").read_text() == "ant\nbee\n"
    card = (every.folder / "model_card.md").read_text()
    assert "trained on" in card
    assert "| the run itself |" in card
    figures = json.loads((every.folder / "parity.json").read_text())
    assert [one["rejected"] for one in figures["files"]] == [False] * 5
    assert figures["files"][0]["latency_ms"].keys() == {"median", "p95"}


@pytest.mark.parametrize("name", STANDARD)
def test_labelling_with_a_file_is_labelling_with_the_run(
    name: str, lab: ExportLab, every: Any
) -> None:
    path = next(one.path for one in every.files if one.described.format == name)
    sources = [Source(str(one)) for one in sorted(lab.photos.rglob("*.png"))[:5]]
    with open_labeller(LabelRequest("base"), lab.workspace) as labeller:
        theirs = list(labeller.label(sources))
    for ours, own in zip(labelled(lab, path), theirs, strict=True):
        assert (ours.path, ours.labels[0].label) == (own.path, own.labels[0].label)
        assert ours.labels[0].score == pytest.approx(own.labels[0].score, abs=1e-4)


def test_light_runtimes_import_no_tensorflow(lab: ExportLab, every: Any) -> None:
    paths = [str(one.path) for one in every.files if one.described.format in (
        "onnx", "litert", "openvino")]  # fmt: skip
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "import retrain_cli as rt\n"
        f"for path in {paths!r}:\n"
        f"    request = rt.LabelRequest(model=Path(path))\n"
        f"    with rt.open_labeller(request, rt.Workspace(Path('none'))) as labeller:\n"
        f"        assert list(labeller.label([rt.Source({str(lab.photos / 'ant/0000.png')!r})]))\n"
        "print(sorted({'tensorflow', 'keras', 'torch'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_tensorflow_serving_finds_its_signatures(every: Any, lab: ExportLab) -> None:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(every.files[0].path / "1"))
    assert {"serving_default", "classify", "pixels"} <= set(loaded.signatures)
    photo = (lab.photos / "bee/0001.png").read_bytes()
    found = loaded.signatures["serving_default"](image_bytes=tf.constant([photo, photo]))
    assert found["scores"].shape == (2, 2)
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[photo]))
    example = tf.train.Example(
        features=tf.train.Features(feature={"image/encoded": feature})
    ).SerializeToString()
    classified = loaded.signatures["classify"](inputs=tf.constant([example]))
    assert classified["classes"].numpy().tolist() == [[b"ant", b"bee"]]
    np.testing.assert_allclose(classified["scores"][0], found["scores"][0], atol=1e-6)


def test_metadata_that_others_read(every: Any) -> None:
    import onnxruntime

    paths = {one.described.format: one.path for one in every.files}
    session = onnxruntime.InferenceSession(str(paths["onnx"]))
    known = session.get_modelmeta().custom_metadata_map
    assert json.loads(known["labels"]) == ["ant", "bee"]
    assert json.loads(known["names"]) == {"0": "ant", "1": "bee"}
    assert [one.name for one in session.get_outputs()] == ["scores", "label"]
    image = np.zeros((1, 80, 60, 3), np.uint8)
    assert session.run(["label"], {"images": image})[0][0] in ("ant", "bee")
    model = openvino_core().read_model(str(paths["openvino"] / "model.xml"))
    assert model.get_rt_info(["model_info", "labels"]).astype(str) == "ant bee"
    content = paths["litert"].read_bytes()
    assert b"TFLITE_METADATA" in content
    assert b"M001" in content


def test_int8_and_float16_are_written_by_all_that_have_them(lab: ExportLab) -> None:
    sizes: dict[str, list[str]] = {}
    for precision in ("float16", "int8"):
        done = lab.export(precision, format="all", quantise=precision, tolerance=0.99)
        assert {one.described.precision for one in done.files} == {precision}
        sizes[precision] = [one.described.format for one in done.files]
    assert sizes["float16"] == sizes["int8"] == ["litert", "onnx", "openvino"]


def test_a_file_that_answers_otherwise_is_rejected(
    lab: ExportLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def upside_down(path: Path) -> ExportedModel:
        opened = open_exported(path)
        return replace(opened, scores=lambda images: opened.scores(images)[:, ::-1])

    monkeypatch.setattr(module, "open_exported", upside_down)
    done = lab.export("bad", format="keras")
    (one,) = done.files
    assert one.path.name == "base.keras.rejected"
    assert one.path.exists()
    assert not (lab.root / "bad/base.keras").exists()
    with pytest.raises(AssertionNotMetError, match="another label than the run") as refused:
        done.check()
    assert refused.value.exit_code == 4


def test_no_photos_to_check_on(lab: ExportLab, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="put the folder back, or name it"):
        lab.export("none", photos=tmp_path)
    assert not (lab.root / "none").exists()
    moved = shutil.copytree(lab.photos, tmp_path / "moved")
    assert lab.export("moved", format="keras", photos=moved).missing == 0


def test_a_folder_that_is_there(lab: ExportLab) -> None:
    (lab.root / "full").mkdir()
    (lab.root / "full/mine.txt").write_text("")
    with pytest.raises(ExportError, match="is there already"):
        lab.export("full")
    (lab.root / "a file").write_text("")
    with pytest.raises(ExportError, match="is there already"):
        lab.export("a file")


def test_a_missing_package_is_named(lab: ExportLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'retrain-cli\[export\]'"):
        lab.export("package", format="onnx")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantise": "int8"}, "goes with litert, onnx, openvino, web"),
        ({"format": "keras", "quantise": "float16"}, "has no such weights"),
        ({"format": "onnx", "input": "bytes"}, "takes any-size or pixels"),
        ({"format": "litert", "input": "any-size"}, "takes pixels, not"),
        ({"check_photos": 0}, "check_photos"),
        ({"tolerance": 2.0}, "tolerance"),
    ],
)
def test_what_does_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ExportRequest(**options)


def test_a_format_that_cannot_hold_the_network(
    lab: ExportLab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for kind, reason in (("onnx", "as an OpenVINO model alone"), ("hub", "finished")):
        monkeypatch.setattr(BackboneSpec, "kind", kind)
        with pytest.raises(ExportError, match=reason):
            export_run(ExportRequest(output=tmp_path / "x"), lab.workspace)


def damaged(path: Path, tmp_path: Path) -> Path:
    copy = tmp_path / path.name
    if path.is_dir():
        shutil.copytree(path, copy)
        for inner in [*copy.rglob("model.bin"), *copy.rglob("*.pb"), *copy.rglob("variables.*")]:
            inner.write_bytes(inner.read_bytes()[:50])
    else:
        content = path.read_bytes()
        copy.write_bytes(content[: len(content) // 2])
    return copy


@pytest.mark.parametrize("name", STANDARD)
def test_a_damaged_file_is_one_clear_error(
    name: str, lab: ExportLab, every: Any, tmp_path: Path
) -> None:
    path = next(one.path for one in every.files if one.described.format == name)
    with pytest.raises(ExportError, match="export the run again"):
        labelled(lab, damaged(path, tmp_path), trust_model=True)


def test_files_of_others(lab: ExportLab, tmp_path: Path, every: Any) -> None:
    with pytest.raises(ExportError, match="must be there"):
        exported_model.open_exported(tmp_path / "no.onnx")
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(ExportError, match="ends with"):
        exported_model.open_exported(tmp_path / "x.txt")
    path = next(one.path for one in every.files if one.described.format == "savedmodel")
    copy = shutil.copytree(path, tmp_path / "model")
    (copy / "1/assets.extra" / DESCRIPTION_FILE).unlink()
    with pytest.raises(ExportError, match="holds no description"):
        labelled(lab, copy, trust_model=True)


def test_a_savedmodel_from_elsewhere_has_to_be_trusted(
    lab: ExportLab, every: Any, tmp_path: Path
) -> None:
    path = next(one.path for one in every.files if one.described.format == "savedmodel")
    request = LabelRequest(model=path)
    with pytest.raises(ExportError, match="is a program"):
        open_labeller(request, Workspace(tmp_path / "other"))
    trusting = replace(request, trust_model=True)
    with open_labeller(trusting, Workspace(tmp_path / "other")):
        pass
    with open_labeller(request, Workspace(tmp_path / "other")):  # remembered
        pass


def test_the_threshold_travels(lab: ExportLab, every: Any) -> None:
    path = next(one.path for one in every.files if one.described.format == "onnx")
    least = every.files[0].described.least_score
    if least is None:
        with pytest.raises(ExportError, match="carries none"):
            labelled(lab, path, reject=True)
        return
    for image in labelled(lab, path, reject=True):
        assert image.best is not None
        assert (image.rejected == "unsure") == (image.best.score < least)


def test_one_thing_labels() -> None:
    with pytest.raises(ConfigError, match="leave the others out"):
        LabelRequest("base", model=Path("x.onnx"))
    with pytest.raises(ConfigError, match="leave the others out"):
        LabelRequest(model=Path("x.onnx"), bundle=Path("x.retrain"))
    with pytest.raises(ConfigError, match="answers as it was exported"):
        LabelRequest(model=Path("x.onnx"), views=3)
