"""Pieces that tests share: a backbone without an engine, and photos without a camera."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrain_cli.backbones.spec import BackboneSpec

PROJECT = Path(__file__).resolve().parent.parent

SMALL_SPEC = BackboneSpec(
    name="mobilenet", weights="random", input_size=32, precision="float32", runtime="keras"
)
"""A backbone of the table whose input is the fake one's."""


RETRAIN = Path(sys.executable).with_name("retrain")
_SMALLEST = ("--backbone", "mobilenet", "--alpha", "0.25", "--input-size", "32")
_NO_WEIGHTS = ("--weights", "random")
TINY = (*_SMALLEST, *_NO_WEIGHTS, "--runtime", "openvino")
"""A real backbone that computes fast; what it computes means nothing.

Once it is converted it loads without TensorFlow, which takes longer than most tests.
"""
TINY_IN_KERAS = (*_SMALLEST, *_NO_WEIGHTS, "--runtime", "keras")
"""The same, by the other way."""
QUICK_HEAD = ("--optimizer", "lbfgs", "--steps", "20")
"""Options of a training that needs no TensorFlow, where another one would do as well."""


T = TypeVar("T")


LIMIT = 300.0
"""Seconds after which something is wrong, however busy the machine."""


def wait_for(condition: Callable[[], T], what: str, limit: float = LIMIT) -> T:
    """What `condition` gives, as soon as that is true.

    Tests sleep here and in `wait_beside` alone.

    Args:
        condition: looks at something that can be seen: a line, a file, a row.
        what: is waited for, in words, for the failure.
        limit: seconds; generous, for a busy machine is slow, not wrong.
    """
    deadline = time.monotonic() + limit
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {limit:g} s in vain for {what}"
        time.sleep(0.02)
    return value


async def wait_beside(condition: Callable[[], object], what: str, limit: float = LIMIT) -> None:
    """As `wait_for`, beside the other tasks of an event loop."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"waited {limit:g} s in vain for {what}"
        await asyncio.sleep(0.01)


def heed_signals() -> None:
    """A test-suite that runs in the background, or under nohup, hands down what is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def refused(self, code: int = 3) -> str:
        """The one line of the error; fails where there is more than that, or another exit code."""
        assert self.code == code, (self.code, self.out, self.err)
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        return lines[0]


class FakeBackbone:
    """A few fixed random projections of an 8 x 8 thumbnail: 32 numbers, no engine, no weights."""

    width = 32
    input_size = (32, 32)
    device = "cpu:0"
    any_batch_size = False
    batches_at_once = 1

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        self._projection = generator.normal(size=(8 * 8 * 3, self.width)).astype(np.float32)
        self.images_seen = 0

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        count = len(images)
        self.images_seen += count
        blocks = images.reshape(count, 8, 4, 8, 4, 3).mean(axis=(2, 4)).reshape(count, -1)
        return np.asarray(np.maximum((blocks / 127.5 - 1.0) @ self._projection, 0), np.float32)


def make_photos(
    root: Path, classes: dict[str, int], size: tuple[int, int] = (40, 30), seed: int = 0
) -> Path:
    """A tree of small photos: each class has a colour of its own, each photo its own noise."""
    generator = np.random.default_rng(seed)
    for number, (name, count) in enumerate(classes.items()):
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        colour = np.random.default_rng(1000 + number).integers(40, 216, 3)
        for photo in range(count):
            noise = generator.integers(-40, 40, (size[1], size[0], 3))
            pixels = np.clip(colour + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{photo:04}.png")
    return root


def load_tool(name: str) -> ModuleType:
    """A program of tools/ as a module."""
    path = PROJECT / "tools" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module
