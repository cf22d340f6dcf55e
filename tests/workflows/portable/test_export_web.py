"""A page that labels photos in the browser: what is written, and that it answers as the run."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from browser import is_within_its_width, keep_picture, visit_server
from export_lab import ExportLab
from PIL import Image

from retrain_cli.errors import ExportError
from retrain_cli.exporting.runners.exported_model import open_exported
from retrain_cli.exporting.writers import web_runtime as module


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> ExportLab:
    return ExportLab(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive in the current folder, of small files, which takes the place of the known one."""
    path = tmp_path / module.ARCHIVE
    with tarfile.open(path, "w:gz") as opened:
        for place in [*module.RUNTIME_FILES.values(), "package/dist/other.js"]:
            content = place.encode()
            entry = tarfile.TarInfo(place)
            entry.size = len(content)
            opened.addfile(entry, io.BytesIO(content))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "URL", "http://127.0.0.1:1/nothing.tgz")
    monkeypatch.setattr(module, "SHA512", hashlib.sha512(path.read_bytes()).hexdigest())
    return path


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def files_at_a_port(folder: Path) -> Iterator[str]:
    """Where an ordinary server of files answers."""
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def odd_photos(lab: ExportLab, folder: Path) -> list[Path]:
    """One as it is, one turned by its metadata, one of 17 million pixels, a transparent one."""
    names = ["plain.png", "turned.jpg", "large.png", "clear.png"]
    plain, turned, large, clear = paths = [folder / name for name in names]
    photo = Image.open(lab.photos / "bee/0000.png")
    photo.save(plain)
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.rotate(90, expand=True).save(turned, exif=exif, quality=95)
    photo.resize((4200, 4000), Image.Resampling.BICUBIC).save(large, compress_level=1)
    half = photo.convert("RGBA")
    half.putalpha(128)
    half.save(clear)
    return paths


def test_it_answers_in_a_browser_as_the_run_does(lab: ExportLab, tmp_path: Path) -> None:
    try:
        (page_file,) = lab.export("page", format="web", quantise="float16").files
    except ExportError as error:
        if "cannot be fetched" not in str(error):
            raise
        pytest.skip(str(error))
    photos = odd_photos(lab, tmp_path)
    model = open_exported(page_file.path)
    note = tmp_path / "note.jpg"
    note.write_text("hello")
    with files_at_a_port(page_file.path) as address, visit_server(address) as visited:
        page = visited.page
        page.get_by_text("base: 2 classes").wait_for()
        page.get_by_label("Choose photos").set_input_files([*photos, note])
        page.get_by_text("5 photos labelled.").wait_for()
        keep_picture(page, "web.png")
        assert is_within_its_width(page)
        page.get_by_role("heading", name="This browser cannot read the photo.").wait_for()
        for photo in photos:
            expected = dict(zip(("ant", "bee"), model.from_photo(photo.read_bytes()), strict=True))
            place = page.get_by_role("listitem").filter(has=page.get_by_alt_text(photo.name)).first
            shown = [one.split("\n") for one in place.locator(".line").all_inner_texts()]
            scores = {label: float(score.removesuffix(" %")) / 100 for label, score in shown}
            assert scores == pytest.approx(expected, abs=0.02), photo.name


def test_what_is_written_needs_no_network_where_the_archive_lies_here(
    lab: ExportLab, archive: Path
) -> None:
    done = lab.export("here", format="web")
    (one,) = done.files
    done.check()
    written = {str(path.relative_to(one.path)) for path in one.path.rglob("*") if path.is_file()}
    page = {"index.html", "classify.js", "photos.js", "page.css", "model.onnx", "retrain.json"}
    assert written == page | {f"runtime/{name}" for name in module.RUNTIME_FILES}
    for name, place in module.RUNTIME_FILES.items():
        assert (one.path / "runtime" / name).read_text() == place
    assert "serve_forever" in (done.folder / "example_web.py").read_text()
    assert "web server" in (done.folder / "model_card.md").read_text()


def test_another_archive_is_refused(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes() + b"more")
    with pytest.raises(ExportError, match="and has another: remove it"):
        module.web_runtime()


def test_what_to_do_without_a_network(archive: Path) -> None:
    archive.unlink()
    with pytest.raises(ExportError, match=f"put {module.ARCHIVE} into {archive.parent}"):
        module.web_runtime()
