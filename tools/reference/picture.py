"""The picture that all reference images show."""

from __future__ import annotations

import numpy as np

WIDTH, HEIGHT = 20, 18  # no multiple of 8 or 16: rows and tiles have to be padded

_x, _y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))

GREY = ((_x * 9 + _y * 5) % 256).astype(np.uint8)
"""`(18, 20) uint8`: a slope from black to white."""

RGB = np.stack([GREY, GREY[::-1], (_x * 11) % 256], axis=-1).astype(np.uint8)
"""`(18, 20, 3) uint8`."""
