"""The parsers of our own, what they read, and what they may say of something that is not that."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from fuzz.seeds import sound_images

_IDENTITY = {"name": "fake"}
_DIGEST = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Parser:
    """A parser.

    Attributes:
        name: of what it reads.
        seeds: sound inputs.
        parse: reads a file; what it raises is for `try_input` to judge.
    """

    name: str
    seeds: Callable[[], list[bytes]]
    parse: Callable[[Path], object]


def try_input(parser: Parser, data: bytes, folder: Path) -> str:
    """Have it read something; returns in one line what it said of it, or nothing.

    Raises:
        Exception: whatever is no error of this package with a message of one line.
    """
    from retrain_cli.errors import RetrainError

    path = folder / "input"
    path.write_bytes(data)
    try:
        parser.parse(path)
    except RetrainError as error:
        message = str(error)
        if not message or "\n" in message:
            raise AssertionError(f"no single line: {message!r}") from error
        return message
    return ""


def _jpegs() -> list[bytes]:
    return [data for name, data in sorted(sound_images().items()) if name.startswith("jpeg")]


def _some_images() -> list[bytes]:
    kinds = ("jpeg-mpo", "jpeg-exif", "png-RGB", "gif-animated", "tiff-pages", "webp-animated")
    images = [sound_images()[kind] for kind in kinds]
    return [*images, b"\0\n".join(images[:3]), b"".join(images)]


def _heifs() -> list[bytes]:
    return [data for name, data in sound_images().items() if name.startswith(("avif", "heic"))]


def _journals() -> list[bytes]:
    moves = [{"source": "/none/a.png", "target": "/none/b.png", "digest": _DIGEST, "copy": 7}]
    return [
        json.dumps({"finished": finished, "undoing": False, "moves": moves * count}).encode()
        for finished, count in ((True, 1), (False, 2))
    ]


def _scripts() -> list[bytes]:
    head = (
        f'# Moves\nroot "/none"\nquarantine "/none/q"\nmove "a/b.png" "c/d.png" {_DIGEST}  # why\n'
    )
    return [head.encode(), (head + f'# move e "quarantine:f" {_DIGEST}\n').encode()]


def _settings() -> list[bytes]:
    return [
        b'workspace = "w"\n[train]\nsteps = 40\nl2 = 1e-4\noptimizer = "adam"\n',
        b'[bottlenecks]\nbackbone = "vgg16"\n[study.examples]\nrepeats = 3\n',
    ]


@cache
def _databases() -> list[bytes]:
    import tempfile

    from retrain_cli.cache.store import BottleneckStore

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cache.sqlite")
        with BottleneckStore(path, _IDENTITY) as store:
            digests = [bytes([number]) * 16 for number in range(40)]
            store.put(digests, np.ones((40, 300), np.float32))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return [path.read_bytes()]


def _inspect_jpeg(path: Path) -> None:
    from retrain_cli.images.codecs.jpeg import essence, scans
    from retrain_cli.images.decode import check_image

    data = path.read_bytes()
    assert len(essence(data)) <= len(data)
    assert scans(data) >= 0
    check_image(data)


def _split(path: Path) -> None:
    """However the stream is cut into pieces, the same images come out of it."""
    from retrain_cli.images.streams.stream import Skipped, split_images

    data = path.read_bytes()
    whole: list[Skipped] = []
    found = list(split_images([data], whole.append))
    pieces: list[Skipped] = []
    step = 1 + len(data) // 7
    cut = [data[at : at + step] for at in range(0, len(data), step)]
    assert list(split_images(cut, pieces.append)) == found
    assert pieces == whole
    assert sum(map(len, found)) + sum(one.length for one in whole) <= len(data)


def _inspect_av1(path: Path) -> None:
    from retrain_cli.images.limits.av1 import coded_pixels

    pixels = coded_pixels(path.read_bytes())
    assert pixels is None or pixels >= 0


def _read_journal(path: Path) -> None:
    from retrain_cli.datasets.move_journal import Journal
    from retrain_cli.datasets.moving import way_back

    way_back(Journal.load(path))


def _read_script(path: Path) -> None:
    from retrain_cli.datasets.move_journal import plan_moves
    from retrain_cli.datasets.moves import read_script

    plan_moves(read_script(path), path.parent)


def _read_settings(path: Path) -> None:
    from retrain_cli.cli.settings import OuterSettings, SettingsFile

    OuterSettings(SettingsFile.read(path), {}).check(_root())


@cache
def _root() -> object:
    import typer.main

    from retrain_cli.cli.main import app

    return typer.main.get_command(app)


def _read_pages(path: Path) -> None:
    from retrain_cli.cache.sqlite_pages import Pages

    with Pages.open(path) as pages:
        for record in pages.records():
            assert all(isinstance(value, bytes | str | int) for value in record)


def _salvage(path: Path) -> None:
    from retrain_cli.backbones.digests import identity_fingerprint
    from retrain_cli.cache.salvage import salvage
    from retrain_cli.cache.store import BottleneckStore
    from retrain_cli.cache.verification import verify_store

    cache = path.with_name(f"damaged-{identity_fingerprint(_IDENTITY)}.sqlite")
    try:
        path.replace(cache)
        salvage(cache)
        with BottleneckStore(cache) as store:
            assert not verify_store(store).damaged
    finally:
        for left in path.parent.glob("damaged*"):
            left.unlink()


PARSERS = (
    Parser("JPEG headers", _jpegs, _inspect_jpeg),
    Parser("image streams", _some_images, _split),
    Parser("AV1 headers", _heifs, _inspect_av1),
    Parser("journal of moves", _journals, _read_journal),
    Parser("script of moves", _scripts, _read_script),
    Parser("retrain.toml", _settings, _read_settings),
    Parser("pages of SQLite", _databases, _read_pages),
    Parser("cache to be salvaged", _databases, _salvage),
)
