from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from uneven_classes import uneven

from retrain_cli.errors import ConfigError, RunError
from retrain_cli.heads.balancing.class_prior import ClassPrior
from retrain_cli.heads.config import OPTIMIZERS, TrainingConfig
from retrain_cli.heads.head import Head
from retrain_cli.heads.temperature import fit_temperature, platt_doubt
from retrain_cli.heads.training import train_head
from retrain_cli.heads.validation import with_fitted_scores

PRIOR = TrainingConfig(balance="prior", steps=60, eval_every=20)
HEADS: list[dict[str, Any]] = [
    {},
    {"optimizer": "lbfgs"},
    {"optimizer": "ridge"},
    {"optimizer": "auto"},
    {"hidden": (5,)},
    {"head": "cosine"},
    {"normalise": "l2"},
    {"normalise": "standardise", "head": "cosine"},
]


@pytest.mark.parametrize("made", HEADS, ids=str)
@pytest.mark.parametrize("tau", [1.0, 0.5])
def test_scores_are_those_of_menon_and_others(made: dict[str, Any], tau: float) -> None:
    """`softmax(f(x) - tau log share)`, f being trained on photos as they come."""
    data = uneven(24, 6, 4)
    plain = train_head(data, replace(PRIOR, balance="none", **made)).head
    head = train_head(data, replace(PRIOR, tau=tau, **made)).head
    shares = np.array([24, 6, 4]) / 34
    logits = plain.logits(data.bottlenecks).astype(np.float64) - tau * np.log(shares)
    expected = softmax(logits, axis=1)
    assert head.probabilities(data.bottlenecks) == pytest.approx(expected, abs=1e-4)
    natural = head.natural.probabilities(data.bottlenecks)
    assert natural == pytest.approx(plain.probabilities(data.bottlenecks), abs=1e-5)


def test_with_bayes_rule_it_is_exact() -> None:
    """Two normal distributions of one width: the boundary of equal classes is in the middle."""
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], [19_000, 1_000]).astype(np.int32)
    vectors = (generator.normal(size=(20_000, 1)) + 2 * labels[:, None]).astype(np.float32)
    data = replace(
        uneven(2, 2),
        bottlenecks=vectors,
        labels=labels,
        training=np.arange(20_000),
        validation=np.arange(0),
    )
    config = TrainingConfig(balance="prior", optimizer="lbfgs", l2=0.0)
    head = train_head(data, config).head
    middle = np.array([[1.0]], np.float32)
    assert head.probabilities(middle)[0] == pytest.approx([0.5, 0.5], abs=0.03)
    assert head.natural.probabilities(middle)[0] == pytest.approx([0.95, 0.05], abs=0.01)


def test_spare_images_that_train_count_among_the_shares() -> None:
    data = replace(uneven(24, 6), spare=np.array([0, 1]))  # of the first class
    head = train_head(data, replace(PRIOR, optimizer="ridge")).head
    assert head.prior is not None
    assert head.prior.logs == pytest.approx(np.log(np.array([26, 6]) / 32), abs=1e-6)


def test_natural_scores_are_kept_where_asked_for() -> None:
    data = uneven(24, 6, 4)
    uniform, natural = (train_head(data, replace(PRIOR, prior=one)).head for one in PRIORS)
    assert natural.prior is not None
    assert natural.prior.scores == "natural"
    vectors = data.bottlenecks
    assert natural.for_prior("uniform").logits(vectors) == pytest.approx(uniform.logits(vectors))
    assert natural.logits(vectors) == pytest.approx(uniform.natural.logits(vectors), abs=1e-5)


PRIORS: tuple[Any, ...] = ("uniform", "natural")


@pytest.mark.parametrize("prior", PRIORS)
def test_the_temperature_is_one_of_natural_scores(prior: Any) -> None:
    """First the temperature, by validation photos in their own shares, and then the prior."""
    data = uneven(24, 6, 4)
    data = replace(data, validation=data.training[::2])  # enough of them
    trained = train_head(data, replace(PRIOR, prior=prior))
    fitted = with_fitted_scores(trained, data, 0)
    logits = trained.head.natural.logits(data.bottlenecks)
    rows = data.validation
    doubt = platt_doubt(len(rows))
    temperature = fit_temperature([logits[rows]], data.labels[rows], doubt=doubt)
    assert fitted.fit is not None
    assert fitted.fit.temperature == pytest.approx(temperature)
    taken = np.log(np.array([24, 6, 4]) / 34) if prior == "uniform" else 0
    expected = log_softmax(logits / (temperature or 1.0) - taken, axis=1)
    assert fitted.head.log_probabilities(data.bottlenecks) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("scores", PRIORS)
def test_a_saved_head_keeps_it(scores: Any, tmp_path: Path) -> None:
    head = some_head(scores)
    head.save(tmp_path / "head.npz")
    again = Head.load(tmp_path / "head.npz")
    assert again.prior is not None
    assert again.prior.scores == scores
    np.testing.assert_array_equal(again.prior.logs, head.prior.logs)  # type: ignore[union-attr]


def some_head(scores: Any) -> Head:
    generator = np.random.default_rng(1)
    weights = generator.normal(size=(5, 3)).astype(np.float32)
    logs = np.log(np.array([0.7, 0.2, 0.1], np.float32))
    return Head(("a", "b", "c"), weights, weights[0], prior=ClassPrior(logs, scores))


def test_a_damaged_prior_is_refused(tmp_path: Path) -> None:
    head = some_head("uniform")
    short = ClassPrior(np.zeros(2, np.float32), "uniform")
    replace(head, prior=short).save(tmp_path / "head.npz")
    with pytest.raises(RunError, match="prior_uniform"):
        Head.load(tmp_path / "head.npz")


def test_a_head_of_other_classes_knows_the_shares_of_its_own() -> None:
    head = some_head("uniform").extended_to(("new", "c", "a"))
    assert head.prior is not None
    known = np.log([0.7, 0.2, 0.1])
    assert head.prior.logs == pytest.approx([known.mean(), known[2], known[0]], abs=1e-6)


@pytest.mark.parametrize("balance", ["none", "weights"])
def test_training_goes_on_with_scores_of_its_own_kind(balance: Any) -> None:
    """One that learns shares starts from natural scores, one that does not from uniform ones."""
    data = uneven(24, 6, 4)
    initial = train_head(data, PRIOR).head
    still = replace(PRIOR, balance=balance, steps=1, learning_rate=1e-9)
    head = train_head(replace(data, validation=np.arange(0)), still, initial=initial).head
    expected = initial.natural if balance == "none" else initial
    assert head.logits(data.bottlenecks) == pytest.approx(
        expected.logits(data.bottlenecks), abs=1e-4
    )
    assert head.prior is None


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("balance", ["none", "sampling", "weights", "prior"])
def test_every_optimizer_takes_what_adds_no_images(optimizer: Any, balance: Any) -> None:
    TrainingConfig(optimizer=optimizer, balance=balance).validate()


@pytest.mark.parametrize("optimizer", ["ridge", "auto"])
@pytest.mark.parametrize("balance", ["oversample", "smote", "views"])
def test_those_that_leave_out_single_images_refuse_images_like_them(
    optimizer: Any, balance: Any
) -> None:
    with pytest.raises(ConfigError, match="leaving out single images, and those that"):
        TrainingConfig(optimizer=optimizer, balance=balance).validate()
