"""Make readings of three gauges with anomalies planted in them, as from a storage ring.

    python tools/make_signals.py FOLDER [--minutes 60] [--rate 50] [--every 20] [--seed 0]

`pressure.csv` has time and three channels that drift, hum together and are noisy; `events.csv` says
where the anomalies are: a leak (a slow rise in one gauge), a burst (a fast swing in all), a gauge
that sticks, a hum that changes its pitch. Equal arguments give equal files.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CHANNELS = ("gauge_a", "gauge_b", "gauge_c")
KINDS = ("leak", "burst", "stuck", "pitch")
_HUM_HZ = 1.3
_SECONDS = (2.0, 6.0)
"""Shortest and longest anomaly."""

Readings = NDArray[np.float64]


def calm(samples: int, rate: float, generator: np.random.Generator) -> Readings:
    """Readings without an anomaly, `(samples, 3)`."""
    time = np.arange(samples)[:, None] / rate
    walk = generator.normal(size=(samples, len(CHANNELS))).cumsum(axis=0) * 0.004
    wander = np.cumsum(generator.normal(size=(samples, 1)), axis=0) * 0.01
    hum = 0.5 * np.sin(2 * np.pi * _HUM_HZ * time + wander + np.arange(len(CHANNELS)))
    noise = generator.normal(size=(samples, len(CHANNELS)))
    red = noise.copy()
    for lag in range(1, 8):
        red[lag:] += 0.6**lag * noise[:-lag]
    return np.asarray(1.0 + walk + hum + 0.25 * red)


def plant(readings: Readings, kind: str, rate: float, generator: np.random.Generator) -> None:
    """Put an anomaly into a stretch of readings, which are changed."""
    length = len(readings)
    shape = np.hanning(length)[:, None]
    time = np.arange(length)[:, None] / rate
    one = generator.integers(len(CHANNELS))
    strength = generator.uniform(0.6, 1.4)
    if kind == "leak":
        readings[:, one] += strength * 2.0 * np.linspace(0, 1, length) ** 2
    elif kind == "burst":
        pitch = generator.uniform(4, 9)
        readings += strength * 0.7 * shape * np.sin(2 * np.pi * pitch * time)
    elif kind == "stuck":
        readings[:, one] = readings[0, one] + 0.02 * generator.normal(size=length)
    else:
        readings += strength * shape * np.sin(2 * np.pi * _HUM_HZ * 0.45 * time)


def make(seconds: float, rate: float, every: float, seed: int) -> tuple[Readings, list[str]]:
    """Readings, and a line for each event.

    Args:
        seconds: how long.
        rate: samples a second.
        every: mean number of seconds from one anomaly to the next.
        seed: equal ones give equal readings.
    """
    generator = np.random.default_rng(seed)
    readings = calm(round(seconds * rate), rate, generator)
    lines = []
    now = generator.exponential(every)
    while now + _SECONDS[1] < seconds:
        lasts = generator.uniform(*_SECONDS)
        start, end = round(now * rate), round((now + lasts) * rate)
        plant(readings[start:end], str(generator.choice(KINDS)), rate, generator)
        lines.append(f"{start / rate:.3f},{end / rate:.3f},anomaly")
        now += lasts + generator.exponential(every)
    return readings, lines


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=60, help="default: 60")
    parser.add_argument("--rate", type=float, default=50, help="samples a second; default: 50")
    parser.add_argument("--every", type=float, default=20, help="seconds apart; default: 20")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    readings, lines = make(arguments.minutes * 60, arguments.rate, arguments.every, arguments.seed)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    time = np.arange(len(readings))[:, None] / arguments.rate
    np.savetxt(
        arguments.folder / "pressure.csv",
        np.hstack([time, readings]),
        fmt="%.5g",
        delimiter=",",
        header=",".join(("time", *CHANNELS)),
        comments="",
    )
    text = "\n".join(("start,end,label", *lines)) + "\n"
    (arguments.folder / "events.csv").write_text(text, encoding="utf-8")
    print(f"{len(readings):,} samples, {len(lines)} anomalies: {arguments.folder}")


if __name__ == "__main__":
    main()
