"""The strongest channels of a layer as a sheet of pictures, two networks beside each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from retrain_cli.explaining.channels import LayerChannels
from retrain_cli.images.placement import Placement
from retrain_cli.reports.heatmaps.heat_colours import SmallPhoto, map_alone
from retrain_cli.reports.heatmaps.heat_panels import fitted, write

_TILE, _COLUMNS, _GAP, _BETWEEN, _LINE = 100, 4, 4, 28, 32
_BLOCK = _COLUMNS * _TILE + (_COLUMNS - 1) * _GAP
_NUMBER = 20
_PAPER = (255, 255, 255)


def draw_channels(
    photo: SmallPhoto, layers: Sequence[LayerChannels], placement: Placement, name: str
) -> Image.Image:
    """The photo, and below it a block of pictures for each network, the strongest channel first.

    Each channel goes from its own least to its own most activation.

    Args:
        photo: the photo.
        layers: of each network what it sees.
        placement: where the network's input lies on the photo.
        name: of the photo.
    """
    size = _fitting(photo.drawn)
    rows = max(-(-len(layer.numbers) // _COLUMNS) for layer in layers)
    head = _LINE + photo.drawn[1] + 2 * _GAP
    tiles = head + 2 * _LINE + _GAP
    width = len(layers) * _BLOCK + (len(layers) + 1) * _BETWEEN
    height = tiles + rows * (size[1] + _NUMBER + 2 * _GAP) + _BETWEEN
    sheet = Image.new("RGB", (width, height), _PAPER)
    write(sheet, (_BETWEEN, _GAP), fitted(name, width - 2 * _BETWEEN), 24, faint=False)
    sheet.paste(Image.fromarray(photo.pixels), (_BETWEEN, _LINE + _GAP))
    for number, layer in enumerate(layers):
        left = _BETWEEN + number * (_BLOCK + _BETWEEN)
        write(sheet, (left, head), fitted(layer.network, _BLOCK), 24, faint=False)
        under = f"{layer.layer}, {layer.grids.shape[1]} × {layer.grids.shape[2]}"
        write(sheet, (left, head + _LINE), fitted(under, _BLOCK, 20), 20)
        _block(sheet, layer, placement, size, (left, tiles))
    return sheet


def _block(
    sheet: Image.Image,
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
        picture = Image.fromarray(map_alone(heat, signed=False))
        sheet.paste(picture, (left + (_TILE - size[0]) // 2, top))
        write(sheet, (left, top + size[1] + 1), str(number), 18)


def _fitting(size: tuple[int, int]) -> tuple[int, int]:
    scale = _TILE / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
