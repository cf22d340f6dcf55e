"""Sample images: drawn by NumPy, so that a newcomer can try everything with nothing to download.

Eight classes of things on varied backdrops. Daisy, mushroom, soccer ball and umbrella are classes
of ImageNet-1000 (INT); beach ball, rocket, snowman and sunflower are not (EXT).
"""

from __future__ import annotations

from retrain_cli.samples.writer import list_samples, write_sample_images

__all__ = ["list_samples", "write_sample_images"]
