"""The main job with real weights on real photos, against scikit-learn on the same vectors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import Outcome

KNOWN = ("cup", "dalmatian", "dragonfly", "ewer", "flamingo", "grand_piano", "laptop")
NEW = ("airplanes", "bonsai", "brain", "butterfly", "chandelier", "ferry", "helicopter", "ketch")


@pytest.fixture
def some_photos(test_data: Path, tmp_path: Path) -> Path:
    """30 photos each of 15 classes, by links."""
    for name in (*KNOWN, *NEW):
        (tmp_path / "caltech" / name).mkdir(parents=True)
        for photo in sorted((test_data / "data" / "caltech101" / name).iterdir())[:30]:
            (tmp_path / "caltech" / name / photo.name).symlink_to(photo)
    return tmp_path / "caltech"


@pytest.mark.real
@pytest.mark.usefixtures("default_threads")
def test_the_head_is_as_good_as_logistic_regression(
    retrain: Callable[..., Outcome], some_photos: Path, test_data: Path, tmp_path: Path
) -> None:
    from sklearn.linear_model import LogisticRegression

    weights = test_data / "weights" / "mobilenet_v2_1.0_224_notop.weights.h5"
    summary = retrain(
        "bottlenecks", some_photos, "--backbone", "mobilenet_v2", "--weights", weights, "--json"
    ).json
    assert (summary["images"], summary["bad"]) == (450, [])
    origins = {row["class"]: row["origin"] for row in summary["classes"]}
    assert {name for name, origin in origins.items() if origin == "INT"} == set(KNOWN)

    trained = retrain("train", "--steps", 3000, "--testing-percentage", 30, "--json").json
    ours = trained["metrics"]["test"]
    assert retrain("cache", "export", "vectors.npz").code == 0
    with np.load(tmp_path / "vectors.npz") as saved:
        vectors = dict(zip(saved["paths"], saved["bottlenecks"], strict=True))
    from retrain_cli.runs.run import RunStore

    predictions = RunStore(tmp_path / ".retrain" / "runs").latest().predictions
    training, test = predictions.rows("training"), predictions.rows("test")
    x = np.array([vectors[path] for path in predictions.images.paths])
    y = predictions.images.labels
    scores = [
        LogisticRegression(C=c, max_iter=300).fit(x[training], y[training]).score(x[test], y[test])
        for c in (0.01, 0.1)
    ]
    assert ours["images"] > 100
    assert ours["top1"] > 0.9
    assert ours["top1"] >= max(scores) - 0.03
    assert ours["int_top1"] > 0.85


@pytest.mark.real
def test_inception_v3_mixed8_labels_photos_it_never_saw(
    retrain: Callable[..., Outcome], test_data: Path, tmp_path: Path
) -> None:
    names = ["dalmatian", "grand_piano", "yin_yang"]
    new: dict[str, list[Path]] = {}
    for name in names:
        photos = sorted((test_data / "data" / "caltech101" / name).iterdir())
        (tmp_path / "photos" / name).mkdir(parents=True)
        for photo in photos[:8]:
            (tmp_path / "photos" / name / photo.name).symlink_to(photo)
        new[name] = photos[-2:]
    weights = test_data / "weights" / "inception_v3_2015_mixed8.weights.h5"
    flags = ["--backbone", "inception_v3", "--layer", "mixed8", "--weights", weights]
    assert retrain("bottlenecks", "photos", *flags).code == 0
    assert retrain("train", "--steps", 500).code == 0
    unseen = [photo for photos in new.values() for photo in photos]
    answers = retrain("label", *unseen).out.splitlines()
    right = [
        f'"labels": [{{"label": "{photo.parent.name}"' in answer
        for photo, answer in zip(unseen, answers, strict=True)
    ]
    assert all(right)
