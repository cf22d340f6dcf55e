"""A bundle is data that is checked, whatever somebody made of it on its way."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from retrain_cli.errors import ExportError
from retrain_cli.exporting.bundle_file import MANIFEST, read_manifest, unpack_bundle, write_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    for name in ("head.npz", "w.bin"):
        (tmp_path / name).write_bytes(name.encode() * 100)
    parts = {"head.npz": tmp_path / "head.npz", "weights/w.bin": tmp_path / "w.bin"}
    write_bundle(tmp_path / "x.retrain", {"run": "base"}, parts)
    return tmp_path / "x.retrain"


def rewritten(bundle: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    with zipfile.ZipFile(bundle) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(bundle, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return bundle


def without(parts: dict[str, bytes], name: str) -> None:
    del parts[name]


def listed(parts: dict[str, bytes], name: str, **entry: object) -> None:
    manifest = json.loads(parts[MANIFEST])
    manifest["files"][name] = {"bytes": 1, "digest": "0" * 32} | entry
    parts[MANIFEST] = json.dumps(manifest).encode()
    parts[name] = b"x"


def test_what_goes_in_comes_out(bundle: Path, tmp_path: Path) -> None:
    manifest = unpack_bundle(bundle, tmp_path / "out")
    assert manifest.facts == {"run": "base"}
    assert (tmp_path / "out/weights/w.bin").read_bytes() == b"w.bin" * 100


def test_the_same_parts_give_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    parts = {"head.npz": tmp_path / "head.npz", "weights/w.bin": tmp_path / "w.bin"}
    write_bundle(tmp_path / "y.retrain", {"run": "base"}, parts)
    assert (tmp_path / "y.retrain").read_bytes() == bundle.read_bytes()


CHANGES: dict[str, Callable[[dict[str, bytes]], None]] = {
    "another digest": lambda parts: parts.update({"head.npz": b"HEAD.npz" * 100}),
    "another size": lambda parts: parts.update({"head.npz": b"short"}),
    "a part is gone": lambda parts: without(parts, "head.npz"),
    "a part too many": lambda parts: parts.update({"more.npz": b""}),
    "out of the folder": lambda parts: listed(parts, "../evil"),
    "an absolute path": lambda parts: listed(parts, "/tmp/evil"),
    "a folder of its own": lambda parts: listed(parts, "lib/evil.py"),
    "dots inside": lambda parts: listed(parts, "weights/..evil"),
    "bytes below none": lambda parts: listed(parts, "a", bytes=-1),
    "bytes that are none": lambda parts: listed(parts, "a", bytes="many"),
    "no list": lambda parts: without(parts, MANIFEST),
    "no JSON": lambda parts: parts.update({MANIFEST: b"{"}),
    "nested": lambda parts: parts.update({MANIFEST: b"[" * 100_000}),
    "a list": lambda parts: parts.update({MANIFEST: b"[]"}),
    "newer": lambda parts: parts.update({MANIFEST: b'{"format": 2, "files": {}}'}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_bundle_is_refused(name: str, bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"x\.retrain should be a bundle"):
        unpack_bundle(rewritten(bundle, CHANGES[name]), tmp_path / "out")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("cut", [0, 10, 0.5, 0.99])
def test_a_cut_bundle_is_refused(cut: float, bundle: Path, tmp_path: Path) -> None:
    data = bundle.read_bytes()
    bundle.write_bytes(data[: int(cut if cut >= 1 else cut * len(data))])
    with pytest.raises(ExportError, match="should be a bundle"):
        unpack_bundle(bundle, tmp_path / "out")


def test_every_flipped_byte_is_seen_or_harmless(bundle: Path, tmp_path: Path) -> None:
    data = bundle.read_bytes()
    for place in range(0, len(data), 7):
        bundle.write_bytes(data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :])
        try:
            unpack_bundle(bundle, tmp_path / f"out{place}")
        except ExportError:
            continue
        assert (tmp_path / f"out{place}/head.npz").read_bytes() == b"head.npz" * 100


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="is not: make one with `retrain bundle`"):
        read_manifest(tmp_path / "no.retrain")
    with pytest.raises(ExportError, match="should be a bundle"):
        read_manifest(tmp_path)
