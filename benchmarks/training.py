"""Head training against Keras `fit` on the same arrays, with the same optimiser and batches."""

from __future__ import annotations

from typing import Any

import numpy as np

import retrain_cli as rt
from benchmarks.timing import Comparison, compare
from retrain_cli.engine import load_keras
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.training import train_head

CLASSES, WIDTH, PER_CLASS, BATCH = 100, 2048, 60, 100


def measure(steps: int, repeats: int) -> list[Comparison]:
    """Compare over `steps` steps of the study's protocol, without validation on either side."""
    keras: Any = load_keras()
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES, dtype=np.int32), PER_CLASS)
    centres = generator.normal(size=(CLASSES, WIDTH))
    vectors = (centres[labels] + generator.normal(size=(len(labels), WIDTH))).astype(np.float32)
    data = HeadData(
        vectors,
        labels,
        tuple(f"class {number}" for number in range(CLASSES)),
        np.arange(len(labels)),
        np.empty(0, np.int64),
    )
    config = rt.TrainingConfig(
        steps=steps, batch_size=BATCH, eval_every=max(1, steps // 10), sampling="shuffled"
    )

    def fit() -> None:
        model = keras.Sequential([keras.Input((WIDTH,)), keras.layers.Dense(CLASSES)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.01, epsilon=0.1), loss, metrics=["accuracy"])
        epochs = -(-steps // (len(labels) // BATCH))
        model.fit(vectors, labels, batch_size=BATCH, epochs=epochs, verbose=0)

    return compare(
        (f"training, {CLASSES} classes x {WIDTH}", lambda: train_head(data, config)),
        [("Keras fit on the arrays", fit)],
        steps,
        "steps",
        repeats,
    )
