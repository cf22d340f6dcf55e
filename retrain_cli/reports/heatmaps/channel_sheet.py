"""The strongest channels of a layer as a sheet of pictures, two networks beside each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retrain_cli.explaining.channels import LayerChannels
from retrain_cli.images.placement import Placement
from retrain_cli.reports.heatmaps.heat_colours import Pixels, SmallPhoto, map_alone
from retrain_cli.reports.heatmaps.heat_panels import lines_of, paper, put, write

_TILE, _COLUMNS, _GAP, _BETWEEN, _LINE = 100, 4, 4, 28, 32
_BLOCK = _COLUMNS * _TILE + (_COLUMNS - 1) * _GAP
_NUMBER = 20


def draw_channels(
    photo: SmallPhoto, layers: Sequence[LayerChannels], placement: Placement, name: str
) -> Pixels:
    """The photo, and below it a block of pictures for each network, the strongest channel first.

    Each channel goes from its own least to its own most activation.

    Args:
        photo: the photo.
        layers: of each network what it sees.
        placement: where the network's input lies on the photo.
        name: of the photo.

    Returns:
        `(height, width, 3) uint8`.
    """
    size = _fitting(photo.drawn)
    rows = max(-(-len(layer.numbers) // _COLUMNS) for layer in layers)
    width = len(layers) * _BLOCK + (len(layers) + 1) * _BETWEEN
    names = lines_of(name, width - 2 * _BETWEEN)
    networks = [lines_of(layer.network, _BLOCK) for layer in layers]
    shapes = [lines_of(_shape(layer), _BLOCK, 20) for layer in layers]
    head = len(names) * _LINE + photo.drawn[1] + 2 * _GAP
    under = head + max(map(len, networks)) * _LINE
    tiles = under + max(map(len, shapes)) * _LINE + _GAP
    height = tiles + rows * (size[1] + _NUMBER + 2 * _GAP) + _BETWEEN
    sheet = paper(width, height)
    _write_lines(sheet, (_BETWEEN, _GAP), names, 24, faint=False)
    put(sheet, (_BETWEEN, len(names) * _LINE + _GAP), photo.pixels)
    for number, layer in enumerate(layers):
        left = _BETWEEN + number * (_BLOCK + _BETWEEN)
        _write_lines(sheet, (left, head), networks[number], 24, faint=False)
        _write_lines(sheet, (left, under), shapes[number], 20)
        _block(sheet, layer, placement, size, (left, tiles))
    return sheet


def _shape(layer: LayerChannels) -> str:
    return f"{layer.layer}, {layer.grids.shape[1]} × {layer.grids.shape[2]}"


def _write_lines(
    sheet: Pixels, corner: tuple[int, int], lines: Sequence[str], size: int, faint: bool = True
) -> None:
    for line, text in enumerate(lines):
        write(sheet, (corner[0], corner[1] + line * _LINE), text, size, faint=faint)


def _block(
    sheet: Pixels,
    layer: LayerChannels,
    placement: Placement,
    size: tuple[int, int],
    corner: tuple[int, int],
) -> None:
    for place, (number, grid) in enumerate(zip(layer.numbers, layer.grids, strict=True)):
        row, column = divmod(place, _COLUMNS)
        left = corner[0] + column * (_TILE + _GAP)
        top = corner[1] + row * (size[1] + _NUMBER + 2 * _GAP)
        least, most = float(grid.min()), float(grid.max())
        share = (grid - least) / (most - least) if most > least else np.zeros_like(grid)
        heat = np.clip(placement.drawn(share, size), 0, 1)
        put(sheet, (left + (_TILE - size[0]) // 2, top), map_alone(heat, signed=False))
        write(sheet, (left, top + size[1] + 1), str(number), 18)


def _fitting(size: tuple[int, int]) -> tuple[int, int]:
    scale = _TILE / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
