"""The samples are worth training on: a real backbone sees what raw pixels do not tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps
from sklearn.linear_model import LogisticRegression

from retrain_cli.engine import load_keras
from retrain_cli.samples import list_samples
from retrain_cli.samples.writer import Form

COMMITTED = Path(__file__).resolve().parents[2] / "sample_images"
WHOLE = [sample for sample in list_samples() if sample.form is not Form.BROKEN]
LABELS = np.array([sample.label for sample in WHOLE])


def read_all(side: int) -> NDArray[np.float32]:
    pictures = []
    for sample in WHOLE:
        with Image.open(COMMITTED / sample.path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
            pictures.append(np.asarray(upright.resize((side, side), Image.Resampling.BOX)))
    return np.stack(pictures).astype(np.float32) / 127.5 - 1


def probe(features: NDArray[np.float32], penalty: float) -> float:
    """Mean test accuracy of a linear probe, 10 images a class for training, over 4 seeds."""
    accuracies = []
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(LABELS))
        train = np.concatenate([order[LABELS[order] == label][:10] for label in set(LABELS)])
        test = np.setdiff1d(order, train)
        model = LogisticRegression(C=penalty, max_iter=5000).fit(features[train], LABELS[train])
        accuracies.append(model.score(features[test], LABELS[test]))
    return float(np.mean(accuracies))


def test_pixels_alone_do_not_solve_it() -> None:
    assert probe(read_all(16).reshape(len(LABELS), -1), 0.01) < 0.5


@pytest.mark.real
def test_a_small_backbone_nearly_solves_it(test_data: Path) -> None:
    applications = load_keras().applications
    backbone = applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(224, 224, 3), pooling="avg"
    )
    backbone.load_weights(test_data / "weights" / "mobilenet_v2_1.0_224_notop.weights.h5")
    accuracy = probe(backbone.predict(read_all(224), verbose=0), 0.1)
    assert 0.85 < accuracy < 0.99
