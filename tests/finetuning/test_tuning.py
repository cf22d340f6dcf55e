"""The second phase on a network of a few layers: it learns, guards, stops, and goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_networks import small_network

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.errors import ConfigError
from retrain_cli.finetuning.epoch_state import StateFile
from retrain_cli.finetuning.freeze_points import choose_freeze_point
from retrain_cli.finetuning.tuned_network import Arrays, Schedule, TunedNetwork
from retrain_cli.finetuning.tuning import Tuning, TuningProgress, TuningResult, vectors_of
from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head

SPEC = BackboneSpec("mobilenet", input_size=32, weights="random", runtime="keras")
LABELS = ("ant", "bee")
COUNT = 60


class Activations:
    """Activations whose class can be told by a product of two channels, which no head can."""

    def __init__(self, shape: tuple[int, ...], dtype: Any = np.float16) -> None:
        generator = np.random.default_rng(1)
        self.values = generator.normal(size=(COUNT, *shape)).astype(np.float32)
        sign = generator.choice([-1.0, 1.0], size=COUNT)
        self.labels = generator.integers(0, 2, COUNT).astype(np.int32)
        self.values[..., 0] = sign[:, None, None] * 2
        self.values[..., 1] = (sign * np.where(self.labels, 1, -1))[:, None, None] * 2
        self.dtype = dtype
        self.reads = 0

    def read(self, rows: NDArray[np.int64]) -> Arrays:
        self.reads += 1
        return [self.values[rows].astype(self.dtype)]


def make(
    tmp_path: Path, config: TuningConfig, listen: Any = lambda progress: None
) -> tuple[Tuning, TunedNetwork, Activations, Head]:
    network = small_network()
    point = choose_freeze_point(network, config.trainable)
    source = Activations(point.shape)
    head = Head.initial(LABELS, 6, 0)
    tuned = TunedNetwork(network, SPEC, point, head, config)
    every = np.arange(COUNT)
    data = HeadData(vectors_of(tuned, source, every), source.labels, LABELS, every[:40], every[40:])
    state = StateFile(tmp_path, {"tuning": config.to_dict()})
    return Tuning(tuned, source, data, config, state, listen), tuned, source, head


LEARNS = TuningConfig("last-block", epochs=30, learning_rate=0.02, batch_size=16)


def test_it_learns_what_no_head_can_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    tuning, tuned, source, head = make(tmp_path, LEARNS)
    before = [np.array(one) for one in tuned.weights()]
    result = tuning.run(head)
    assert result.before.validation_accuracy is not None
    assert result.best.validation_accuracy is not None
    assert result.best.validation_accuracy >= 0.9 > result.before.validation_accuracy
    assert result.best_epoch > 0
    losses = [row.validation_loss for row in result.history]
    assert result.best.validation_loss == min(losses)  # type: ignore[type-var]
    after = tuned.weights()
    assert any((one != other).any() for one, other in zip(before, after, strict=True))
    # The network is as it was after that epoch, not after the last.
    vectors = vectors_of(tuned, source, np.arange(40, COUNT))
    right = tuned.head().logits(vectors).argmax(1) == source.labels[40:]
    assert right.mean() == pytest.approx(result.best.validation_accuracy)


def test_the_head_alone_stays_where_no_epoch_is_better(tmp_path: Path) -> None:
    tuning, tuned, source, head = make(tmp_path, replace(LEARNS, epochs=8))
    source.labels[40:] = 1 - source.labels[40:]  # what training teaches is wrong on validation
    before = tuned.weights()
    result = tuning.run(head)
    assert result.best_epoch == 0
    assert result.epochs == 8
    for one, other in zip(before, tuned.weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_frozen_batch_normalisation_keeps_all_its_numbers(tmp_path: Path) -> None:
    for batch_norm, stays in (("frozen", True), ("train", False)):
        config = replace(LEARNS, epochs=1, batch_norm=batch_norm)  # type: ignore[arg-type]
        _, tuned, *_ = make(tmp_path, config)
        norm = tuned.network.get_layer("top_norm")
        before = [np.array(one.numpy()) for one in norm.weights]
        tuned.compile(Schedule(0.02, 4, 0))
        values = Activations((4, 4, 4)).values[:16].astype(np.float16)
        tuned.train([values], np.arange(16, dtype=np.int32) % 2)
        same = all(
            (one == np.array(other.numpy())).all()
            for one, other in zip(before, norm.weights, strict=True)
        )
        assert same is stays


def test_layers_below_what_is_trained_stay(tmp_path: Path) -> None:
    tuning, tuned, _, head = make(tmp_path, replace(LEARNS, trainable="top", epochs=1))
    frozen = tuned.network.get_layer("block_1_project").kernel.numpy()
    tuning.run(head)
    np.testing.assert_array_equal(frozen, tuned.network.get_layer("block_1_project").kernel.numpy())


def run_with_a_stop(tmp_path: Path, after: int) -> None:
    """As a kill: nothing is done after the epoch that was written."""

    class Killed(BaseException):
        pass

    def listen(progress: TuningProgress) -> None:
        if progress.row is not None and progress.epoch == after:
            raise Killed

    tuning, _, _, head = make(tmp_path, LEARNS_SHORT, listen)
    with pytest.raises(Killed):
        tuning.run(head)


LEARNS_SHORT = replace(LEARNS, epochs=5, dropout=0.2)


def test_what_was_cut_short_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    tuning, whole, _, head = make(tmp_path / "whole", LEARNS_SHORT)
    expected = tuning.run(head)
    run_with_a_stop(tmp_path / "cut", after=3)
    seen: list[int] = []
    tuning, resumed, _, head = make(
        tmp_path / "cut", LEARNS_SHORT, lambda progress: seen.append(progress.epoch)
    )
    state = tuning._state.load()
    assert state is not None
    assert state.epoch == 3
    result = tuning.run(head, state)
    assert min(seen) == 4
    assert result.best_epoch == expected.best_epoch
    np.testing.assert_allclose(losses(result), losses(expected), rtol=1e-4)
    for one, other in zip(whole.weights(), resumed.weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def losses(result: TuningResult) -> list[float]:
    return [row.loss for row in result.history]


def test_a_state_of_other_settings_is_another_one(tmp_path: Path) -> None:
    run_with_a_stop(tmp_path, after=1)
    tuning, *_ = make(tmp_path, replace(LEARNS_SHORT, seed=1))
    assert tuning._state.load() is None


def test_patience_ends_it(tmp_path: Path) -> None:
    config = replace(LEARNS, epochs=50, patience=2, learning_rate=1e-12, l2=0.0)
    tuning, _, _, head = make(tmp_path, config)
    result = tuning.run(head)
    assert result.stopped_by == "patience"
    assert result.epochs < 50


def test_ctrl_c_keeps_the_best_epoch(tmp_path: Path) -> None:
    def listen(progress: TuningProgress) -> None:
        if progress.epoch == 3:
            raise KeyboardInterrupt

    tuning, _, _, head = make(tmp_path, LEARNS, listen)
    result = tuning.run(head)
    assert result.stopped_by == "interrupt"
    assert result.epochs == 2
    assert len(result.history) == 3


def test_ctrl_c_before_the_first_epoch_keeps_nothing(tmp_path: Path) -> None:
    def listen(progress: TuningProgress) -> None:
        raise KeyboardInterrupt

    tuning, _, _, head = make(tmp_path, LEARNS, listen)
    with pytest.raises(KeyboardInterrupt):
        tuning.run(head)


def test_a_rate_that_is_far_too_high_is_told(tmp_path: Path) -> None:
    config = replace(LEARNS, epochs=3, learning_rate=1e30, optimizer="sgd")
    tuning, _, _, head = make(tmp_path, config)
    with pytest.raises(ConfigError, match="lower learning_rate"):
        tuning.run(head)


def test_eight_bits_are_read_as_the_numbers_that_they_stand_for(tmp_path: Path) -> None:
    from retrain_cli.cache.array_batch import ArrayBatch

    config = replace(LEARNS, activations="uint8")
    network = small_network()
    point = choose_freeze_point(network, "last-block")
    head = Head.initial(LABELS, 6, 0)
    values = Activations(point.shape).values[:8]
    exact = TunedNetwork(network, SPEC, point, head, LEARNS).vectors([values.astype(np.float16)])
    packed = ArrayBatch.quantised(values)
    assert packed.scales is not None
    coarse = TunedNetwork(network, SPEC, point, head, config).vectors([packed.data, packed.scales])
    np.testing.assert_allclose(coarse, exact, atol=0.05)


def test_pixels_go_through_the_whole_network() -> None:
    network = small_network(32)
    point = choose_freeze_point(network, "first+last")
    tuned = TunedNetwork(network, SPEC, point, Head.initial(LABELS, 6, 0), LEARNS)
    tuned.compile(Schedule(0.01, 10, 1))
    stem = network.get_layer("stem").kernel.numpy()
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    tuned.train([pixels], np.array([0, 1, 0, 1], np.int32))
    assert (stem != network.get_layer("stem").kernel.numpy()).any()


def test_weight_decay_pulls_to_zero_or_to_the_start() -> None:
    """With a gradient of almost nothing the penalty alone moves the kernels."""
    moved = {}
    for name, options in {"l2": {"l2": 5.0}, "l2_sp": {"l2_sp": 5.0}}.items():
        network = small_network()
        point = choose_freeze_point(network, "top")
        config = TuningConfig("top", optimizer="sgd", **options)  # type: ignore[arg-type]
        tuned = TunedNetwork(network, SPEC, point, Head.initial(LABELS, 6, 0), config)
        tuned.compile(Schedule(0.01, 10, 0))
        kernel = network.get_layer("top").kernel
        before = np.linalg.norm(kernel.numpy())
        values = Activations(point.shape).values[:16].astype(np.float16)
        for _ in range(5):
            tuned.train([values], np.arange(16, dtype=np.int32) % 2)
        moved[name] = np.linalg.norm(kernel.numpy()) / before
    assert moved["l2"] < 0.9
    assert moved["l2_sp"] > 0.95
