from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from retrain_cli.engine import load_keras
from retrain_cli.errors import ConfigError, DatasetError, RunError
from retrain_cli.evaluation import predictions
from retrain_cli.heads import rows, softmax, validation
from retrain_cli.heads.config import CLOSED, OPTIMIZERS, SAMPLINGS, TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import TrainedHead, TrainingProgress
from retrain_cli.heads.training import train_head

QUICK = TrainingConfig(steps=60, eval_every=20, batch_size=20, epsilon=1e-7)


def make_data(n_classes: int = 4, per_class: int = 30, width: int = 6, spread: float = 1.0) -> Any:
    generator = np.random.default_rng(5)
    centres = 3 * generator.standard_normal((n_classes, width))
    labels = np.tile(np.arange(n_classes, dtype=np.int32), per_class)
    vectors = centres[labels] + spread * generator.standard_normal((len(labels), width))
    held_out = np.arange(len(labels)) % 5 == 0
    return HeadData(
        vectors.astype(np.float32),
        labels,
        tuple(f"class {i}" for i in range(n_classes)),
        np.flatnonzero(~held_out),
        np.flatnonzero(held_out),
    )


def without_validation(data: HeadData) -> HeadData:
    return replace(data, validation=np.empty(0, np.int64))


def accuracy(trained: TrainedHead, data: HeadData) -> float:
    return float((trained.head.top_k(data.bottlenecks, 1)[0][:, 0] == data.labels).mean())


def same(first: TrainedHead, second: TrainedHead) -> bool:
    return (
        first.history == second.history
        and np.array_equal(first.head.weights, second.head.weights)
        and np.array_equal(first.head.bias, second.head.bias)
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_learns_and_repeats_itself(optimizer: Any) -> None:
    data, config = make_data(), replace(QUICK, optimizer=optimizer, learning_rate=0.05)
    first, second = train_head(data, config), train_head(data, config)
    assert accuracy(first, data) > 0.95
    assert same(first, second)
    if optimizer not in CLOSED:
        assert first.history[-1].loss < first.history[0].loss


@pytest.mark.parametrize("optimizer", sorted({*OPTIMIZERS} - {"auto"}))  # which may need one
def test_who_needs_no_engine_loads_none(optimizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Any:
        raise ModuleNotFoundError("keras")

    monkeypatch.setattr(rows, "load_keras", none)
    monkeypatch.setattr(softmax, "load_keras", none)
    config = replace(QUICK, optimizer=optimizer)
    needs = contextlib.nullcontext()
    if config.needs_engine:
        needs = pytest.raises(ModuleNotFoundError)  # type: ignore[assignment]
    with needs:  # beside others, as in a study: alone, NumPy trains a small head by Adam
        train_head(make_data(), config, alone=False)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adamw"])
def test_a_half_precision_keras_changes_nothing(optimizer: Any) -> None:
    """Other programs write `"floatx": "float16"` into keras.json, which all programs share."""
    data, config = make_data(), replace(QUICK, optimizer=optimizer, learning_rate=0.05)
    usual = train_head(data, config)
    keras = load_keras()
    keras.config.set_floatx("float16")
    try:
        assert same(train_head(data, config), usual)
    finally:
        keras.config.set_floatx("float32")


@pytest.mark.parametrize("sampling", ["balanced", "shuffled"])
def test_a_step_is_what_automatic_differentiation_gives(sampling: Any) -> None:
    tensorflow = pytest.importorskip("tensorflow")
    data = without_validation(make_data())
    config = replace(
        QUICK, optimizer="sgd", steps=1, batch_size=16, l2=0.3, learning_rate=0.1, sampling=sampling
    )
    drawn: list[np.ndarray] = []
    with pytest.MonkeyPatch.context() as patch:
        from retrain_cli.heads.rows import ResidentFeeder

        original = ResidentFeeder.block

        def watched(self: Any, positions: Any) -> Any:
            drawn.append(positions)
            return original(self, positions)

        patch.setattr(ResidentFeeder, "block", watched)
        trained = train_head(data, config)
    batch = data.training[drawn[0][0]]
    start = Head.initial(data.class_names, data.width, config.seed)
    weights, bias = tensorflow.Variable(start.weights), tensorflow.Variable(start.bias)
    with tensorflow.GradientTape() as tape:
        logits = data.bottlenecks[batch] @ weights + bias
        losses = tensorflow.nn.sparse_softmax_cross_entropy_with_logits(data.labels[batch], logits)
        penalty = config.weight_decay / 2 * tensorflow.reduce_sum(weights**2)
        loss = tensorflow.reduce_mean(losses) + penalty
    gradients = tape.gradient(loss, [weights, bias])
    np.testing.assert_allclose(
        trained.head.weights, start.weights - 0.1 * gradients[0].numpy(), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(trained.head.bias, -0.1 * gradients[1].numpy(), atol=1e-6)
    assert trained.history[0].loss == pytest.approx(float(loss), rel=1e-5)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_vectors_larger_than_memory_give_the_same_numbers(
    tmp_path: Path, optimizer: Any, sampling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_data()
    monkeypatch.setattr(rows, "STREAM_BYTES", 4 * data.width * 20 * 7)  # blocks of 7 steps
    mapped = np.lib.format.open_memmap(
        tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=data.bottlenecks.shape
    )
    mapped[:] = data.bottlenecks
    config = replace(QUICK, optimizer=optimizer, sampling=sampling)
    in_memory = train_head(data, config)
    streamed = train_head(replace(data, bottlenecks=mapped), config, memory_limit=0)
    np.testing.assert_allclose(streamed.head.weights, in_memory.head.weights, rtol=1e-5, atol=1e-7)
    assert [row.step for row in streamed.history] == [row.step for row in in_memory.history]


def test_lbfgs_finds_what_scikit_learn_finds() -> None:
    data = without_validation(make_data(spread=3.0))
    l2 = 0.01
    config = TrainingConfig(optimizer="lbfgs", l2=l2, sampling="shuffled")
    trained = train_head(data, config)
    vectors, labels = data.bottlenecks[data.training], data.labels[data.training]
    reference = LogisticRegression(C=1 / (l2 * len(labels)), tol=1e-8, max_iter=1000)
    reference.fit(vectors.astype(np.float64), labels)
    assert trained.stopped_by == "converged"
    np.testing.assert_allclose(
        trained.head.probabilities(vectors), reference.predict_proba(vectors), atol=2e-3
    )


def test_balanced_lbfgs_weighs_classes_equally() -> None:
    # Three classes: of two, scikit-learn penalises one vector of weights, not two.
    data = without_validation(make_data(3, 60, spread=4.0))
    few = np.concatenate([np.flatnonzero(data.labels != 1), np.flatnonzero(data.labels == 1)[:6]])
    data = replace(data, training=np.sort(few))
    trained = train_head(data, TrainingConfig(optimizer="lbfgs", l2=0.01))
    reference = LogisticRegression(C=1 / (0.01 * len(few)), class_weight="balanced", tol=1e-8)
    reference.fit(data.bottlenecks[data.training].astype(np.float64), data.labels[data.training])
    np.testing.assert_allclose(
        trained.head.probabilities(data.bottlenecks),
        reference.predict_proba(data.bottlenecks),
        atol=2e-3,
    )


def test_adam_and_lbfgs_minimise_the_same_loss() -> None:
    data = without_validation(make_data(spread=3.0))
    config = TrainingConfig(l2=0.05, sampling="shuffled", batch_size=96, steps=3000)
    exact = train_head(data, replace(config, optimizer="lbfgs")).history[-1].loss
    stepwise = train_head(data, config).history[-1].loss
    assert stepwise == pytest.approx(exact, rel=1e-3)


def test_the_best_validation_head_is_kept() -> None:
    data, told = make_data(spread=4.0), list[TrainingProgress]()
    trained = train_head(data, replace(QUICK, steps=200), on_progress=told.append)
    assert [progress.row for progress in told] == list(trained.history)
    scores = [(row.validation_loss, -(row.validation_accuracy or 0)) for row in trained.history]
    best = trained.history[scores.index(min(scores))]
    assert trained.best_step == best.step == told[-1].best_step
    held_out = replace(data, bottlenecks=data.bottlenecks[data.validation])
    right = trained.head.top_k(held_out.bottlenecks, 1)[0][:, 0] == data.labels[data.validation]
    assert right.mean() == pytest.approx(best.validation_accuracy)


def test_one_lucky_image_does_not_keep_an_untrained_head() -> None:
    lucky, trained = validation.Score(2.1, 0.94), validation.Score(0.3, 0.92)
    assert trained.better_than(lucky)
    assert not lucky.better_than(trained)
    assert validation.Score(0.3, 0.93).better_than(trained)
    assert not trained.better_than(trained)


def test_lbfgs_keeps_its_minimum_and_has_a_weight_decay() -> None:
    """The heads on the way there are better on some images, by chance."""
    data = make_data(spread=6.0)
    config = TrainingConfig(optimizer="lbfgs")
    trained = train_head(data, config)
    assert trained.stopped_by == "converged"
    assert trained.best_step == trained.history[-1].step
    losses = [row.validation_loss for row in trained.history]
    assert losses.index(min(losses, key=lambda loss: loss or 0)) < len(losses) - 1
    assert same(trained, train_head(data, replace(config, l2=1e-4)))
    assert not same(trained, train_head(data, replace(config, l2=0.0)))
    assert same(
        replace(trained, history=()),
        replace(train_head(without_validation(data), config), history=()),
    )


def test_without_validation_the_last_head_is_kept() -> None:
    trained = train_head(without_validation(make_data()), QUICK)
    assert trained.best_step == 60
    assert {row.validation_accuracy for row in trained.history} == {None}


@pytest.mark.parametrize("eval_every", [1, 7, 60, 1000])
def test_the_steps_do_not_depend_on_the_evaluations(eval_every: int) -> None:
    data = without_validation(make_data())
    trained = train_head(data, replace(QUICK, eval_every=eval_every))
    assert trained.history[-1].step == 60
    assert np.array_equal(trained.head.weights, train_head(data, QUICK).head.weights)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_patience_stops_training(optimizer: Any) -> None:
    config = replace(QUICK, steps=5000, patience=3, optimizer=optimizer, learning_rate=0.5)
    noise = make_data(spread=30.0)
    trained = train_head(noise, config)
    assert trained.stopped_by == "patience"
    assert trained.history[-1].step < 5000
    places = [row.step for row in trained.history]
    assert places.index(trained.best_step) == len(places) - 1 - 3


def interrupt_at(evaluation: int) -> Callable[[TrainingProgress], None]:
    seen: list[TrainingProgress] = []

    def listen(progress: TrainingProgress) -> None:
        seen.append(progress)
        if len(seen) == evaluation:
            raise KeyboardInterrupt

    return listen


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_an_interrupt_keeps_the_best_so_far(optimizer: Any) -> None:
    data, config = make_data(), replace(QUICK, optimizer=optimizer)
    stopped = train_head(data, config, on_progress=interrupt_at(2))
    assert stopped.stopped_by == "interrupt"
    assert stopped.history == train_head(data, config).history[:2]
    assert train_head(data, config).stopped_by in ("steps", "converged")  # the engine is sound


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs"])
def test_ctrl_c_anywhere_in_a_block_is_heeded_at_its_end(
    monkeypatch: pytest.MonkeyPatch, optimizer: Any
) -> None:
    """An exception in the middle of an engine's call is one that the engine may swallow."""
    from retrain_cli.heads.full_batch.lbfgs import Objective
    from retrain_cli.heads.numpy_softmax import NumpySoftmaxTrainer
    from retrain_cli.heads.softmax import SoftmaxTrainer

    calls: list[object] = []

    def interrupting(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, argument: Any) -> Any:
            calls.append(argument)
            if len(calls) == 4:
                with contextlib.suppress(KeyboardInterrupt):
                    signal.raise_signal(signal.SIGINT)
            return original(self, argument)

        return call

    for trainer in (NumpySoftmaxTrainer, SoftmaxTrainer):
        monkeypatch.setattr(trainer, "train", interrupting(trainer.train))
    monkeypatch.setattr(Objective, "__call__", interrupting(Objective.__call__))
    stopped = train_head(make_data(), replace(QUICK, optimizer=optimizer, steps=100_000))
    assert stopped.stopped_by == "interrupt"
    assert len(calls) == 4
    if optimizer == "adam":
        assert stopped.history[-1].step < 100_000


def test_an_interrupt_before_the_first_evaluation_evaluates_what_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    from retrain_cli.heads.rows import ResidentFeeder

    original, calls = ResidentFeeder.block, []

    def block(self: Any, positions: Any) -> Any:
        calls.append(positions)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, positions)

    monkeypatch.setattr(ResidentFeeder, "block", block)
    stopped = train_head(make_data(), replace(QUICK, steps=500, eval_every=500))
    assert [row.step for row in stopped.history] == [100]
    assert (stopped.stopped_by, stopped.best_step) == ("interrupt", 100)


def test_an_interrupt_before_the_first_step_leaves_nothing_to_keep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def block(self: Any, positions: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("retrain_cli.heads.rows.ResidentFeeder.block", block)
    with pytest.raises(KeyboardInterrupt):
        train_head(make_data(), QUICK)


def test_continuing_never_makes_the_head_worse() -> None:
    data = make_data(spread=4.0)
    first = train_head(data, replace(QUICK, steps=400))
    again = train_head(data, replace(QUICK, learning_rate=20.0, steps=20), initial=first.head)
    assert again.best_step == 0
    assert np.array_equal(again.head.weights, first.head.weights)


def test_added_classes_take_over_the_known_ones() -> None:
    data = make_data(3)
    known = replace(
        data,
        class_names=data.class_names[:2],
        training=data.training[data.labels[data.training] < 2],
        validation=data.validation[data.labels[data.validation] < 2],
    )
    head = train_head(known, QUICK).head
    trained = train_head(data, replace(QUICK, steps=20), initial=head)
    assert trained.head.labels == data.class_names
    assert accuracy(trained, data) > 0.9


def test_a_head_of_another_width_cannot_be_continued() -> None:
    head = train_head(make_data(width=7), replace(QUICK, steps=1)).head
    with pytest.raises(RunError, match="own width, 7"):
        train_head(make_data(), QUICK, initial=head)


def test_divergence_names_the_learning_rate() -> None:
    data = make_data()
    config = replace(QUICK, optimizer="sgd", learning_rate=1e38)
    with pytest.raises(ConfigError, match="lower learning_rate"):
        train_head(data, config)


@pytest.mark.parametrize("memory_limit", [None, 0])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_bottlenecks_that_are_not_finite_are_refused(
    memory_limit: int | None, optimizer: Any
) -> None:
    data = make_data()
    data.bottlenecks[data.training, 1] = np.nan
    with pytest.raises(RunError, match="finite"):
        train_head(data, replace(QUICK, optimizer=optimizer), memory_limit=memory_limit)


@pytest.mark.parametrize("n_classes", [2, 1000])
def test_one_image_in_each_class_is_enough(n_classes: int) -> None:
    vectors = np.eye(n_classes, dtype=np.float32)
    data = HeadData(
        vectors,
        np.arange(n_classes, dtype=np.int32),
        tuple(map(str, range(n_classes))),
        np.arange(n_classes),
        np.empty(0, np.int64),
    )
    trained = train_head(data, TrainingConfig(steps=30, optimizer="lbfgs"))
    assert accuracy(trained, data) == 1


def test_a_class_without_training_images_is_refused() -> None:
    data = make_data()
    kept = data.training[data.labels[data.training] != 2]
    with pytest.raises(DatasetError, match="none of class 2"):
        train_head(replace(data, training=kept), QUICK)


def test_one_class_is_refused() -> None:
    data = make_data(1)
    with pytest.raises(DatasetError, match="at least two classes"):
        train_head(data, QUICK)


def test_many_validation_images_are_measured_on_a_fixed_choice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(validation, "MOST_IMAGES", 7)
    data = make_data()
    first, second = (validation.ValidationSet.of(data, seed=2) for _ in range(2))
    assert len(first) == 7
    assert np.array_equal(first.bottlenecks, second.bottlenecks)
    assert not np.array_equal(first.bottlenecks, validation.ValidationSet.of(data, 3).bottlenecks)


def test_numpy_and_the_engine_measure_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    from retrain_cli.heads.softmax import SoftmaxTrainer

    monkeypatch.setattr(predictions, "_CHUNK_VALUES", 30)
    monkeypatch.setattr(predictions, "_FEWEST_ROWS", 1)
    data = make_data(spread=3.0)
    head = train_head(data, QUICK).head
    held_out = validation.ValidationSet.of(data, 0)
    in_numpy, on_engine = held_out.measure(head), SoftmaxTrainer(head, QUICK, held_out).measure()
    assert in_numpy is not None
    assert on_engine is not None
    assert on_engine.accuracy == in_numpy.accuracy
    assert on_engine.loss == pytest.approx(in_numpy.loss, rel=1e-5)
