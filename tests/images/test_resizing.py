"""Vector instructions give what Pillow gives, within a grey level, whatever the part and size."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from retrain_cli.images import resizing
from retrain_cli.images.resizing import Resizing

sides = st.integers(1, 90)


def noise(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    shape = (height, width) if mode == "L" else (height, width, 3)
    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(values)


def by_pillow(wanted: Resizing, image: Image.Image) -> NDArray[np.uint8]:
    found = image.convert("RGB").resize(
        wanted.size, Image.Resampling.BILINEAR, wanted.box, reducing_gap=2.0
    )
    return np.asarray(found)


def distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


@settings(deadline=None)
@given(
    st.tuples(sides, sides),
    st.tuples(sides, sides),
    st.sampled_from(["squash", "crop", "letterbox"]),
    st.sampled_from(["L", "RGB"]),
    st.floats(0, 0.9),
    st.booleans(),
)
def test_as_pillow_within_a_grey_level(
    source: Any, goal: Any, rule: Any, mode: Any, cut: Any, as_bytes: Any
) -> None:
    image = noise(source[0], source[1], mode)
    extent = (source[0] - cut, source[1] - cut)  # as of a draft whose last pixels are cut
    wanted = Resizing.by_rule(extent, goal, rule)
    found = wanted.apply(image, image.tobytes() if as_bytes else None)
    assert found.dtype == np.uint8
    assert distance(found, by_pillow(wanted, image)) <= 1


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_without_the_package_pillow_does_it(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    image, wanted = noise(130, 90, mode), Resizing.by_rule((130, 90), (60, 50), "crop")
    assert wanted.is_fast
    fast = wanted.apply(image)
    monkeypatch.setattr(resizing, "has_fast_resizer", lambda: False)
    assert not wanted.is_fast
    slow = wanted.apply(image, image.tobytes())
    assert distance(slow, by_pillow(wanted, image)) == 0
    assert distance(fast, slow) <= 1


@pytest.mark.parametrize("size", [(400, 100), (100, 400), (4000, 30)])
def test_what_is_reduced_first_is_left_to_pillow(size: tuple[int, int]) -> None:
    wanted = Resizing.by_rule(size, (100, 100), "squash")
    assert not wanted.is_fast
    image = noise(*size)
    assert distance(wanted.apply(image), by_pillow(wanted, image)) == 0


def test_threads_do_not_mix_up_their_images() -> None:
    images = [noise(120 + seed, 100, seed=seed) for seed in range(24)]
    wanted = [Resizing.by_rule(image.size, (96, 96), "squash") for image in images]
    alone = [one.apply(image) for one, image in zip(wanted, images, strict=True)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(Resizing.apply, wanted * 5, images * 5))
    for number, found in enumerate(together):
        np.testing.assert_array_equal(found, alone[number % len(images)])


@pytest.mark.parametrize("filter_", ["bilinear", "bicubic"])
@pytest.mark.parametrize("share", [1.0, 0.875, 0.3])
def test_a_crop_may_be_smaller_and_bicubic(filter_: str, share: float) -> None:
    """As networks of timm want it: the middle of the square, by the filter that they name."""
    image = noise(130, 90)
    wanted = Resizing.by_rule(image.size, (60, 60), f"crop {share:g} {filter_}")
    side = 90 * share
    assert wanted.box == pytest.approx(
        ((130 - side) / 2, (90 - side) / 2, (130 + side) / 2, (90 + side) / 2)
    )
    by = Image.Resampling[filter_.upper()]
    by_hand = np.asarray(image.resize((60, 60), by, wanted.box, reducing_gap=2.0))
    assert distance(wanted.apply(image), by_hand) <= 1


def test_a_whole_crop_is_the_crop_that_it_always_was() -> None:
    image = noise(130, 90)
    plain, whole = (Resizing.by_rule(image.size, (60, 50), rule) for rule in ("crop", "crop 1"))
    assert plain == whole
