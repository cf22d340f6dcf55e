"""Writing the sample images: which file holds what, in which form, and where it may be put."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from PIL import ExifTags, Image

from retrain_cli.errors import DatasetError
from retrain_cli.samples.dice import Dice
from retrain_cli.samples.scenes import THINGS, render

IMAGES_PER_CLASS = 20
SEED = 7
QUALITY = 80
# how to turn an upright picture so that the viewer, who obeys the orientation tag, sees it upright
STORED_AS = {
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}


class Form(Enum):
    """The form that a picture is stored in; the value ends the file's name."""

    PHOTO = ".jpg"
    PNG = ".png"
    GREY = "_grey.jpg"
    TURNED = "_turned.jpg"
    BROKEN = "_broken.jpg"


@dataclass(frozen=True)
class Sample:
    """One file of the sample images.

    Attributes:
        label: its class, which is the folder's name.
        number: 1 to IMAGES_PER_CLASS.
        form: how it is stored.
        orientation: its EXIF orientation tag; 1 where it is stored upright, without a tag.
    """

    label: str
    number: int
    form: Form = Form.PHOTO
    orientation: int = 1

    @property
    def path(self) -> Path:
        """Where the file goes, relative to the folder of the samples."""
        return Path(self.label, f"{self.label}_{self.number:02d}{self.form.value}")


SPECIAL = [
    Sample("beach_ball", 3, Form.PNG),
    Sample("mushroom", 8, Form.PNG),
    Sample("rocket", 12, Form.PNG),
    Sample("sunflower", 17, Form.PNG),
    Sample("daisy", 16, Form.GREY),
    Sample("snowman", 7, Form.GREY),
    Sample("soccer_ball", 5, Form.GREY),
    Sample("umbrella", 11, Form.GREY),
    Sample("mushroom", 15, Form.TURNED, orientation=6),
    Sample("rocket", 9, Form.TURNED, orientation=8),
    Sample("sunflower", 6, Form.TURNED, orientation=3),
    Sample("umbrella", 4, Form.TURNED, orientation=6),
    Sample("snowman", 20, Form.BROKEN),
]


def list_samples() -> list[Sample]:
    """All samples in the order of their paths' classes and numbers."""
    special = {(sample.label, sample.number): sample for sample in SPECIAL}
    return [
        special.get((label, number), Sample(label, number))
        for label in sorted(THINGS)
        for number in range(1, IMAGES_PER_CLASS + 1)
    ]


def write_sample_images(
    folder: Path, seed: int = SEED, on_image: Callable[[Path], None] | None = None
) -> list[Path]:
    """Draw the sample images and write them, one sub-folder per class.

    The same seed gives the same pictures. One file, `*_broken.jpg`, is cut short on purpose.

    Args:
        folder: made where it does not exist; else empty, or holding nothing but earlier samples.
        seed: another one gives other pictures of the same classes.
        on_image: called with each file's path once it is written.

    Returns:
        The paths of the files, 8 classes x 20, sorted by class.

    Raises:
        DatasetError: the folder holds something else, or cannot be written.
    """
    samples = list_samples()
    try:
        _refuse_foreign_files(folder, samples)
        return _write_all(folder, samples, seed, on_image)
    except OSError as error:
        raise DatasetError(
            f"sample images need a folder that can be written; {folder} cannot be "
            f"({error.strerror or error}): choose another one"
        ) from error


def make_picture(sample: Sample, seed: int = SEED) -> Image.Image:
    """Draw one sample, upright and in RGB, before it is put into its form."""
    return Image.fromarray(render(THINGS[sample.label], _dice(sample, seed)))


def encode(picture: Image.Image, sample: Sample) -> bytes:
    """The file's bytes: the picture, upright RGB, put into the sample's form."""
    stored = picture.convert("L") if sample.form is Form.GREY else picture
    if sample.orientation in STORED_AS:
        stored = stored.transpose(STORED_AS[sample.orientation])
    target = io.BytesIO()
    if sample.form is Form.PNG:
        stored.save(target, "PNG", optimize=True)
        return target.getvalue()
    stored.save(target, "JPEG", quality=QUALITY, optimize=True, exif=_exif(sample.orientation))
    content = target.getvalue()
    return content[: len(content) * 2 // 5] if sample.form is Form.BROKEN else content


def _write_all(
    folder: Path, samples: list[Sample], seed: int, on_image: Callable[[Path], None] | None
) -> list[Path]:
    """Draw on every core (NumPy and Pillow let go of the interpreter), write in order."""
    paths = []
    pool = ThreadPoolExecutor()
    try:
        contents = pool.map(lambda sample: encode(make_picture(sample, seed), sample), samples)
        for sample, content in zip(samples, contents, strict=True):
            path = folder / sample.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            paths.append(path)
            if on_image:
                on_image(path)
    finally:
        pool.shutdown(cancel_futures=True)  # so that Ctrl-C need not wait for all the others
    return paths


def _refuse_foreign_files(folder: Path, samples: list[Sample]) -> None:
    """Raise DatasetError at the first visible file that is no sample."""
    own = {sample.path for sample in samples}
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if not hidden and not path.is_dir() and inside not in own:
            raise DatasetError(
                f"sample images go into a new or empty folder; {folder} already holds {inside}: "
                "choose another folder"
            )


def _dice(sample: Sample, seed: int) -> Dice:
    """Chance for this sample alone, so that no class or image changes another."""
    return Dice(seed, zlib.crc32(sample.label.encode()), sample.number)


def _exif(orientation: int) -> bytes:
    """The EXIF block that holds this orientation; empty for an upright picture."""
    if orientation == 1:
        return b""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif.tobytes()
