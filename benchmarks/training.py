"""Head training against Keras `fit`, a loop that reads text files, and scikit-learn."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import retrain_cli as rt
from benchmarks import synthetic
from benchmarks.timing import Comparison, Contestant, compare_rates
from retrain_cli.engine import load_keras, load_tensorflow
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.history import TrainingProgress
from retrain_cli.heads.training import train_head

CLASSES, WIDTH, PER_CLASS, BATCH = 100, 2048, 60, 100
_TEXT_SHARE = 100  # the loop over text files takes so many times fewer steps
_L2 = 1e-3
_CLOSE = 1.01  # of scikit-learn's loss, from which a training has reached it


@dataclass(frozen=True)
class TimeToLoss:
    """How long a training took to the loss that scikit-learn ends at, within 1%: the medians.

    Attributes:
        what: which training.
        loss: where it was stopped; mean cross-entropy and penalty.
        seconds: what it took to there.
        reference_seconds: what scikit-learn's LogisticRegression took, measured in turn.
        ratio: median of the ratios; above 1, `what` is faster.
    """

    what: str
    loss: float
    seconds: float
    reference_seconds: float
    ratio: float


def measure(steps: int, repeats: int) -> list[Comparison]:
    """Compare over `steps` steps of the study's protocol, without validation on either side."""
    data = synthetic.head_data(CLASSES * PER_CLASS, CLASSES, WIDTH)
    config = rt.TrainingConfig(
        steps=steps, batch_size=BATCH, eval_every=max(1, steps // 10), sampling="shuffled"
    )
    engine = load_keras().backend.backend()
    ours = Contestant(
        f"training on {engine}, {CLASSES} classes x {WIDTH}",
        lambda: train_head(data, config),
        steps,
    )
    fit = Contestant("Keras fit on the arrays", lambda: _fit(data, steps), steps)
    if engine != "tensorflow":  # which the original script's loop is written for
        return compare_rates(ours, [fit], "steps", repeats)
    with tempfile.TemporaryDirectory() as folder:
        files = _write_text(data, Path(folder))
        few = max(1, steps // _TEXT_SHARE)
        name = "a text file read for each image of a step"
        text = Contestant(name, lambda: _loop(data, files, few), few)
        return compare_rates(ours, [fit, text], "steps", repeats)


def _fit(data: HeadData, steps: int) -> None:
    keras: Any = load_keras()
    model = keras.Sequential([keras.Input((data.width,)), keras.layers.Dense(data.n_classes)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01, epsilon=0.1), loss, metrics=["accuracy"])
    epochs = -(-steps // (len(data.labels) // BATCH))
    model.fit(data.bottlenecks, data.labels, batch_size=BATCH, epochs=epochs, verbose=0)


def _write_text(data: HeadData, folder: Path) -> list[Path]:
    """One file of comma-separated numbers for each image, as the original script kept them."""
    files = [folder / f"{row}.txt" for row in range(len(data.labels))]
    for file, vector in zip(files, data.bottlenecks, strict=True):
        file.write_text(",".join(map(str, vector.tolist())), encoding="ascii")
    return files


def _loop(data: HeadData, files: list[Path], steps: int) -> None:
    """What the original script did: draw, read and parse the files of a step, then one step."""
    keras, tensorflow = load_keras(), load_tensorflow()
    weights = tensorflow.Variable(tensorflow.zeros((data.width, data.n_classes)))
    bias = tensorflow.Variable(tensorflow.zeros(data.n_classes))
    optimizer = keras.optimizers.Adam(0.01, epsilon=0.1)
    optimizer.build([weights, bias])

    @tensorflow.function(autograph=False)  # type: ignore[untyped-decorator, unused-ignore]
    def step(vectors: Any, labels: Any) -> None:
        with tensorflow.GradientTape() as tape:
            logits = tensorflow.matmul(vectors, weights) + bias
            cross_entropy = tensorflow.nn.sparse_softmax_cross_entropy_with_logits
            loss = tensorflow.reduce_mean(cross_entropy(labels, logits))
        optimizer.apply(tape.gradient(loss, [weights, bias]), [weights, bias])

    generator = np.random.default_rng(0)
    for _ in range(steps):
        rows = generator.integers(0, len(files), BATCH)
        vectors = np.array([_parse(files[row]) for row in rows], np.float32)
        step(tensorflow.constant(vectors), tensorflow.constant(data.labels[rows]))


def _parse(file: Path) -> list[float]:
    return [float(number) for number in file.read_text(encoding="ascii").split(",")]


def measure_to_loss(repeats: int) -> list[TimeToLoss]:
    """Time to the loss of scikit-learn's LogisticRegression, an l2 of 0.001 on all sides."""
    data = synthetic.head_data(CLASSES * PER_CLASS, CLASSES, WIDTH)
    target = _CLOSE * _loss(data, *_scikit_learn(data))
    base = rt.TrainingConfig(l2=_L2, sampling="shuffled", eval_every=20)
    ours = {
        "lbfgs": replace(base, optimizer="lbfgs", steps=1000),
        "adam, epsilon 0.1 (the default)": base,
        "adam, epsilon 1e-7, rate 0.001": replace(base, epsilon=1e-7, learning_rate=0.001),
    }
    times: dict[str, list[float]] = {name: [] for name in ours}
    reference: list[float] = []
    losses: dict[str, float] = {}
    for _ in range(repeats):
        reference.append(_seconds(lambda: _scikit_learn(data)))
        for name, config in ours.items():
            started = time.perf_counter()
            losses[name] = _train_to(data, config, target)
            times[name].append(time.perf_counter() - started)
    return [
        TimeToLoss(
            f"training to scikit-learn's loss, {name}",
            losses[name],
            statistics.median(times[name]),
            statistics.median(reference),
            statistics.median(a / b for a, b in zip(reference, times[name], strict=True)),
        )
        for name in ours
    ]


def _train_to(data: HeadData, config: rt.TrainingConfig, target: float) -> float:
    """Train until the loss since the last evaluation is low enough; returns the last one."""
    last = np.inf

    def listen(progress: TrainingProgress) -> None:
        nonlocal last
        last = progress.row.loss
        if last <= target:
            raise KeyboardInterrupt  # which ends a training, and keeps its head

    train_head(data, config, on_progress=listen)
    return last


def _scikit_learn(data: HeadData) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / (_L2 * len(data.labels)), max_iter=1000)
    model.fit(data.bottlenecks, data.labels)
    return model.coef_.T, model.intercept_


def _loss(data: HeadData, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> float:
    """Mean cross-entropy of all images, and the penalty."""
    logits = (data.bottlenecks @ weights + bias).astype(np.float64)
    own = logits[np.arange(len(logits)), data.labels]
    top = logits.max(axis=1)
    cross_entropy = top + np.log(np.exp(logits - top[:, None]).sum(axis=1)) - own
    return float(cross_entropy.mean() + _L2 / 2 * (weights.astype(np.float64) ** 2).sum())


def _seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started
