"""Shards of a WebDataset for the tests."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

Sample = dict[str, bytes]


def write_shard(path: Path, samples: dict[str, Sample]) -> None:
    """An archive as webdataset writes it: the files of a sample behind each other."""
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for key, files in samples.items():
            for kind, data in files.items():
                info = tarfile.TarInfo(f"{key}.{kind}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


def samples_of(photos: Path, number: int) -> dict[str, Sample]:
    """Every third photo of a folder; its class stands now in one kind of file, now in another."""
    found: dict[str, Sample] = {}
    for row, path in enumerate(sorted(photos.rglob("*.png"))[number::3]):
        name = path.parent.name
        label = [
            {"cls": name.encode()},
            {"json": json.dumps({"label": name, "width": 3}).encode(), "txt": b"a caption"},
            {"txt": f"{name}\n".encode()},
        ][row % 3]
        found[f"{name}/{path.stem}"] = {"png": path.read_bytes(), **label}
    return found
