"""Confident learning on labels that are known to be wrong, and by its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrain_cli.evaluation.label_issues import (
    SLIGHT_AGREEMENT,
    Agreement,
    LabelIssues,
    LabelJudgement,
    Piece,
    count_label_issues,
    find_label_issues,
    judge_labels,
)


def pieces(probabilities: NDArray[np.float32], size: int = 7) -> list[Piece]:
    """The judged rows, not in order, some at a time."""
    rows = np.flatnonzero(~np.isnan(probabilities).any(axis=1))[::-1]
    parts = [rows[at : at + size] for at in range(0, len(rows), size)]
    return [(part, probabilities[part]) for part in parts]


def judge(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> LabelJudgement:
    return judge_labels(labels, probabilities.shape[1], pieces(probabilities))


def find(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> LabelIssues:
    return find_label_issues(judge(labels, probabilities), pieces(probabilities))


def test_planted_errors_are_found_with_their_true_class() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 5, 1000)
    logits = generator.normal(size=(1000, 5)) + 4 * np.eye(5)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = truth.copy()
    wrong = generator.choice(1000, 50, replace=False)
    labels[wrong] = (truth[wrong] + generator.integers(1, 5, 50)) % 5
    found = find(labels, probabilities.astype(np.float32))
    hits = np.isin(found.rows, wrong)
    assert hits.sum() > 35
    assert hits.mean() > 0.8
    assert (found.suggested[hits] == truth[found.rows[hits]]).mean() > 0.95
    assert (np.diff(found.given_probability) >= 0).all()
    assert (found.given_probability < found.suggested_probability).all()


@given(st.integers(1, 60), st.integers(2, 6), st.integers(0, 10_000))
def test_it_is_the_count_of_the_paper(n: int, n_classes: int, seed: int) -> None:
    """Northcutt et al. 2021, equations 1 and 2, image by image."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, n_classes, n)
    probabilities = generator.dirichlet(np.full(n_classes, 0.4), n).astype(np.float32)
    probabilities[generator.random(n) < 0.1] = np.nan
    judged = [row for row in range(n) if not np.isnan(probabilities[row]).any()]
    own = {c: [probabilities[r, c] for r in judged if labels[r] == c] for c in range(n_classes)}
    expected = {}
    for row in judged:
        confident = [
            c
            for c in range(n_classes)
            if own[c] and probabilities[row, c] >= np.mean(own[c], dtype=np.float64) - 1e-6
        ]
        if confident:
            best = max(confident, key=lambda c: probabilities[row, c])
            if best != labels[row]:
                expected[row] = best
    counted = count_label_issues(judge(labels, probabilities), pieces(probabilities))
    assert counted == len(expected)
    wrong = [row for row in judged if probabilities[row].argmax() != labels[row]]
    wrong.sort(key=lambda row: probabilities[row, labels[row]])  # self-confidence
    found = find(labels, probabilities)
    assert found.rows.tolist() == wrong[: len(expected)]
    assert found.suggested.tolist() == probabilities[found.rows].argmax(axis=1).tolist()


def test_self_confidence_ranks_a_scattered_photo_before_one_of_two_minds() -> None:
    """Its own class gets next to nothing, though no other one gets much more than the rest."""
    labels = np.array([0] * 6 + [1] * 6 + [2] * 6)
    probabilities = np.full((18, 3), 0.05, np.float32)
    probabilities[np.arange(18), labels] = 0.9
    probabilities[0] = 0.02, 0.5, 0.48  # neither of the others reaches its class's mean
    probabilities[1] = 0.30, 0.70, 0.0
    probabilities[6] = 0.95, 0.05, 0.0
    found = find(labels, probabilities)
    assert found.rows.tolist() == [0], "one is counted, and this is the least sure of its label"
    assert not found.confident[0]


def test_agreement_is_cohens_kappa() -> None:
    from sklearn.metrics import cohen_kappa_score

    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 300)
    probabilities = generator.dirichlet(np.ones(4), 300).astype(np.float32)
    assert Agreement.of(judge(labels, probabilities)).kappa < SLIGHT_AGREEMENT
    probabilities[np.arange(300), labels] += 0.5
    agreement = Agreement.of(judge(labels, probabilities))
    assert agreement.kappa > SLIGHT_AGREEMENT
    assert agreement.kappa == pytest.approx(cohen_kappa_score(labels, probabilities.argmax(axis=1)))
    assert Agreement.of(judge(labels[:0], probabilities[:0])).kappa == 0
    assert Agreement.of(judge(np.zeros(3, int), np.ones((3, 1), np.float32))).kappa == 0


def test_a_class_without_images_is_never_suggested() -> None:
    probabilities = np.array([[0.2, 0.8], [0.3, 0.7]], np.float32)
    assert judge(np.array([0, 0]), probabilities).thresholds[1] == np.inf
    assert not len(find(np.array([0, 0]), probabilities).rows)
