"""Keywords come into a photo, and nothing else of it changes."""

from __future__ import annotations

import io
import os
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageSequence
from PIL.PngImagePlugin import PngInfo
from watched_folders import files_below

from retrain_cli.errors import ImageError, MissingExtraError
from retrain_cli.workflows.label import Label, LabelledImage
from retrain_cli.workflows.watching import xmp_tagger, xmp_writing
from retrain_cli.workflows.watching.xmp_tagger import PhotoChangedError, XmpTagger, sidecar_of

exiv2: Any = pytest.importorskip("exiv2")
Watch = Callable[..., dict[str, str | None]]
CARRY: dict[str, dict[str, Any]] = {
    "jpg": {"quality": 90, "progressive": True, "comment": b"a comment"},
    "png": {},
    "webp": {"lossless": True},
    "tif": {},
}
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
BESIDE = ("gif", "bmp", "avif", "ppm")


@pytest.fixture(scope="module")
def tagger() -> Iterator[XmpTagger]:
    with XmpTagger("flowers") as made:
        yield made


def make_photo(path: Path, frames: int = 1, **options: Any) -> Path:
    """A photo with EXIF, an ICC profile and, for PNG, a text."""
    generator = np.random.default_rng(0)
    images = [
        Image.fromarray(generator.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        for _ in range(frames)
    ]
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x8298] = "a camera", 6, "© somebody"
    exif.get_ifd(0x8769)[0x9003] = "2026:11:20 18:53:01"
    if path.suffix in (".jpg", ".png", ".webp", ".tif", ".avif"):
        options |= {"exif": exif.tobytes(), "icc_profile": PROFILE}
    if path.suffix == ".png":
        text = PngInfo()
        text.add_text("Title", "a flower")
        options["pnginfo"] = text
    if frames > 1:
        options |= {"save_all": True, "append_images": images[1:]}
    images[0].save(path, **options)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    path.chmod(0o640)
    return path


def answer(photo: Path, *labels: tuple[str, float]) -> LabelledImage:
    return LabelledImage(str(photo), tuple(Label(*label) for label in labels))


def write(tagger: XmpTagger, photo: Path, *labels: tuple[str, float]) -> Path | None:
    return tagger.tag(answer(photo, *labels), lambda path: True)


def change(path: Path, **properties: Any) -> None:
    """Change properties as another program would: a list is an unordered one of XMP."""
    image = exiv2.ImageFactory.open(path.read_bytes())
    image.readMetadata()
    for key, value in properties.items():
        is_list = isinstance(value, list)
        written = exiv2.XmpArrayValue(value, exiv2.TypeId.xmpBag) if is_list else value
        image.xmpData()[key.replace("_", ".")] = written
    image.writeMetadata()
    with image.io().mmap() as data:
        path.write_bytes(bytes(data))


def properties(path: Path) -> dict[str, list[str]]:
    """All that XMP says of a file, by its raw text."""
    image = exiv2.ImageFactory.open(path.read_bytes())
    image.readMetadata()
    found: dict[str, list[str]] = {}
    rdf = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
    for description in ET.fromstring(image.xmpPacket().strip("\ufeff \n")).iter(
        f"{rdf}Description"
    ):
        for name, value in description.attrib.items():
            if name != f"{rdf}about":
                found[name.rpartition("}")[2]] = [value]
        for one in description:
            items = [item.text or "" for item in one.iter(f"{rdf}li")]
            found[one.tag.rpartition("}")[2]] = items or [one.text or ""]
    return found


def others(path: Path) -> dict[str, Any]:
    """Whatever a photo holds but XMP: pixels of all frames, EXIF, profile, texts, time, rights."""
    data = path.read_bytes()
    image = exiv2.ImageFactory.open(data)
    image.readMetadata()
    with Image.open(io.BytesIO(data)) as opened:
        frames = [np.asarray(frame).tolist() for frame in ImageSequence.Iterator(opened)]
        kept = {key: opened.info.get(key) for key in ("icc_profile", "Title", "dpi")}
        kept["comment"] = opened.info.get("comment", b"").rstrip(b"\0")  # Exiv2 ends it so
        exif = {tag: str(value) for tag, value in opened.getexif().items()}
    status = path.stat()
    tags = {datum.key(): str(datum.value()) for datum in image.exifData()}
    layout = ("StripOffsets", "TileOffsets", "ExifTag", "XMLPacket", "ImageResources")
    return {
        "frames": frames,
        "info": kept,
        "exif": {key: value for key, value in exif.items() if key not in (273, 700, 34665)},
        "tags": {key: value for key, value in tags.items() if not key.endswith(layout)},
        "status": (status.st_mtime_ns, status.st_mode, status.st_uid),
    }


@pytest.mark.parametrize(
    ("suffix", "frames"), [*((suffix, 1) for suffix in CARRY), ("png", 3), ("webp", 3), ("tif", 3)]
)
def test_nothing_but_xmp_changes(
    tagger: XmpTagger, tmp_path: Path, suffix: str, frames: int
) -> None:
    photo = make_photo(tmp_path / f"a.{suffix}", frames, **CARRY[suffix])
    before = others(photo)
    assert before["tags"]
    assert write(tagger, photo, ("daisy", 0.87654), ("a, b", 0.1)) is None
    assert others(photo) == before
    assert properties(photo) == {
        "subject": ["daisy", "a, b"],
        "Keywords": ["daisy", "a, b"],
        "Scores": ["0.8765 daisy", "0.1000 a, b"],
        "Model": ["flowers"],
    }
    assert [path.name for path in tmp_path.iterdir()] == [photo.name]
    assert tagger.knows(photo)


def test_further_pictures_of_a_jpeg_stay_where_its_table_says(
    tagger: XmpTagger, tmp_path: Path
) -> None:
    photo = make_photo(tmp_path / "a.mpo", 3)
    photo = photo.rename(tmp_path / "a.jpg")
    before = others(photo)
    assert len(before["frames"]) == 3
    write(tagger, photo, ("daisy", 0.5))
    assert others(photo) == before


def test_image_data_that_would_change_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        xmp_tagger,
        "_PROGRAM",
        "import sys; sys.path[:] = {path!r}\n"
        "from retrain_cli.workflows.watching import xmp_writing\n"
        "xmp_writing._same_pixels = lambda *_: False\n"
        "xmp_writing.main()",
    )
    photo = make_photo(tmp_path / "a.jpg")
    before = photo.read_bytes()
    with XmpTagger("flowers") as tagger:
        assert write(tagger, photo, ("daisy", 0.5)) == sidecar_of(photo)
    assert photo.read_bytes() == before
    assert properties(sidecar_of(photo))["subject"] == ["daisy"]


def test_image_data_is_told_from_other_data(tmp_path: Path) -> None:
    jpeg = make_photo(tmp_path / "a.jpg", **CARRY["jpg"]).read_bytes()
    png = make_photo(tmp_path / "a.png").read_bytes()
    Image.effect_noise((40, 30), 50).convert("RGB").save(tmp_path / "b.png")
    other = (tmp_path / "b.png").read_bytes()
    assert xmp_writing._same_pixels("image/jpeg", jpeg, jpeg[:2] + b"\xff\xfe\0\4hi" + jpeg[2:])
    assert not xmp_writing._same_pixels("image/jpeg", jpeg, jpeg[:-3] + b"\0\xff\xd9")
    assert xmp_writing._same_pixels("image/png", png, png)
    assert not xmp_writing._same_pixels("image/png", png, other)


@pytest.mark.parametrize("suffix", BESIDE)
def test_what_cannot_carry_xmp_gets_a_file_beside_it(
    tagger: XmpTagger, tmp_path: Path, suffix: str
) -> None:
    photo = make_photo(tmp_path / f"a.{suffix}")
    before = photo.read_bytes()
    beside = write(tagger, photo, ("daisy", 0.5))
    assert beside == tmp_path / f"a.{suffix}.xmp"
    assert photo.read_bytes() == before
    assert properties(beside)["subject"] == ["daisy"]
    assert tagger.knows(photo)


def test_keywords_of_others_stay_and_ours_are_replaced(tagger: XmpTagger, tmp_path: Path) -> None:
    photo = make_photo(tmp_path / "a.jpg")
    change(
        photo, Xmp_dc_subject=["holiday", "daisy"], Xmp_xmp_Rating="4",
        Xmp_lr_hierarchicalSubject=["trips|holiday"],
    )  # fmt: skip
    write(tagger, photo, ("daisy", 0.9), ("rose", 0.05))
    found = properties(photo)
    assert found["subject"] == ["holiday", "daisy", "rose"]
    assert found["Keywords"] == ["rose"]  # daisy is theirs
    assert found["hierarchicalSubject"] == ["trips|holiday", "daisy", "rose"]
    assert found["Rating"] == ["4"]
    write(tagger, photo, ("tulip", 0.7))
    assert properties(photo)["subject"] == ["holiday", "daisy", "tulip"]
    write(tagger, photo)
    found = properties(photo)
    assert found["subject"] == ["holiday", "daisy"]
    assert "Keywords" not in found
    assert "Scores" not in found


def test_what_is_as_it_should_be_is_not_written(tagger: XmpTagger, tmp_path: Path) -> None:
    for name in ("a.jpg", "a.gif"):
        photo = make_photo(tmp_path / name)
        written = write(tagger, photo, ("daisy", 0.5)) or photo
        before = written.stat()
        write(tagger, photo, ("daisy", 0.5))
        assert written.stat().st_ino == before.st_ino
        write(tagger, photo, ("daisy", 0.6))
        assert written.stat().st_ino != before.st_ino


def test_a_file_beside_a_photo_is_where_its_keywords_are(tagger: XmpTagger, tmp_path: Path) -> None:
    """As darktable and digiKam leave it: they read that one, and it has their edits."""
    photo = make_photo(tmp_path / "a.jpg")
    before = photo.read_bytes()
    with XmpTagger("other", beside=True) as other:
        beside = write(other, photo, ("daisy", 0.5))
    assert beside is not None
    change(beside, Xmp_xmp_Rating="5")
    write(tagger, photo, ("rose", 0.5))
    assert properties(beside)["subject"] == ["rose"]
    assert properties(beside)["Rating"] == ["5"]
    assert photo.read_bytes() == before
    beside.write_text("<no XMP")
    with pytest.raises(ImageError):
        write(tagger, photo, ("daisy", 0.5))
    assert beside.read_text() == "<no XMP"


def test_damaged_xmp_is_not_overwritten(tagger: XmpTagger, tmp_path: Path) -> None:
    photo = make_photo(tmp_path / "a.jpg")
    change(photo, Xmp_dc_subject=["holiday"])
    damaged = photo.read_bytes().replace(b"<rdf:Bag>", b"<rdf:Bug>")
    photo.write_bytes(damaged)
    assert write(tagger, photo, ("daisy", 0.5)) == sidecar_of(photo)
    assert photo.read_bytes() == damaged


def test_a_photo_that_changed_is_not_replaced(tagger: XmpTagger, tmp_path: Path) -> None:
    photo = make_photo(tmp_path / "a.jpg")
    before = photo.read_bytes()
    with pytest.raises(PhotoChangedError):
        tagger.tag(answer(photo, ("daisy", 0.5)), lambda path: False)
    assert files_below(tmp_path) == {"a.jpg": before}


def test_a_link_is_no_photo_to_write_to(tagger: XmpTagger, tmp_path: Path) -> None:
    photo = make_photo(tmp_path / "a.jpg")
    before = photo.read_bytes()
    link = tmp_path / "link.jpg"
    link.symlink_to(photo)
    assert write(tagger, link, ("daisy", 0.5)) == tmp_path / "link.jpg.xmp"
    assert link.is_symlink()
    assert photo.read_bytes() == before


def test_a_library_that_crashes_takes_nothing_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        xmp_tagger,
        "_PROGRAM",
        "import sys; sys.path[:] = {path!r}\n"
        "from retrain_cli.workflows.watching import xmp_writing as w\n"
        "answer = w._answer\n"
        "w._answer = lambda **q: w.sys.exit(9) if 'bad' in q['source'] else answer(**q)\n"
        "w.main()",
    )
    bad, good = make_photo(tmp_path / "bad.jpg"), make_photo(tmp_path / "good.jpg")
    before = bad.read_bytes()
    with XmpTagger("flowers") as tagger:
        with pytest.raises(ImageError, match="crashed"):
            tagger._ask(bad, None, answer(bad, ("daisy", 0.5)))
        assert write(tagger, good, ("daisy", 0.5)) is None
    assert bad.read_bytes() == before
    assert properties(good)["subject"] == ["daisy"]


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"retrain-cli\[xmp\]"):
        XmpTagger("flowers")


@pytest.mark.parametrize("tags", ["xmp", "sidecar"])
def test_an_album_of_tagged_photos(watch: Watch, inbox: Path, album: Path, tags: str) -> None:
    Image.open(inbox / "c.png").save(inbox / "d.bmp")
    watch(album, tags=tags)
    assert files_below(inbox) == {}
    found = files_below(album)
    beside = {name for name in found if name.endswith(".xmp")}
    photos = found.keys() - beside
    assert beside == (
        {f"{name}.xmp" for name in photos} if tags == "sidecar" else {"bee/d.bmp.xmp"}
    )
    for name in photos:
        tagged = album / (f"{name}.xmp" if f"{name}.xmp" in beside else name)
        assert properties(tagged)["subject"] == [name.partition("/")[0]]


def test_a_file_beside_a_photo_keeps_to_its_photo(watch: Watch, inbox: Path, album: Path) -> None:
    """The place of its name is taken by that of somebody else: both get a number."""
    (album / "ant").mkdir(parents=True)
    (album / "ant" / "a.png.xmp").write_text("of somebody else")
    watch(album, tags="sidecar")
    assert properties(album / "ant" / "a-2.png.xmp")["subject"] == ["ant"]
    assert (album / "ant" / "a.png.xmp").read_text() == "of somebody else"
    assert not (album / "ant" / "a.png").exists()


def test_tagged_photos_that_stay_are_labelled_once(
    watcher: Callable[..., Any], inbox: Path
) -> None:
    def names() -> list[str]:
        with watcher(tags="xmp") as watching:
            return [Path(photo.image.path).name for photo in watching.photos()]

    assert sorted(names()) == ["a.png", "b.png", "c.png"]
    assert names() == []
