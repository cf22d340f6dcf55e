"""How far heatmaps are to be trusted: deletion, insertion and planted photos, on test photos.

    python tools/measure_heatmaps.py --workspace 'TITLE=FOLDER' ... --results FILE [--page PAGE]

Deletion and insertion are those of V. Petsiuk, A. Das and K. Saenko, "RISE: randomized input
sampling for explanation of black-box models", 2018: the pixels of a photo are greyed out, or put
into the blurred photo, those with the most heat first, and the mean probability of the class on the
way is taken. A map is good whose insertion is high and whose deletion is low. In the pointing game
a small photo of one class is planted on a photo of another one: does the hottest pixel for the
planted class lie in it? Every map is compared with a mere blob in the middle of the photo, photo by
photo. Finished photos are kept in the results file, so that the tool goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pages import write_between
from PIL import Image, ImageFilter
from scipy.stats import t as student

from retrain_cli.backbones.loader import load_backbone, loader_of
from retrain_cli.explaining.heatmap import Method
from retrain_cli.explaining.slopes import slopes_of
from retrain_cli.images.decode import decode_image
from retrain_cli.images.placement import Placement
from retrain_cli.images.resizing import LETTERBOX_GREY
from retrain_cli.runs.run import Run, RunStore
from retrain_cli.workflows.explaining.heatmap_makers import Asked, enlarged, maker_of
from retrain_cli.workflows.label import backbone_of
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workspace import Workspace

METHODS: tuple[Method, ...] = ("cam", "layercam", "fused", "occlusion")
RANDOM, BLOB = "random", "centre blob"
MAPS = (*METHODS, RANDOM, BLOB)
STEPS = 10
BLUR = 0.045
"""Of the side: the deviation of the blur that insertion begins with; 10 of 224 pixels."""
FEWEST = 30
PLANTED = 0.4
"""Of the side: how large a planted photo is."""

Pixels = NDArray[np.uint8]
Heat = NDArray[np.float32]


class Lab:
    """A run, its test photos, and everything that makes heatmaps of them."""

    def __init__(self, folder: Path, seed: int, *, gradients: bool = True) -> None:
        workspace = Workspace(folder)
        self.run: Run = RunStore(workspace.runs_dir).get()
        self.spec = backbone_of(self.run)
        self.head = self.run.head
        self.photos = LastUsed.load(workspace).image_dir
        self.backbone = load_backbone(self.spec, "cpu", workspace.models_dir)
        plain = loader_of(workspace)
        asked: tuple[Method, ...] = ("cam", "occlusion", *(("layercam",) if gradients else ()))
        self._makers: dict[str, Any] = {
            method: maker_of(method, None, self.head, workspace, plain) for method in asked
        }
        self._backbones = {
            method: maker.load(self.spec, "cpu") for method, maker in self._makers.items()
        }
        self._generator = np.random.default_rng(seed)
        rows = self.run.predictions.rows("test")
        self._rows = self._generator.permutation(rows)

    def path(self, number: int) -> Path:
        """The path of a test photo."""
        row = self._rows[number % len(self._rows)]
        return Path(self.photos, self.run.predictions.images.paths[row])

    def label(self, number: int) -> int:
        """Its true class."""
        return int(self.run.predictions.images.labels[self._rows[number % len(self._rows)]])

    def read(self, number: int) -> Pixels:
        """A test photo as the network sees it."""
        size = self.backbone.input_size
        return decode_image(self.path(number).read_bytes(), size, self.spec.resize_rule)

    def scores(self, images: Pixels, class_: int) -> NDArray[np.float32]:
        """Probability of a class, of each image."""
        return self.head.probabilities(self.backbone(images))[:, class_]

    def heats(self, image: Pixels, class_: int) -> dict[str, Heat]:
        """The heat of each pixel, by each map."""
        side = image.shape[0]
        grids: dict[str, NDArray[np.float64]] = {
            method: self._grid(method, image, class_) for method in self._makers
        }
        if "layercam" in grids:
            coarse = enlarged(grids["cam"][np.newaxis], grids["layercam"].shape)[0]
            grids["fused"] = grids["layercam"] * np.maximum(coarse, 0)  # without another gradient
        grids[RANDOM] = self._generator.random((7, 7))
        square = Placement((side, side), (0, 0, side, side))
        heats: dict[str, Heat] = {
            name: square.drawn(grid, (side, side)) for name, grid in grids.items()
        }
        away = (np.arange(side) + 0.5) / side - 0.5
        heats[BLOB] = np.exp(-(away[:, None] ** 2 + away[None] ** 2) / (2 * 0.25**2))
        return heats

    def _grid(self, method: str, image: Pixels, class_: int) -> NDArray[np.float64]:
        maker = self._makers[method]
        rows = self._backbones[method](image[np.newaxis])
        classes = np.array([class_])
        slopes = slopes_of(self.head, maker.vectors(rows), classes)
        found: NDArray[np.float64] = maker.grids(rows, Asked(classes, None, slopes))[0][1][0]
        return found


def main() -> None:
    """Measure what is missing, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", action="append", required=True, help="'TITLE=FOLDER'")
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so many")
    parser.add_argument(
        "--without-gradients", action="store_true", help="leave out layercam and fused"
    )
    parser.add_argument("--results", type=Path, required=True, help="finished photos")
    parser.add_argument("--page", type=Path, help="write the tables into this page")
    arguments = parser.parse_args()
    path: Path = arguments.results
    done: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    end = time.monotonic() + arguments.seconds
    places = dict(one.split("=", 1) for one in arguments.workspace)
    for title, folder in places.items():
        _measure(title, Path(folder), arguments, done, end)
        path.write_text(json.dumps(done))
    text = tables(done, list(places))
    if arguments.page is None:
        print(text)
    else:
        write_between(arguments.page, "<!-- faithful -->", "<!-- end faithful -->", text)


def _measure(title: str, folder: Path, arguments: Any, done: dict[str, Any], end: float) -> None:
    found = done.setdefault(title, {"curves": [], "pointing": [], "cost": None})
    if len(found["pointing"]) >= arguments.photos and isinstance(found["cost"], dict):
        return
    lab = Lab(folder, arguments.seed, gradients=not arguments.without_gradients)
    if not isinstance(found["cost"], dict):
        found["cost"] = cost_of_cam(lab)
    while time.monotonic() < end and len(found["pointing"]) < arguments.photos:
        if len(found["curves"]) < arguments.photos:
            found["curves"].append(curves(lab, len(found["curves"])))
        found["pointing"].append(pointing(lab, len(found["pointing"])))


def curves(lab: Lab, number: int) -> dict[str, list[float]]:
    """Of each map, the area below deletion and insertion of the predicted class."""
    image = lab.read(number)
    class_ = int(lab.head.top_k(lab.backbone(image[np.newaxis]), 1)[0][0, 0])
    blurred = np.asarray(
        Image.fromarray(image).filter(ImageFilter.GaussianBlur(BLUR * image.shape[0]))
    )
    grey = np.full_like(image, LETTERBOX_GREY)
    whole, no_more, none_yet = lab.scores(np.stack([image, grey, blurred]), class_).tolist()
    result = {}
    for name, heat in lab.heats(image, class_).items():
        order = np.argsort(-heat, axis=None, kind="stable")
        deletion = [whole, *_on_the_way(lab, image, grey, order, class_), no_more]
        insertion = [none_yet, *_on_the_way(lab, blurred, image, order, class_), whole]
        result[name] = [_area(deletion), _area(insertion)]
    return result


def _on_the_way(
    lab: Lab, start: Pixels, end: Pixels, order: NDArray[np.int64], class_: int
) -> list[float]:
    """The scores while more and more pixels are those of `end`, without both ends."""
    images = np.repeat(start[np.newaxis], STEPS - 1, axis=0)
    flat, source = images.reshape(STEPS - 1, -1, 3), end.reshape(-1, 3)
    for step in range(1, STEPS):
        changed = order[: len(order) * step // STEPS]
        flat[step - 1, changed] = source[changed]
    scores: list[float] = lab.scores(images, class_).tolist()
    return scores


def _area(scores: list[float]) -> float:
    return float(np.trapezoid(scores, dx=1 / STEPS))


def pointing(lab: Lab, number: int) -> dict[str, int]:
    """Whether the hottest pixel of each map lies in a planted photo."""
    generator = np.random.default_rng([number, 7])
    ground, class_ = lab.read(number).copy(), lab.label(number)
    other = next(
        other for other in range(number + 1, number + 10_000) if lab.label(other) != class_
    )
    side = ground.shape[0]
    small = round(PLANTED * side)
    top, left = generator.integers(0, side - small + 1, 2).tolist()
    planted = np.asarray(Image.fromarray(lab.read(other)).resize((small, small)))
    ground[top : top + small, left : left + small] = planted
    result = {}
    for name, heat in lab.heats(ground, lab.label(other)).items():
        row, column = np.unravel_index(int(np.argmax(heat)), heat.shape)
        result[name] = int(top <= row < top + small and left <= column < left + small)
    return result


def cost_of_cam(lab: Lab) -> dict[str, float]:
    """What cam takes beside the forward pass, as shares of it; medians of alternating rounds.

    `maps` is the way of the maps out of the network, `sums` their weighted sums for two classes.
    """
    images = np.stack([lab.read(number) for number in range(32)])
    maker, mapped = lab._makers["cam"], lab._backbones["cam"]
    shares: dict[str, list[float]] = {"maps": [], "sums": []}
    for _ in range(9):
        _, plain = _timed(lambda: lab.backbone(images))
        rows, whole = _timed(lambda: mapped(images))
        vectors = maker.vectors(rows)
        best = lab.head.top_k(vectors, 2)[0].T
        start = time.process_time()
        for classes in best:
            _sums(lab, rows, vectors, classes)
        sums = time.process_time() - start
        shares["maps"].append(whole / plain - 1)
        shares["sums"].append(sums / plain)
    return {name: statistics.median(values) for name, values in shares.items()}


def _sums(lab: Lab, rows: Any, vectors: Any, classes: Any) -> Any:
    slopes = slopes_of(lab.head, vectors, classes)
    return lab._makers["cam"].grids(rows, Asked(classes, None, slopes))


def _timed(work: Any) -> tuple[Any, float]:
    start = time.process_time()
    return work(), time.process_time() - start


def tables(done: dict[str, Any], titles: list[str]) -> str:
    """The means, and the differences to the centre blob with paired 95% intervals."""
    lines = [
        "| set, photos | map | insertion | deletion | insertion less deletion | "
        "less the centre blob's | hits of the planted photo | less the centre blob's |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for title in titles:
        found = done[title]
        if not found["pointing"]:
            continue
        shown = [
            name for name in MAPS if all(name in one for one in found["curves"] + found["pointing"])
        ]
        areas = {name: np.array([one[name] for one in found["curves"]]) for name in shown}
        hits = {name: np.array([one[name] for one in found["pointing"]], float) for name in shown}
        for name in shown:
            gain = areas[name][:, 1] - areas[name][:, 0]
            blob = areas[BLOB][:, 1] - areas[BLOB][:, 0]
            cells = [
                f"{title}: {len(blob)}, {len(hits[BLOB])} planted" * (name == MAPS[0]),
                name,
                f"{areas[name][:, 1].mean():.3f}",
                f"{areas[name][:, 0].mean():.3f}",
                f"{gain.mean():.3f}",
                "" if name == BLOB else _paired(gain - blob),
                f"{hits[name].mean():.0%}",
                "" if name == BLOB else _hits(hits[name] - hits[BLOB]),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    costs = ", ".join(
        f"{title} {done[title]['cost']['maps']:+.1%} and {done[title]['cost']['sums']:.1%}"
        for title in titles
        if isinstance(done[title]["cost"], dict)
    )
    told = "Processor time of the maps' way out of the network, and of cam's sums, as shares of "
    lines += ["", f"{told}the forward pass: {costs}."]
    return "\n".join(lines)


def _hits(differences: NDArray[np.floating]) -> str:
    """Differences of hits in points; of few photos an interval would say nothing."""
    if len(differences) < FEWEST:
        return "too few photos"
    return _paired(100 * differences, digits=0)


def _paired(differences: NDArray[np.floating], digits: int = 3) -> str:
    """Mean and Student's 95% interval of differences photo by photo."""
    mean, count = float(differences.mean()), len(differences)
    half = float(student.ppf(0.975, count - 1) * differences.std(ddof=1) / np.sqrt(count))
    return f"{mean:+.{digits}f} ({mean - half:+.{digits}f} to {mean + half:+.{digits}f})"


if __name__ == "__main__":
    main()
