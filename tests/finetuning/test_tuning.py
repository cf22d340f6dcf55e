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
from retrain_cli.errors import ConfigError, RunError
from retrain_cli.finetuning.epoch_state import StateFile
from retrain_cli.finetuning.freeze_points import choose_freeze_point
from retrain_cli.finetuning.phase_heads import first_head, last_head
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


LEARNS_SHORT = replace(LEARNS, epochs=4, dropout=0.2)


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


def test_the_rate_climbs_and_then_falls_or_stays() -> None:
    for kind, last in (("cosine", 0.0), ("constant", 0.1)):
        config = TuningConfig(warm_up=0.2, schedule=kind)  # type: ignore[arg-type]
        rates = Schedule.of(config, 0.1, 100).rates()
        found = [float(rates(step)) for step in (0, 10, 20, 100)]
        assert found[0] < found[1] < found[2] == pytest.approx(0.1)
        assert found[3] == pytest.approx(last)


def test_a_new_head_comes_last_where_it_is_better() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 90).astype(np.int32)
    vectors = generator.normal(size=(90, 6)).astype(np.float32)
    vectors[:, 0] += 3.0 * labels
    rows = np.arange(90)
    data = HeadData(vectors, labels, LABELS, rows[:60], rows[60:])
    poor = Head.initial(LABELS, 6, 0)
    found = last_head(poor, data)
    assert (found.logits(vectors).argmax(1) == labels).mean() > 0.85
    data.labels[60:] = poor.logits(vectors[60:]).argmax(1)  # what only the old one knows
    assert last_head(poor, data) is poor
    start = first_head(data, 0)
    assert start.labels == LABELS


def test_what_is_frozen_keeps_all_its_numbers(tmp_path: Path) -> None:
    tuning, tuned, _, head = make(tmp_path, replace(LEARNS, trainable="top*", epochs=1))
    network = tuned.network
    frozen = [*network.get_layer("block_1_project").weights, *network.get_layer("top_norm").weights]
    before = [np.array(one.numpy()) for one in frozen]
    top = np.array(network.get_layer("top").kernel.numpy())
    tuning.run(head)
    for one, other in zip(before, frozen, strict=True):
        np.testing.assert_array_equal(one, other.numpy())
    moved = network.get_layer("top").kernel.numpy()
    assert tuning._rows[1].loss > 0
    assert (moved != top).any() or tuning._best_epoch == 0


def test_batch_normalisation_is_trained_where_that_is_asked_for() -> None:
    for batch_norm, trained in (("frozen", False), ("train", True)):
        network = small_network()
        point = choose_freeze_point(network, "last-block")
        config = replace(LEARNS, batch_norm=batch_norm)  # type: ignore[arg-type]
        TunedNetwork(network, SPEC, point, Head.initial(LABELS, 6, 0), config)
        assert network.get_layer("top_norm").trainable is trained
        assert network.get_layer("top").trainable


def test_weight_decay_pulls_to_zero_or_to_the_start() -> None:
    for option, at_start in (("l2", False), ("l2_sp", True)):
        network = small_network()
        point = choose_freeze_point(network, "top")
        config = TuningConfig("top", optimizer="sgd", **{option: 0.5})  # type: ignore[arg-type]
        tuned = TunedNetwork(network, SPEC, point, Head.initial(LABELS, 6, 0), config)
        tuned.compile(Schedule(0.01, 10, 0))
        kernel, model = network.get_layer("top").kernel, tuned._model
        labels, logits = np.zeros(2, np.int32), np.zeros((2, 2), np.float32)

        def loss(model: Any = model, labels: Any = labels, logits: Any = logits) -> float:
            return float(model.compute_loss(None, labels, logits))

        softmax = 0.25 * float((tuned.head().weights ** 2).sum())
        size = 0.0 if at_start else 0.25 * float((kernel.numpy() ** 2).sum()) + softmax
        assert loss() == pytest.approx(np.log(2) + size, rel=1e-4)
        kernel.assign(kernel.numpy() * 0)
        moved = 0.25 * float((tuned._start[0] ** 2).sum()) if at_start else softmax
        assert loss() == pytest.approx(np.log(2) + moved, rel=1e-4)


class FakeNetwork:
    """It learns nothing, and counts its steps."""

    width = 4

    def __init__(self, head: Head, loss: float = 0.5) -> None:
        self._head, self._loss, self.steps = head, loss, 0

    def compile(self, schedule: Schedule) -> None:
        self.schedule = schedule

    def train(self, arrays: Arrays, labels: NDArray[np.int32]) -> tuple[float, float]:
        self.steps += 1
        return self._loss, 0.5

    def vectors(self, arrays: Arrays) -> NDArray[np.float32]:
        return np.asarray(arrays[0].mean(axis=(1, 2)), np.float32)

    def head(self) -> Head:
        return self._head

    def weights(self) -> Arrays:
        return [np.array(self.steps)]

    def set_weights(self, weights: Arrays) -> None:
        self.steps = int(weights[0])

    def optimizer_state(self) -> Arrays:
        return []


def pretend(
    tmp_path: Path,
    listen: Any = lambda progress: None,
    *,
    loss: float = 0.5,
    judged: bool = True,
    **settings: Any,
) -> tuple[Tuning, FakeNetwork, Head]:
    source, every = Activations((2, 2, 4)), np.arange(COUNT)
    head = Head.initial(LABELS, 4, 0)
    network = FakeNetwork(head, loss)
    vectors = network.vectors(source.read(every))
    data = HeadData(vectors, source.labels, LABELS, every[:40], every[40:] if judged else every[:0])
    config = replace(LEARNS, **settings)
    state = StateFile(tmp_path, {"tuning": config.to_dict()})
    return Tuning(network, source, data, config, state, listen), network, head  # type: ignore[arg-type]


def test_patience_ends_it(tmp_path: Path) -> None:
    tuning, _, head = pretend(tmp_path, epochs=50, patience=2)
    result = tuning.run(head)
    assert result.stopped_by == "patience"
    assert (result.epochs, result.best_epoch) == (2, 0)


def test_without_validation_photos_the_last_epoch_is_kept(tmp_path: Path) -> None:
    tuning, network, head = pretend(tmp_path, epochs=4, judged=False)
    assert tuning.run(head).best_epoch == 4
    assert network.steps == 4 * tuning.steps


@pytest.mark.parametrize("left", [0, 3, 0.5])
def test_a_damaged_state_is_told_as_such(tmp_path: Path, left: float) -> None:
    tuning, _, head = pretend(tmp_path, epochs=1)
    tuning.run(head)
    state = StateFile(tmp_path, {"tuning": replace(LEARNS, epochs=1).to_dict()})
    assert state.load() is not None
    whole = state.path.read_bytes()
    state.path.write_bytes(whole[: int(left if left >= 1 else left * len(whole))])
    with pytest.raises(RunError, match="should hold a fine-tuning that was cut short"):
        state.load()


def test_ctrl_c_keeps_the_best_epoch(tmp_path: Path) -> None:
    def listen(progress: TuningProgress) -> None:
        if progress.epoch == 3:
            raise KeyboardInterrupt

    tuning, network, head = pretend(tmp_path, listen, judged=False)
    result = tuning.run(head)
    assert result.stopped_by == "interrupt"
    assert (result.epochs, result.best_epoch, len(result.history)) == (2, 2, 3)
    assert network.steps == 2 * tuning.steps, "as after that epoch"


def test_ctrl_c_before_the_first_epoch_keeps_nothing(tmp_path: Path) -> None:
    def listen(progress: TuningProgress) -> None:
        raise KeyboardInterrupt

    tuning, _, head = pretend(tmp_path, listen)
    with pytest.raises(KeyboardInterrupt):
        tuning.run(head)


def test_a_loss_that_is_no_number_is_told(tmp_path: Path) -> None:
    tuning, _, head = pretend(tmp_path, loss=float("nan"))
    with pytest.raises(ConfigError, match="lower learning_rate"):
        tuning.run(head)


def test_a_state_of_other_settings_is_another_one(tmp_path: Path) -> None:
    tuning, _, head = pretend(tmp_path, epochs=2)
    tuning.run(head)
    found = tuning._state.load()
    assert found is not None
    assert found.epoch == 2
    assert pretend(tmp_path, epochs=2, seed=1)[0]._state.load() is None
