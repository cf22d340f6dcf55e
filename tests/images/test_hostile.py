"""Mutated images of every format: pixels or one short reason, in bounded memory."""

from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fuzz.cases import kind_of, make_case, try_case
from fuzz.seeds import picture, sound_images
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from retrain_cli.errors import ImageError
from retrain_cli.images import pixels
from retrain_cli.images.decode import decode_image
from retrain_cli.images.formats import FORMAT_NAMES
from retrain_cli.images.limits.budget import PixelBudget

KINDS = sorted({kind_of(name) for name in sound_images()})


def test_there_is_a_seed_of_every_format() -> None:
    pytest.importorskip("pillow_heif")
    assert set(KINDS) == set(FORMAT_NAMES)


@pytest.mark.parametrize("name", sound_images())
def test_every_seed_is_sound(name: str) -> None:
    assert decode_image(sound_images()[name], (24, 24)).std() > 0


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=200, derandomize=True)
@given(number=st.integers(0, 2**40))
def test_a_mutated_image_is_decoded_or_refused(kind: str, number: int) -> None:
    try_case(make_case(number, (kind,)))


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1), (20_000, 2)])
@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "bmp"])
def test_extreme_shapes(size: tuple[int, int], kind: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 40, 90)).save(out, kind)
    for rule in ("squash", "crop", "letterbox"):
        found = decode_image(out.getvalue(), (24, 24), rule)
        assert (np.abs(found.astype(int) - (200, 40, 90)).max(axis=-1) <= 4).any()


def test_a_header_that_lies_about_the_size_is_refused() -> None:
    data = bytearray(sound_images()["gif-P"])
    data[6:10] = b"\xff\xff\xff\xff"
    with pytest.raises(ImageError, match="65535 x 65535 px"):
        decode_image(bytes(data), (24, 24))


@pytest.mark.parametrize("mode", ["I", "I;16", "F", "RGBA", "LA", "P"])
def test_bands_change_no_pixel(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = picture(mode)
    if mode == "P":
        image.info["transparency"] = bytes(range(200))
    if mode == "F":
        image = Image.fromarray(np.asarray(image) * 7 - 3)  # to be stretched over all bands
    whole = pixels.flatten(image)
    monkeypatch.setattr(pixels, "_BAND_PIXELS", 100)
    assert pixels.flatten(image) == whole


def test_a_large_float_image_needs_little_more_memory_than_its_pixels(tmp_path: Path) -> None:
    path = tmp_path / "large.tif"
    Image.new("F", (7000, 7000), 0.5).save(path, "tiff", compression="tiff_adobe_deflate")
    code = f"""
import resource
from pathlib import Path
from retrain_cli.images.decode import decode_image
before = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (before + 7000 * 7000 * 10,) * 2)
print(decode_image(Path({str(path)!r}).read_bytes(), (32, 32)).mean())
"""
    if not Path("/proc/self/statm").exists():
        pytest.skip("only Linux tells how much address space a process has")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "128.0"


def test_threads_together_hold_no_more_than_the_budget() -> None:
    budget, held, most = PixelBudget(100), [], []

    def decode(wanted: int) -> None:
        with budget.take(wanted):
            held.append(min(wanted, 100))
            most.append(sum(held))
            held.remove(min(wanted, 100))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, [60, 30, 500, 10, 99, 1] * 100))
    assert max(most) <= 100


def test_most_of_the_fuzzers_cases_get_as_far_as_the_pixels() -> None:
    """Else it would try the same few header checks again and again."""
    cases = [make_case(number) for number in range(150)]
    decoded = sum(try_case(case) is None for case in cases)
    assert decoded > 0.7 * len(cases)
