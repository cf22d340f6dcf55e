"""How much of what is wrong `retrain check` finds, and how well unknown photos are told: measured.

    python tools/measure_check.py WORKSPACE...

Each workspace must hold the bottlenecks of a dataset (`retrain bottlenecks`). Faults are planted in
a copy of its photos; the workspace itself is only read. With several workspaces of one backbone the
photos of each are also what the others do not know. The figures stand in docs/check.md.
"""

from __future__ import annotations

import argparse
import io
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from retrain_cli.datasets.splits import SPLITS
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.training import train_head
from retrain_cli.images.looks import look_at
from retrain_cli.similarity.near_duplicates import near_duplicates
from retrain_cli.similarity.novelty import NoveltyModel
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.check import CheckReport, CheckRequest, check_dataset
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.shared.training_set import TrainingSet, load_training_set
from retrain_cli.workspace import Workspace

Change = Callable[[Image.Image], Image.Image]

DUPLICATES = 120
OF_EACH_KIND = 20
WRONG_LABELS = 0.05
LEFT_OUT = 10
REPEATS = 5
STEPS = 2000


def main() -> None:
    """Measure each workspace that was named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspaces", nargs="+", type=Path, metavar="WORKSPACE")
    parser.add_argument(
        "--only", choices=("versions", "faults", "unknown"), action="append", help="not all of it"
    )
    arguments = parser.parse_args()
    wanted = arguments.only or ("versions", "faults", "unknown")
    workspaces = [Workspace(path.absolute()) for path in arguments.workspaces]
    for workspace in workspaces:
        print(f"## {LastUsed.load(workspace).backbone.label()}")
        for name, measure in (("versions", measure_versions), ("faults", measure_faults)):
            if name in wanted:
                with tempfile.TemporaryDirectory() as folder:
                    measure(workspace, Path(folder))
        if "unknown" in wanted:
            measure_unknown(workspace)
    if "unknown" in wanted:
        for known, unknown in itertools.permutations(workspaces, 2):
            measure_pair(known, unknown)


# -- versions of photos --------------------------------------------------------------------------


def measure_versions(workspace: Workspace, folder: Path) -> None:
    """Plant 20 versions of each kind beside their photos, and count the pairs that are told."""
    request, copy = copied(workspace, folder)
    photos = Path(request.image_dir or "")
    files = sorted(photos.rglob("*.jpg"))
    drawn = iter(np.random.default_rng(1).permutation(len(files)).tolist())
    source_of: dict[Path, Path] = {}
    kind_of: dict[Path, str] = {}
    for kind in KINDS:
        for number in range(OF_EACH_KIND):
            source = files[next(drawn)]
            target = source.parent / f"version_{len(kind_of):04}_{number}.jpg"
            target.write_bytes(version(Image.open(source).convert("RGB"), kind))
            source_of[target], kind_of[target] = source, kind
    fill_cache(request, copy)
    pairs = near_pairs_of(copy, photos)
    found = [kind_of[v] for v, s in source_of.items() if frozenset((v, s)) in pairs]
    for kind in KINDS:
        print(f"{kind}: {found.count(kind)} of {OF_EACH_KIND}")
    n_mirrored = sum(found.count(kind) for kind in MIRRORED)
    n, all_mirrored = len(found) - n_mirrored, OF_EACH_KIND * len(MIRRORED)
    print(
        f"not mirrored: {n} of {len(kind_of) - all_mirrored}, mirrored {n_mirrored} of "
        f"{all_mirrored}"
    )
    origin = {path: source_of.get(path, path) for pair in pairs for path in pair}
    others = [pair for pair in pairs if len({origin[path] for path in pair}) > 1]
    across = sum(len({path.parent for path in pair}) > 1 for pair in others)
    print(f"pairs of other photos: {len(others)}, of two classes: {across}")


def near_pairs_of(workspace: Workspace, root: Path) -> set[frozenset[Path]]:
    """All pairs of near duplicates, as files."""
    data = load_training_set(workspace, TrainingConfig())
    paths, digests = data.images.paths, [row.tobytes() for row in data.images.digest]
    looks = {path: look_at((root / path).read_bytes()) for path in paths}
    first = {digest: row for row, digest in reversed(list(enumerate(digests)))}
    rows = sorted(first.values())
    blocks = near_duplicates(data.data.bottlenecks[rows], [looks[paths[row]] for row in rows])
    return {
        frozenset((root / paths[rows[left]], root / paths[rows[right]]))
        for block in blocks
        for left, right in zip(block.left, block.right, strict=True)
    }


def copied(workspace: Workspace, folder: Path) -> tuple[BottleneckRequest, Workspace]:
    """A copy of the photos and of the cache of a workspace, to plant faults in."""
    used = LastUsed.load(workspace)
    photos, copy = folder / "photos", Workspace(folder / "workspace")
    shutil.copytree(used.image_dir, photos, copy_function=shutil.copyfile)
    shutil.copytree(workspace.cache_dir, copy.cache_dir)
    for place in (photos, *(path for path in photos.rglob("*") if path.is_dir())):
        place.chmod(0o755)
    return BottleneckRequest(photos, used.backbone, used.source_classes), copy


# -- planted faults ------------------------------------------------------------------------------


def measure_faults(workspace: Workspace, folder: Path) -> None:
    """Plant duplicates and wrong labels in a copy, check it, print what was found."""
    request, copy = copied(workspace, folder)
    labels, suggested, duplicates = plant_and_check(request, copy, DUPLICATES)
    print(f"label errors: {labels}; the true class suggested for {suggested:.1%}")
    print(f"near duplicates: {duplicates}")


def plant_and_check(
    request: BottleneckRequest, workspace: Workspace, n_duplicates: int
) -> tuple[Found, float, Found]:
    """Plant faults in the photos of a request, fill its cache, check: labels, share, duplicates."""
    photos = Path(request.image_dir or "")
    for place in (photos, *photos.iterdir()):
        place.chmod(0o755)
    generator = np.random.default_rng(0)
    files = sorted(photos.rglob("*.jpg"))
    drawn = generator.permutation(len(files))
    n_wrong = round(WRONG_LABELS * len(files))
    wrong = plant_labels([files[i] for i in drawn[:n_wrong]], generator)
    sources = [files[i] for i in drawn[n_wrong : n_wrong + n_duplicates]]
    versions = plant_duplicates(sources, generator)
    fill_cache(request, workspace)
    report = check_dataset(CheckRequest(), workspace)
    rows = {str(photos / path): row for row, path in enumerate(report.dataset.paths)}
    # A version in another class than its source is wrongly labelled, too.
    wrong.update({v: s.parent.name for v, s in versions.items() if v.parent != s.parent})
    labels, suggested = find_labels(report, {rows[str(p)]: name for p, name in wrong.items()})
    source_of = {rows[str(v)]: rows[str(s)] for v, s in versions.items()}
    return labels, suggested, find_duplicates(report, source_of)


def plant_labels(files: list[Path], generator: np.random.Generator) -> dict[Path, str]:
    """Move each file to another class; returns its true one."""
    classes = sorted(path.name for path in files[0].parent.parent.iterdir())
    wrong = {}
    for number, file in enumerate(files):
        others = [name for name in classes if name != file.parent.name]
        target = file.parent.parent / str(generator.choice(others)) / f"moved_{number:04}.jpg"
        wrong[file.rename(target)] = file.parent.name
    return wrong


def plant_duplicates(sources: list[Path], generator: np.random.Generator) -> dict[Path, Path]:
    """Put a version of each photo beside it, of every other one into another class."""
    kinds = list(PLAIN)
    classes = sorted(path for path in sources[0].parent.parent.iterdir())
    versions = {}
    for number, source in enumerate(sources):
        elsewhere = classes[int(generator.integers(len(classes)))]
        folder = elsewhere if number % 2 else source.parent
        target = folder / f"version_{number:04}.jpg"
        target.write_bytes(
            version(Image.open(source).convert("RGB"), kinds[number // 2 % len(kinds)])
        )
        versions[target] = source
    return versions


def version(image: Image.Image, kind: str) -> bytes:
    """The photo changed as one of `KINDS` says, as a JPEG file."""
    change, quality = KINDS[kind]
    file = io.BytesIO()
    change(image).save(file, "JPEG", quality=quality)
    return file.getvalue()


def cropped(left: float, top: float, right: float, bottom: float) -> Change:
    """Shares of the width and the height are cut off."""

    def cut(image: Image.Image) -> Image.Image:
        x, y = image.size
        return image.crop(
            (round(left * x), round(top * y), x - round(right * x), y - round(bottom * y))
        )

    return cut


def all_around(share: float) -> Change:
    """A share is cut off at each side."""
    return cropped(share, share, share, share)


def resized(factor: float) -> Change:
    """Larger or smaller by a factor."""
    return lambda image: image.resize(
        (max(1, int(factor * image.width)), max(1, int(factor * image.height)))
    )


def in_turn(*changes: Change) -> Change:
    """One change after another."""

    def change(image: Image.Image) -> Image.Image:
        for one in changes:
            image = one(image)
        return image

    return change


def brighter(factor: float) -> Change:
    """Lighter above 1, darker below."""
    return lambda image: ImageEnhance.Brightness(image).enhance(factor)


def turned(image: Image.Image) -> Image.Image:
    """By 3 degrees, and without the corners that are empty then."""
    return all_around(0.05)(image.rotate(3, resample=Image.Resampling.BICUBIC))


PLAIN: dict[str, tuple[Change, int]] = {
    "half size": (resized(0.5), 85),
    "double size": (resized(2), 85),
    "JPEG quality 30": (lambda image: image, 30),
    "cropped by 3% a side": (all_around(0.03), 85),
    "cropped by 5% a side": (all_around(0.05), 85),
    "cropped by 3%, halved, darker": (
        in_turn(all_around(0.03), resized(0.5), brighter(0.9)),
        85,
    ),
}
"""Versions that are planted beside wrong labels: how to make one, and its JPEG quality."""

MIRRORED: dict[str, tuple[Change, int]] = {
    "mirrored": (ImageOps.mirror, 85),
    "mirrored, halved, quality 50": (in_turn(resized(0.5), ImageOps.mirror), 50),
    "mirrored, cropped by 3%": (in_turn(all_around(0.03), ImageOps.mirror), 85),
}

KINDS: dict[str, tuple[Change, int]] = {
    **PLAIN,
    "brighter": (brighter(1.3), 85),
    "less contrast": (lambda image: ImageEnhance.Contrast(image).enhance(0.7), 85),
    "cropped by 8% a side": (all_around(0.08), 85),
    "turned by 3 degrees, cropped": (turned, 85),
    "10% cut off at the left": (cropped(0.1, 0, 0, 0), 85),
    "grey": (lambda image: ImageOps.grayscale(image).convert("RGB"), 85),
    "cropped by 6% a side": (all_around(0.06), 85),
    "7% cut off at the top": (cropped(0, 0.07, 0, 0), 85),
    "cropped unevenly, 2 to 10%": (cropped(0.1, 0.05, 0.02, 0.07), 85),
    **MIRRORED,
}
"""All versions that are looked for."""


@dataclass(frozen=True)
class Found:
    """How much of what was planted was told.

    Attributes:
        planted: faults that were planted.
        told: faults that were told: label errors, or pairs of a version and another photo.
        right: those told that were planted.
        recalled: those planted that were told.
    """

    planted: int
    told: int
    right: int
    recalled: int

    @property
    def precision(self) -> float:
        """Share of what was told that was planted."""
        return self.right / max(1, self.told)

    @property
    def recall(self) -> float:
        """Share of what was planted that was told."""
        return self.recalled / self.planted

    def __str__(self) -> str:
        return (
            f"{self.planted} planted, {self.recalled} of them told: recall {self.recall:.1%}; "
            f"{self.told} told, {self.right} of them planted: precision {self.precision:.1%}"
        )


def find_labels(report: CheckReport, wrong: dict[int, str]) -> tuple[Found, float]:
    """The likely label errors, and the share of the right ones whose true class is suggested."""
    issues = {issue.row: issue.suggested for issue in report.labels or ()}
    hits = issues.keys() & wrong.keys()
    right = sum(issues[row] == wrong[row] for row in hits)
    return Found(len(wrong), len(issues), len(hits), len(hits)), right / max(1, len(hits))


def find_duplicates(report: CheckReport, source_of: dict[int, int]) -> Found:
    """The versions; what is told are pairs of a version and another photo of its group."""
    group_of = {row: group for group in report.duplicates for row in group.rows}
    recalled = told = right = 0
    for row, source in source_of.items():
        others = [other for other in group_of[row].rows if other != row] if row in group_of else []
        recalled += source in others
        told += len(others)
        right += sum(other == source or source_of.get(other) == source for other in others)
    return Found(len(source_of), told, right, recalled)


# -- unknown photos ------------------------------------------------------------------------------


def measure_unknown(workspace: Workspace) -> None:
    """AUROC of known test photos against the photos of classes that were left out."""
    config = TrainingConfig(steps=STEPS)
    data = load_training_set(workspace, config)
    n_classes = data.data.n_classes
    for n_out in sorted({min(LEFT_OUT, n_classes // 3), n_classes * 7 // 12} - {0}):
        scores: dict[str, list[tuple[float, float]]] = {}
        for repeat in range(REPEATS):
            for name, told in one_leave_out(data, replace(config, seed=repeat), n_out):
                scores.setdefault(name, []).append(told)
        for name, values in scores.items():
            areas, shares = np.array(values).T
            print(
                f"unknown photos, {n_out} classes left out, {REPEATS} draws, {name}: AUROC "
                f"{areas.mean():.3f} (standard deviation {areas.std(ddof=1):.3f}), beyond 95% of "
                f"the known {shares.mean():.0%}"
            )


def measure_pair(known: Workspace, unknown: Workspace) -> None:
    """How well the photos of another set are told from the test photos of a set."""
    config = TrainingConfig(steps=STEPS)
    own, other = load_training_set(known, config), load_training_set(unknown, config)
    if own.used.backbone != other.used.backbone:
        return
    print(f"{own.used.image_dir.name} known, {other.used.image_dir.name} not:")
    splits = [np.flatnonzero(own.images.split == code) for code in range(len(SPLITS))]
    vectors = own.data.bottlenecks
    data = replace(own.data, training=splits[0], validation=splits[1])
    for name, (area, share) in judged(data, vectors[splits[2]], other.data.bottlenecks, config):
        print(f"  {name}: AUROC {area:.3f}, beyond 95% of the known {share:.0%}")


def judged(
    data: HeadData,
    known: NDArray[np.float32],
    unknown: NDArray[np.float32],
    config: TrainingConfig,
) -> Iterator[tuple[str, tuple[float, float]]]:
    """AUROC of each score, and the share of the unknown beyond 95% of the known."""
    head = train_head(data, config).head
    vectors = data.bottlenecks
    novelty = NoveltyModel.fit(
        vectors[data.training], data.labels[data.training], vectors[data.validation]
    )
    scales = vectors[data.validation], known, unknown
    unsure = [1 - head.probabilities(rows).max(axis=1) for rows in scales]
    novel = [novelty(rows) for rows in scales]
    both = [
        sum((one[row] - one[0].mean()) / one[0].std() for one in (unsure, novel))
        for row in range(len(scales))
    ]
    for name, (_, low, high) in (
        ("1 - highest probability", unsure),
        ("novelty", novel),
        ("their sum", both),
    ):
        yield name, (auroc(low, high), float((high > np.quantile(low, 0.95)).mean()))


def one_leave_out(
    data: TrainingSet, config: TrainingConfig, n_out: int
) -> Iterator[tuple[str, tuple[float, float]]]:
    """AUROC and share of each score with some classes left out of training."""
    labels, names = data.data.labels, data.data.class_names
    out = np.random.default_rng(config.seed).choice(len(names), n_out, replace=False)
    kept = [index for index in range(len(names)) if index not in set(out.tolist())]
    new = np.full(len(names), -1, np.int32)
    new[kept] = np.arange(len(kept))
    known = new[labels] >= 0
    training, validation, test = (
        np.flatnonzero(known & (data.images.split == code)) for code in range(len(SPLITS))
    )
    vectors = data.data.bottlenecks
    head_data = HeadData(vectors, new[labels], tuple(names[i] for i in kept), training, validation)
    yield from judged(head_data, vectors[test], vectors[~known], config)


def auroc(low: NDArray[np.float32], high: NDArray[np.float32]) -> float:
    """Chance that one of `high` scores above one of `low`, equals counted half (Mann-Whitney)."""
    order = np.sort(low)
    below = np.searchsorted(order, high, "left") + np.searchsorted(order, high, "right")
    return float(below.mean() / 2 / len(low))


if __name__ == "__main__":
    main()
