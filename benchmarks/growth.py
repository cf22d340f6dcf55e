"""How time and memory of every phase grow with images and with classes: curves and a figure."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import synthetic
from benchmarks.fresh import Point, measure_phase
from benchmarks.phases import CLASSES, IMAGES

OF_IMAGES = ("fill", "warm", "label", "write", "read", "train", "evaluate")
OF_CLASSES = ("train-classes", "evaluate-classes")
_TITLES = {
    "fill": "first run: read, hash, decode, write",
    "warm": "warm run",
    "label": "labelling of new photos",
    "write": "cache, written",
    "read": "cache, read",
    "train": "300 training steps",
    "evaluate": "evaluation",
    "train-classes": "300 training steps",
    "evaluate-classes": "evaluation",
}


@dataclass(frozen=True)
class Sizes:
    """What is measured: so many images at 100 classes, so many classes at 20,000 images."""

    images: tuple[int, ...] = (1000, 3000, 10_000, 30_000, 100_000, 200_000)
    classes: tuple[int, ...] = (10, 30, 100, 300, 1000, 3000, 10_000)


_QUICK = Sizes(images=(200, 500), classes=(10, 30))


def measure(quick: bool, repeats: int, figure: Path | None) -> list[dict[str, Any]]:
    """Measure every phase at every size, print each point, draw the figure where one is wanted."""
    points = []
    for point in _points(_QUICK if quick else Sizes(), repeats):
        print(
            f"{point.phase} {point.size:,}: {point.seconds:.3f} s, "
            f"{point.peak_megabytes:,.0f} MB at the peak",
            flush=True,
        )
        points.append(point)
    if figure is not None:
        draw(points, figure)
    return [asdict(point) for point in points]


def _points(sizes: Sizes, repeats: int) -> Iterator[Point]:
    for size in sizes.images:
        with tempfile.TemporaryDirectory() as folder:
            synthetic.write_photos(Path(folder, f"photos-{size}"), size)
            synthetic.train_labeller(Path(folder, "known"), Path(folder, "labeller"))
            yield from _of_images(size, repeats, Path(folder))
    for size in sizes.classes:
        for phase in OF_CLASSES:
            yield measure_phase(phase, size, repeats)


def _of_images(size: int, repeats: int, folder: Path) -> Iterator[Point]:
    for phase in OF_IMAGES:
        if phase == "fill":
            yield _median_of_first_runs(size, repeats, folder)
        else:
            yield measure_phase(phase, size, repeats, str(folder))


def _median_of_first_runs(size: int, repeats: int, folder: Path) -> Point:
    """A first run needs a new workspace each time; the last one stays for the warm runs."""
    points = []
    for _ in range(repeats):
        shutil.rmtree(folder / f"workspace-{size}", ignore_errors=True)
        points.append(measure_phase("fill", size, 1, str(folder)))
    seconds = float(np.median([point.seconds for point in points]))
    return Point("fill", size, seconds, float(np.median([p.peak_megabytes for p in points])))


def draw(points: Sequence[Point], path: Path) -> None:
    """Time and memory against images and against classes, on logarithmic scales."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # Without a date and with fixed names inside, the same points make the same file.
    with mpl.rc_context({"svg.hashsalt": "retrain", "svg.fonttype": "none"}):
        figure = Figure(figsize=(11, 8), layout="constrained")
        axes = figure.subplots(2, 2)
        columns = (
            (OF_IMAGES, f"images ({CLASSES} classes)"),
            (OF_CLASSES, f"classes ({IMAGES:,} images)"),
        )
        for column, (phases, label) in enumerate(columns):
            for phase in phases:
                own = sorted((p for p in points if p.phase == phase), key=lambda p: p.size)
                sizes = [p.size for p in own]
                style = {"marker": "o", "label": _TITLES[phase]}
                axes[0, column].plot(sizes, [p.seconds for p in own], **style)
                axes[1, column].plot(sizes, [p.peak_megabytes for p in own], **style)
            for row, what in enumerate(("seconds", "peak memory, MB")):
                _label(axes[row, column], label, what)
            # Once for both, above them: inside it would lie on the lines.
            axes[0, column].legend(
                frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0.0, 1.0)
            )
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(path, metadata=metadata, dpi=100)


def _label(axes: Any, across: str, up: str) -> None:
    axes.set(xscale="log", yscale="log", xlabel=across, ylabel=up)
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
