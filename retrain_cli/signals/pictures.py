"""The picture of a window: one square a channel, as colours or side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from retrain_cli.signals.recordings import Range
from retrain_cli.signals.transforms import angular_field, recurrence, spectrogram

Kind = Literal["spectrogram", "recurrence", "gaf", "trace"]
MOST_COLOURS = 3
_FINER = 4
"""Lines are drawn so many times as large, then made smaller, which smooths them."""


def draw_window(
    samples: NDArray[np.float64], kind: Kind, size: int, spread: Range | None = None
) -> Image.Image:
    """The picture of a window.

    Up to three channels are red, green and blue, a single one is grey; more are squares side by
    side, row by row. Traces are drawn below each other.

    Args:
        samples: `(n_samples, n_channels)`.
        kind: what is drawn of each channel.
        size: pixels of each side.
        spread: what the channels are scaled by; None for the window itself.

    Returns:
        RGB, `size` by `size`.
    """
    spread = Range.of(samples) if spread is None else spread
    if kind == "trace":
        return _draw_traces(_scaled(samples, spread), size)
    square = _SQUARES[kind]
    ready = _scaled(samples, spread) if kind == "gaf" else _standardised(samples, spread)
    squares = [square(channel) for channel in ready.T]
    if len(squares) > MOST_COLOURS:
        return _side_by_side(squares, size)
    planes = [_plane(one, size, size) for one in squares]
    if len(planes) == 1:
        return planes[0].convert("RGB")
    planes += [Image.new("L", (size, size))] * (MOST_COLOURS - len(planes))
    return Image.merge("RGB", planes)


_SQUARES: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "spectrogram": spectrogram,
    "recurrence": recurrence,
    "gaf": angular_field,
}


def _standardised(samples: NDArray[np.float64], spread: Range) -> NDArray[np.float64]:
    """Mean 0 and deviation 1; a channel that never changes is 0."""
    deviation = np.where(spread.deviation > 0, spread.deviation, 1.0)
    return (samples - spread.mean) / deviation


def _scaled(samples: NDArray[np.float64], spread: Range) -> NDArray[np.float64]:
    """From -1 at the lowest to 1 at the highest; a channel that never changes is 0."""
    half = (spread.highest - spread.lowest) / 2
    middle = spread.lowest + half
    return np.clip((samples - middle) / np.where(half > 0, half, 1.0), -1, 1)


def _plane(square: NDArray[np.float64], width: int, height: int) -> Image.Image:
    grey = Image.fromarray(np.round(square * 255).astype(np.uint8))
    return grey.resize((width, height), Image.Resampling.BICUBIC)


def _side_by_side(squares: list[NDArray[np.float64]], size: int) -> Image.Image:
    columns = math.ceil(math.sqrt(len(squares)))
    edges = [round(size * place / columns) for place in range(columns + 1)]
    picture = Image.new("L", (size, size))
    for number, square in enumerate(squares):
        row, column = divmod(number, columns)
        width, height = edges[column + 1] - edges[column], edges[row + 1] - edges[row]
        if width and height:
            picture.paste(_plane(square, width, height), (edges[column], edges[row]))
    return picture.convert("RGB")


def _draw_traces(scaled: NDArray[np.float64], size: int) -> Image.Image:
    """Dark lines on white, each channel in a row of its own."""
    fine = size * _FINER
    picture = Image.new("L", (fine, fine), 255)
    pen = ImageDraw.Draw(picture)
    row = fine / scaled.shape[1]
    across = np.linspace(0, fine - 1, len(scaled))
    for number, channel in enumerate(scaled.T):
        down = (number + 0.5 - 0.45 * channel) * row
        points = list(zip(across.tolist(), down.tolist(), strict=True))
        pen.line(points, fill=0, width=max(2, fine // 112))
    return picture.reduce(_FINER).convert("RGB")
