"""`retrain serve` as a process, as users start it."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers import LIMIT, RETRAIN, heed_signals, wait_for


@dataclass
class Running:
    """A service, and where it is."""

    process: subprocess.Popen[bytes]
    address: str
    said: Path

    def ask(self, path: str, data: bytes | None = None, kind: str = "application/json") -> Any:
        request = urllib.request.Request(self.address + path, data, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return json.load(answer)

    def label(self, photo: bytes) -> Any:
        return self.ask("/label", photo, "image/png")

    def has_loaded(self, library: str) -> bool:
        """Whether a shared library whose name begins so is in its memory; for Linux."""
        return f"/{library}" in Path(f"/proc/{self.process.pid}/maps").read_text()


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Running]:
    said, printed = folder / "said.txt", folder / "printed.txt"
    with said.open("wb") as errors, printed.open("wb") as out:
        process = subprocess.Popen(
            [RETRAIN, "serve", "--port", "0", *options],
            cwd=folder,
            stdout=out,
            stderr=errors,
            preexec_fn=heed_signals,  # noqa: PLW1509
        )
    try:
        wait_for(lambda: printed.read_text() or process.poll() is not None, "its address")
        assert process.poll() is None, said.read_text()
        yield Running(process, printed.read_text().strip(), said)
    finally:
        process.kill()
        process.wait()
