"""`retrain demo`: the main job as a list of commands, on drawn photos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from retrain_cli.samples import list_samples, write_sample_images
from retrain_cli.samples.writer import SEED, encode, make_picture
from retrain_cli.workspace import Workspace

NEW_PHOTOS = ("daisy", "snowman", "umbrella")
_NEW_SEED = SEED + 1
"""Another seed draws other pictures of the same things: photos that the classifier never saw."""


@dataclass(frozen=True)
class DemoRequest:
    """What the demo works on.

    Attributes:
        folder: where the sample photos are, or will be drawn.
    """

    folder: Path = Path("sample_images")


@dataclass(frozen=True)
class DemoStep:
    """One command, as the user would type it, and what it is for."""

    purpose: str
    arguments: tuple[str, ...]


def prepare_samples(folder: Path, on_image: Callable[[Path], None]) -> bool:
    """Draw the sample images where they are not there yet.

    Returns:
        Whether they had to be drawn.

    Raises:
        DatasetError: the folder holds something else, or cannot be written.
    """
    if all((folder / sample.path).exists() for sample in list_samples()):
        return False
    write_sample_images(folder, on_image=on_image)
    return True


def draw_new_photos(workspace: Workspace) -> list[Path]:
    """Three photos that are in no split, kept in the workspace."""
    workspace.prepare()
    folder = workspace.root / "new_photos"
    folder.mkdir(exist_ok=True)
    firsts = {sample.label: sample for sample in reversed(list_samples())}
    paths = []
    for label in NEW_PHOTOS:
        sample = firsts[label]
        path = folder / f"{label}.jpg"
        path.write_bytes(encode(make_picture(sample, _NEW_SEED), sample))
        paths.append(path)
    return paths


def demo_steps(folder: Path, new_photos: list[Path]) -> list[DemoStep]:
    """The main job; this backbone's weights are installed with this package."""
    return [
        DemoStep(
            "What a network sees in each photo. Only new photos are computed.",
            ("bottlenecks", str(folder), "--backbone", "efficientnet_lite0"),
        ),
        DemoStep(
            "A new softmax layer on top of that; 30% of the photos are kept for the test.",
            ("train", "--steps", "2000", "--testing-percentage", "30"),
        ),
        DemoStep(
            "How good is it, for which classes, and what does it confuse?",
            ("eval", "--top5"),
        ),
        DemoStep(
            "Photos that it never saw.",
            ("label", *map(str, new_photos), "--top-k", "3"),
        ),
    ]
