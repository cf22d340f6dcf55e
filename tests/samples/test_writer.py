from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from retrain_cli.datasets.source_classes import load_source_classes
from retrain_cli.errors import DatasetError
from retrain_cli.samples import list_samples, writer
from retrain_cli.samples.scenes import THINGS
from retrain_cli.samples.writer import Form, Sample, encode, make_picture, write_sample_images

COMMITTED = Path(__file__).resolve().parents[2] / "sample_images"
ONE_OF_EACH_FORM = [
    Sample("daisy", 1),
    *{sample.form: sample for sample in writer.SPECIAL}.values(),
]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """One image a class, so that writing is quick."""
    monkeypatch.setattr(writer, "IMAGES_PER_CLASS", 1)


def read(sample: Sample) -> Image.Image:
    return Image.open(COMMITTED / sample.path)


def test_there_are_eight_classes_of_twenty() -> None:
    samples = list_samples()
    assert Counter(sample.label for sample in samples) == dict.fromkeys(THINGS, 20)
    assert len(THINGS) == 8
    assert len({sample.path for sample in samples}) == 160
    assert Counter(sample.form for sample in samples)[Form.BROKEN] == 1
    assert set(writer.SPECIAL) <= set(samples)


def test_half_of_the_classes_are_source_classes_of_imagenet() -> None:
    imagenet = load_source_classes("imagenet")
    assert imagenet is not None
    internal = {label for label in THINGS if imagenet.lookup(label)}
    assert internal == {"daisy", "mushroom", "soccer_ball", "umbrella"}


def test_the_repository_holds_exactly_the_samples_under_3_mb() -> None:
    files = [path for path in COMMITTED.rglob("*") if path.is_file()]
    assert {path.relative_to(COMMITTED) for path in files} == {s.path for s in list_samples()}
    assert sum(path.stat().st_size for path in files) < 3e6


@pytest.mark.parametrize("sample", ONE_OF_EACH_FORM[:-1], ids=lambda sample: sample.form.name)
def test_what_is_committed_is_what_the_generator_draws(sample: Sample) -> None:
    drawn = make_picture(sample)
    with read(sample) as image:
        upright = ImageOps.exif_transpose(image)
        expected = drawn.convert(image.mode)
    difference = np.abs(np.asarray(upright, np.float32) - np.asarray(expected, np.float32))
    assert difference.mean() < (0.5 if sample.form is Form.PNG else 6)


@pytest.mark.parametrize("sample", writer.SPECIAL, ids=lambda sample: sample.path.stem)
def test_each_special_file_is_in_its_form(sample: Sample) -> None:
    with read(sample) as image:
        assert image.format == ("PNG" if sample.form is Form.PNG else "JPEG")
        assert image.mode == ("L" if sample.form is Form.GREY else "RGB")
        assert image.getexif().get(ExifTags.Base.Orientation, 1) == sample.orientation
        if sample.form is Form.BROKEN:
            with pytest.raises(OSError, match="truncated"):
                image.load()
        else:
            image.load()


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_turned_picture_is_upright_for_a_viewer_who_obeys_the_tag(orientation: int) -> None:
    picture = Image.new("RGB", (64, 48), "white")
    picture.paste((200, 0, 0), (0, 0, 32, 24))  # the top left quarter is red
    content = encode(picture, Sample("rocket", 1, Form.TURNED, orientation))
    stored = Image.open(io.BytesIO(content))
    assert stored.size == ((48, 64) if orientation in (6, 8) else (64, 48))
    upright = ImageOps.exif_transpose(stored)
    assert upright.size == (64, 48)
    low, high = (np.asarray(upright)[at] for at in ((12, 16), (36, 48)))
    assert low[1] < 60
    assert high[1] > 200


@pytest.mark.usefixtures("small")
def test_writing_twice_gives_the_same_bytes_and_tells_each_file(tmp_path: Path) -> None:
    told: list[Path] = []
    paths = write_sample_images(tmp_path / "new" / "photos", on_image=told.append)
    first = [path.read_bytes() for path in paths]
    assert told == paths
    assert len(paths) == 8
    (tmp_path / "new" / "photos" / ".hidden").write_text("let be")
    assert write_sample_images(tmp_path / "new" / "photos") == paths
    assert [path.read_bytes() for path in paths] == first


def test_another_seed_draws_other_pictures() -> None:
    sample = Sample("umbrella", 1)
    assert make_picture(sample, 1).tobytes() != make_picture(sample, 2).tobytes()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("inside", ["holiday.jpg", "daisy/mine.jpg", "daisy/daisy_01.png"])
def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path, inside: str) -> None:
    mine = tmp_path / inside
    mine.parent.mkdir(exist_ok=True)
    mine.write_bytes(b"mine")
    with pytest.raises(DatasetError, match=r"already holds .*choose another folder"):
        write_sample_images(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]


@pytest.mark.usefixtures("small")
def test_a_file_in_place_of_the_folder_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "photos").write_text("no folder")
    with pytest.raises(DatasetError, match="cannot be") as error:
        write_sample_images(tmp_path / "photos")
    assert "\n" not in str(error.value)
