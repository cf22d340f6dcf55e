"""The squares of numbers that pictures of signals are made of, against other ways to them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances

from retrain_cli.signals.transforms import MOST_POINTS, angular_field, recurrence, spectrogram


@pytest.fixture
def samples() -> NDArray[np.float64]:
    made = np.random.default_rng(0).normal(size=512).cumsum()
    return np.asarray((made - made.mean()) / made.std())


def test_a_sine_is_loud_at_its_frequency_and_nowhere_else() -> None:
    cycles = 8  # in each segment of 64 samples
    sine = np.sqrt(2) * np.sin(2 * np.pi * cycles / 64 * np.arange(512))
    square = spectrogram(sine)
    assert square.shape == (33, 29)
    row = 32 - cycles  # high frequencies first
    assert np.allclose(square[row], 1, atol=0.1)
    far = np.delete(square, range(row - 2, row + 3), axis=0)
    assert far.max() < 0.2


def test_a_spectrogram_is_that_of_a_plain_fourier_transform(
    samples: NDArray[np.float64],
) -> None:
    segment, hop = 64, 16
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(segment) / segment)
    columns = []
    for start in range(0, len(samples) - segment + 1, hop):
        piece = samples[start : start + segment]
        power = np.abs(np.fft.rfft((piece - piece.mean()) * taper)) ** 2 / taper.sum() ** 2
        power[1:-1] *= 2
        columns.append(10 * np.log10(np.maximum(power, 1e-12)))
    expected = np.clip(1 + np.array(columns).T / 60, 0, 1)[::-1]
    assert np.allclose(spectrogram(samples), expected, atol=1e-6)


def test_recurrence_is_made_of_distances(
    samples: NDArray[np.float64],
) -> None:
    distances = pairwise_distances(samples[:, None], metric="manhattan")
    assert np.allclose(recurrence(samples), 1 - np.minimum(distances, 4) / 4)


def test_the_angular_field_is_made_of_angles(
    samples: NDArray[np.float64],
) -> None:
    scaled = np.clip(samples / np.abs(samples).max(), -1, 1)
    angles = np.arccos(scaled)
    expected = (1 + np.cos(angles[:, None] + angles[None, :])) / 2
    assert np.allclose(angular_field(scaled), expected, atol=1e-7)


@pytest.mark.parametrize("length", [MOST_POINTS, MOST_POINTS + 1, 3 * MOST_POINTS + 7])
def test_long_windows_are_averaged(length: int) -> None:
    ramp = np.linspace(-1, 1, length)
    square = recurrence(ramp)
    assert square.shape == (MOST_POINTS, MOST_POINTS)
    assert square[0, -1] == pytest.approx(0.5, abs=0.01)  # two of four deviations apart
    assert np.isfinite(angular_field(ramp)).all()
