from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from retrain_cli.errors import ConfigError
from retrain_cli.images.decode import decode_image
from retrain_cli.images.distortions import USUAL, Distortion, decode_views, distort, enlarged
from retrain_cli.images.examine import content_digest

SIZE = (24, 24)
percents = st.sampled_from([0.0, 5.0, 12.5, 100.0])
distortions = st.builds(
    Distortion, st.booleans(), percents, percents, percents, percents, st.sampled_from([0, 90, 180])
)


def make_png(seed: int = 0, size: tuple[int, int] = (40, 30)) -> bytes:
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(out, "png")
    return out.getvalue()


@given(distortions)
def test_what_is_written_is_read_again(distortion: Distortion) -> None:
    assert Distortion.parse(str(distortion)) == distortion
    assert (str(distortion) == "") == distortion.is_none


@pytest.mark.parametrize("text", ["flop", "crop=wide", "rotate=45", "crop=-1", "flip crop"])
def test_nonsense_is_no_distortion(text: str) -> None:
    with pytest.raises(ConfigError):
        Distortion.parse(text)


@settings(max_examples=30)
@given(distortions, st.integers(0, 100))
def test_a_view_is_decided_by_photo_and_number_alone(distortion: Distortion, seed: int) -> None:
    data = make_png(seed)
    together = decode_views(data, SIZE, "squash", distortion, (0, 1, 2, 3))
    assert together.shape == (4, *SIZE, 3)
    np.testing.assert_array_equal(together[0], decode_image(data, SIZE))
    for view in (1, 2, 3):
        alone = decode_views(data, SIZE, "squash", distortion, (view,))
        np.testing.assert_array_equal(alone[0], together[view])


def test_without_distortion_a_view_is_the_photo() -> None:
    data = make_png()
    photo = decode_image(data, SIZE)
    for view in decode_views(data, SIZE, "squash", Distortion(), (1, 2)):
        np.testing.assert_array_equal(view, photo)


def views_of(distortion: Distortion, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    data = make_png()
    pixels = decode_image(data, enlarged(SIZE, distortion))
    digest = content_digest(data)
    views = [distort(pixels, SIZE, distortion, digest, view) for view in range(1, count + 1)]
    return decode_image(data, SIZE), np.stack(views)


def test_half_of_the_views_are_mirrored() -> None:
    photo, views = views_of(Distortion(flip=True), 200)
    is_plain = (views == photo).all(axis=(1, 2, 3))
    is_mirrored = (views == photo[:, ::-1]).all(axis=(1, 2, 3))
    assert (is_plain ^ is_mirrored).all()
    assert 70 < is_mirrored.sum() < 130


@pytest.mark.parametrize(("rotate", "turns"), [(90, {0, 1, 2, 3}), (180, {0, 2})])
def test_views_are_turned_as_numpy_turns_them(rotate: int, turns: set[int]) -> None:
    photo, views = views_of(Distortion(rotate=rotate))
    seen = set()
    for view in views:
        seen |= {turn for turn in range(4) if (view == np.rot90(photo, turn)).all()}
    assert seen == turns


def test_brightness_stays_within_its_percent() -> None:
    photo, views = views_of(Distortion(brightness=20))
    inner = (photo > 20) & (photo < 200)
    ratios = views[:, inner].mean(axis=1) / photo[inner].mean()
    assert 0.79 < ratios.min() < 0.9
    assert 1.1 < ratios.max() < 1.21


def test_colour_leaves_the_grey_of_a_photo() -> None:
    photo, views = views_of(Distortion(colour=50))
    weights = np.array([0.299, 0.587, 0.114])
    inner = np.all((views > 0) & (views < 255), axis=-1)
    difference = np.abs(views @ weights - photo @ weights)
    assert difference[inner].max() <= 1
    assert views.std(axis=-1).mean(axis=(1, 2)).std() > 1, "stronger and paler ones"


def test_crop_takes_a_part_of_the_wanted_share() -> None:
    """A white square in the middle of the photo, is larger in every view."""
    pixels = np.zeros((48, 48, 3), np.uint8)
    pixels[20:28, 20:28] = 255
    for view in range(1, 20):
        cut = distort(pixels, (48, 48), Distortion(crop=50), b"0" * 16, view)
        side = np.sqrt((cut[..., 0] / 255).sum())
        assert side == pytest.approx(8 * 1.5, abs=0.7)


@pytest.mark.parametrize(
    "values", [{"crop": -1}, {"scale": 101}, {"brightness": float("nan")}, {"rotate": 45}]
)
def test_what_cannot_be_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        Distortion(**values)  # type: ignore[arg-type]


def test_the_usual_one_is_the_original_scripts() -> None:
    assert str(USUAL) == "flip crop=10 scale=10 brightness=10"
