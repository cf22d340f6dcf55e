"""`eval` in depth, calibration and `compare`, as a user types them."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import QUICK_HEAD, TINY, Outcome, make_photos
from sklearn.metrics import log_loss, precision_recall_fscore_support, roc_auc_score

from retrain_cli.runs.run import Run


@pytest.fixture(scope="module")
def template(make_template: Callable[..., Path]) -> Path:
    """A workspace with three runs, of which the heads make mistakes."""
    held_out = ("--testing-percentage", "30", "--validation-percentage", "35")
    fitted = ("--optimizer", "lbfgs", "--steps", "40")
    return make_template(
        make_photos_with_mistakes,
        ["bottlenecks", "photos", *TINY],
        ["train", *fitted, "--name", "pair", "--classes", "ant,bee", *held_out],
        ["train", "--steps", "1", "--name", "short", *held_out],
        ["train", *fitted, "--name", "long", *held_out],
    )


def make_photos_with_mistakes(root: Path) -> None:
    """A third of the ants are among the bees."""
    photos = make_photos(root, {"ant": 30, "bee": 30, "teapot": 30})
    for path in sorted((photos / "ant").iterdir())[:10]:
        path.rename(photos / "bee" / f"x{path.name}")


@pytest.fixture
def workspace(template: Path, tmp_path: Path) -> Path:
    return shutil.copytree(template / ".retrain", tmp_path / ".retrain")


def test_json_holds_what_scikit_learn_says(
    workspace: Path, retrain: Callable[..., Outcome]
) -> None:
    document = retrain("eval", "--split", "all", "--json").json
    predictions = Run(workspace / "runs" / "long").predictions
    truth, best = predictions.images.labels, predictions.top_classes[:, 0]
    scores = np.empty((len(truth), 3))
    np.put_along_axis(scores, predictions.top_classes, predictions.top_scores, axis=1)
    for average in ("macro", "weighted"):
        oracle = precision_recall_fscore_support(truth, best, average=average, zero_division=0)
        ours = document["averages"][average]
        assert [ours[name]["value"] for name in ("precision", "recall", "f1")] == pytest.approx(
            oracle[:3]
        )
    scores /= scores.sum(axis=1, keepdims=True)
    areas = [roc_auc_score(truth == index, scores[:, index]) for index in range(3)]
    assert document["curves"]["macro_auc"]["value"] == pytest.approx(np.mean(areas))
    by_class = {row["class"]: row["auc"]["value"] for row in document["per_class"]}
    assert [by_class[name] for name in ("ant", "bee", "teapot")] == pytest.approx(areas)
    assert document["log_loss"]["value"] == pytest.approx(log_loss(truth, scores), rel=1e-4)
    assert len(document["reliability"]) == 15
    assert document["two_classes"] is None


def test_text_csv_and_confused_pairs(
    workspace: Path, retrain: Callable[..., Outcome], retrain_here: Callable[..., Outcome]
) -> None:
    text = retrain("eval", "--split", "all", "--full")
    assert "fitted when trained" in text.out
    assert "--calibrate" not in text.out + text.err, "there is nothing left to fit"
    for word in ("macro", "weighted", "ROC AUC", "log loss", "expected calibration error"):
        assert word in text.out
    rows = list(csv.DictReader(io.StringIO(retrain("eval", "--split", "all", "--csv").out)))
    assert {"precision", "F1", "AUC", "average precision"} < set(rows[0])
    pairs = retrain("eval", "--split", "all", "--confused").out.splitlines()
    document = retrain("eval", "--split", "all", "--confused", "--json").json
    assert [line.split("\t")[:3] for line in pairs] == [
        [pair["true"], pair["predicted"], str(pair["count"])] for pair in document
    ]
    assert "choose one of" in retrain_here("eval", "--confused", "--misclassified").refused(2)
    assert "choose one of" in retrain_here("eval", "--confused", "--full").refused(2)


def test_two_classes_and_the_positive_one(
    workspace: Path, retrain: Callable[..., Outcome], retrain_here: Callable[..., Outcome]
) -> None:
    flags = ("eval", "--run", "pair", "--split", "all")
    assert "sensitivity" in retrain(*flags).out
    second = retrain(*flags, "--json").json["two_classes"]
    first = retrain(*flags, "--positive", "ant", "--json").json["two_classes"]
    assert (second["positive"], first["positive"]) == ("bee", "ant")
    assert (second["tp"], second["fp"]) == (first["tn"], first["fn"])
    assert second["sensitivity"] == first["specificity"]
    assert "--positive" in retrain_here(*flags, "--positive", "cat").refused(2)
    assert "--positive" in retrain_here("eval", "--positive", "ant").refused(2)


def test_calibration_is_shown_used_and_undone(
    workspace: Path, retrain: Callable[..., Outcome], template: Path
) -> None:
    photo = template / "photos" / "teapot" / "0000.png"
    raw = retrain("label", photo).out
    shown = retrain("eval", "--calibrate", "--json").json
    before, after = (shown["effects"][0][when]["log_loss"]["value"] for when in ("before", "after"))
    assert after < before
    assert retrain("eval", "--json").json["calibration"]["temperature"] == shown["temperature"]
    assert f"temperature {shown['temperature']:.3f}" in retrain("eval", "--full").out
    assert retrain("label", photo).out != raw
    assert "validation" in retrain("eval", "--calibrate").out
    assert retrain("eval", "--calibrate", "--csv").out.startswith("split,images,log loss")
    assert retrain("eval", "--no-calibrate").code == 0
    assert retrain("label", photo).out == raw
    assert "nothing to undo" in retrain("eval", "--no-calibrate").refused()


def test_charts(
    workspace: Path,
    retrain: Callable[..., Outcome],
    retrain_here: Callable[..., Outcome],
    tmp_path: Path,
) -> None:
    for chart in ("roc", "pr", "reliability", "confusion"):
        outcome = retrain("eval", "--plot", tmp_path / f"{chart}.png", "--chart", chart)
        assert outcome.code == 0
        assert (tmp_path / f"{chart}.png").stat().st_size > 1000
    assert "--chart" in retrain_here("eval", "--plot", "x.png", "--chart", "pie").refused(2)


def test_compare_in_its_forms(workspace: Path, retrain: Callable[..., Outcome]) -> None:
    text = retrain("compare", "short", "long").out
    assert text.startswith("long (second) against\nshort (first)\n")
    assert "training.steps" in text
    (made,) = retrain("compare", "short", "long", "--json").json
    assert made["figures"][0]["name"] == "top-1"
    rows = list(csv.DictReader(io.StringIO(retrain("compare", "short", "long", "--csv").out)))
    assert float(rows[0]["difference"]) == pytest.approx(
        made["figures"][0]["difference"]["value"], abs=1e-5
    )
    flips = retrain("compare", "short", "long", "--flips").out.splitlines()
    assert [line.split("\t")[1] for line in flips] == [flip["path"] for flip in made["flips"]]
    assert flips
    three = retrain("compare", "short", "long", "pair")
    assert "left out (teapot)" in three.err
    assert len(retrain("compare", "short", "long", "pair", "--json").json) == 2


def test_what_cannot_be_compared_or_calibrated_is_one_clear_line(
    workspace: Path, retrain: Callable[..., Outcome], retrain_here: Callable[..., Outcome]
) -> None:
    assert "two or more different runs" in retrain("compare", "long").refused(2)
    assert retrain_here("compare").code == 2
    assert "no run 'lung'; there is long" in retrain_here("compare", "short", "lung").refused()
    none = ("--testing-percentage", "0", "--validation-percentage", "0")
    assert retrain("train", *QUICK_HEAD, "--name", "untested", *none).code == 0
    assert "none in common" in retrain_here("compare", "long", "untested").refused()
    assert "has none in its test split" in retrain_here("eval").refused()
    assert "has none: train with" in retrain_here("eval", "--calibrate").refused()
    (workspace / "runs" / "long" / "calibration.npz").write_bytes(b"PK")
    assert "should hold the calibration" in retrain("eval", "--run", "long").refused()
    saved = workspace / "runs" / "short" / "predictions.npz"
    whole = saved.read_bytes()
    saved.write_bytes(whole + b"more")
    assert "is not what was written" in retrain_here("eval", "--run", "short").refused()
    saved.write_bytes(whole)
    for name in ("long", "short"):  # as an older version would have made them
        (workspace / "runs" / name / "digests.json").unlink()
    assert "should hold the calibration" in retrain_here("eval", "--run", "long").refused()
    labels = workspace / "runs" / "short" / "labels.json"
    labels.write_text(json.dumps(json.loads(labels.read_text())[:2]))
    assert (
        "predictions of 3 classes and 2 labels" in retrain_here("eval", "--run", "short").refused()
    )
