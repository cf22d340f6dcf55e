"""A window of one channel as a square of numbers from 0 to 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_POINTS = 1_024
"""A square has a number for each pair of samples; longer windows are averaged down to this."""

_QUIETEST_DB = -60.0
_FARTHEST = 4.0


def spectrogram(standardised: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power by frequency and time, in decibels: 0 at -60 dB and below, 1 at 0 dB.

    Short-time Fourier transform by SciPy: Hann windows of an eighth of the length, a quarter of
    which is the hop, each without its mean. A sine of standard deviation 1 has 0 dB.

    Args:
        standardised: `(n_samples,)`, with a standard deviation of about 1.

    Returns:
        `(n_frequencies, n_times)`, high frequencies first.
    """
    from scipy.signal import spectrogram as powers

    segment = max(len(standardised) // 8, 8)
    power = powers(
        standardised,
        window="hann",
        nperseg=segment,
        noverlap=segment - max(segment // 4, 1),
        detrend="constant",
        scaling="spectrum",
    )[2]
    decibels = 10 * np.log10(np.maximum(power, 1e-12))
    found: NDArray[np.float64] = np.clip(1 - decibels / _QUIETEST_DB, 0, 1)[::-1]
    return found


def recurrence(standardised: NDArray[np.float64]) -> NDArray[np.float64]:
    """How near any two samples are: 1 where they are equal, 0 from four deviations on.

    A recurrence plot (Eckmann, Kamphorst and Ruelle 1987) without a threshold, of the samples
    themselves: 1 - min(|x_i - x_j|, 4) / 4.

    Args:
        standardised: `(n_samples,)`, with a standard deviation of about 1.

    Returns:
        `(n_points, n_points)`; at most 1,024 points, each a mean of neighbours.
    """
    points = _averaged(standardised)
    distances = np.abs(points[:, None] - points[None, :])
    return 1 - np.minimum(distances, _FARTHEST) / _FARTHEST


def angular_field(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gramian angular field, summed angles: (1 + cos(a_i + a_j)) / 2 with cos(a_i) = x_i.

    Wang and Oates, Imaging Time-Series to Improve Classification and Imputation (2015).

    Args:
        scaled: `(n_samples,)` in [-1, 1].

    Returns:
        `(n_points, n_points)`; at most 1,024 points, each a mean of neighbours.
    """
    cosines = _averaged(scaled)
    sines = np.sqrt(np.clip(1 - cosines**2, 0, 1))
    field = np.outer(cosines, cosines) - np.outer(sines, sines)
    shares: NDArray[np.float64] = np.clip((1 + field) / 2, 0, 1)
    return shares


def _averaged(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of neighbours, at most `MOST_POINTS` of them, of equal numbers as far as that goes."""
    if len(samples) <= MOST_POINTS:
        return samples
    edges = np.linspace(0, len(samples), MOST_POINTS + 1).astype(int)
    means: NDArray[np.float64] = np.add.reduceat(samples, edges[:-1]) / np.diff(edges)
    return means
