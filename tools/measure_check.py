"""How much of what is wrong `retrain check` finds, and how well unknown photos are told: measured.

    python tools/measure_check.py WORKSPACE...

Each workspace must hold the bottlenecks of a dataset (`retrain bottlenecks`). Faults are planted in
a copy of its photos; the workspace itself is only read. The figures stand in docs/check.md.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from retrain_cli.datasets.splits import SPLITS
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.training import train_head
from retrain_cli.similarity.novelty import NoveltyModel
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.check import CheckReport, CheckRequest, check_dataset
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.shared.training_set import TrainingSet, load_training_set
from retrain_cli.workspace import Workspace

DUPLICATES = 120
WRONG_LABELS = 0.05
LEFT_OUT = 10
REPEATS = 5
STEPS = 2000


def main() -> None:
    """Measure each workspace that was named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspaces", nargs="+", type=Path, metavar="WORKSPACE")
    for path in parser.parse_args().workspaces:
        workspace = Workspace(path.absolute())
        print(f"## {LastUsed.load(workspace).backbone.label()}")
        with tempfile.TemporaryDirectory() as folder:
            measure_faults(workspace, Path(folder))
        measure_unknown(workspace)


# -- planted faults ------------------------------------------------------------------------------


def measure_faults(workspace: Workspace, folder: Path) -> None:
    """Plant duplicates and wrong labels in a copy, check it, print what was found."""
    used = LastUsed.load(workspace)
    photos, copy = folder / "photos", Workspace(folder / "workspace")
    shutil.copytree(used.image_dir, photos, copy_function=shutil.copyfile)
    shutil.copytree(workspace.cache_dir, copy.cache_dir)
    request = BottleneckRequest(photos, used.backbone, used.source_classes)
    labels, suggested, duplicates = plant_and_check(request, copy, DUPLICATES)
    print(f"label errors: {labels}; the true class suggested for {suggested:.1%}")
    print(f"near duplicates: {duplicates}")


def plant_and_check(
    request: BottleneckRequest, workspace: Workspace, n_duplicates: int
) -> tuple[Found, float, Found]:
    """Plant faults in the photos of a request, fill its cache, check: labels, share, duplicates."""
    photos = request.image_dir
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
    classes = sorted(path for path in sources[0].parent.parent.iterdir())
    versions = {}
    for number, source in enumerate(sources):
        elsewhere = classes[int(generator.integers(len(classes)))]
        folder = elsewhere if number % 2 else source.parent
        target = folder / f"version_{number:04}.jpg"
        target.write_bytes(version(Image.open(source).convert("RGB"), number // 2 % 6))
        versions[target] = source
    return versions


def version(image: Image.Image, kind: int) -> bytes:
    """Half or double size, JPEG quality 30, cropped by 3 or 5% a side, or all of it and darker."""
    width, height = image.size

    def cropped(share: float) -> Image.Image:
        x, y = round(share * width), round(share * height)
        return image.crop((x, y, width - x, height - y))

    quality = 30 if kind == 2 else 85
    if kind < 2:
        image = image.resize((width // 2, height // 2) if kind == 0 else (2 * width, 2 * height))
    elif kind in (3, 4):
        image = cropped(0.03 if kind == 3 else 0.05)
    elif kind == 5:
        image = ImageEnhance.Brightness(cropped(0.03).resize((width // 2, height // 2))).enhance(
            0.9
        )
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


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
    scores: dict[str, list[float]] = {}
    for repeat in range(REPEATS):
        for name, value in one_leave_out(data, replace(config, seed=repeat)):
            scores.setdefault(name, []).append(value)
    for name, values in scores.items():
        print(
            f"unknown photos, {LEFT_OUT} classes left out, {REPEATS} draws, {name}: AUROC "
            f"{np.mean(values):.3f} (standard deviation {np.std(values, ddof=1):.3f})"
        )


def one_leave_out(data: TrainingSet, config: TrainingConfig) -> Iterator[tuple[str, float]]:
    """AUROC of each score with some classes left out of training."""
    labels, names = data.data.labels, data.data.class_names
    out = np.random.default_rng(config.seed).choice(len(names), LEFT_OUT, replace=False)
    kept = [index for index in range(len(names)) if index not in set(out.tolist())]
    new = np.full(len(names), -1, np.int32)
    new[kept] = np.arange(len(kept))
    known = new[labels] >= 0
    training, validation, test = (
        np.flatnonzero(known & (data.images.split == code)) for code in range(len(SPLITS))
    )
    vectors = data.data.bottlenecks
    head_data = HeadData(vectors, new[labels], tuple(names[i] for i in kept), training, validation)
    head = train_head(head_data, config).head
    novelty = NoveltyModel.fit(vectors[training], labels[training], vectors[validation])
    unknown = np.flatnonzero(~known)
    highest = [head.probabilities(vectors[rows]).max(axis=1) for rows in (test, unknown)]
    yield "1 - highest probability", auroc(1 - highest[0], 1 - highest[1])
    yield "novelty", auroc(novelty(vectors[test]), novelty(vectors[unknown]))


def auroc(low: NDArray[np.float32], high: NDArray[np.float32]) -> float:
    """Chance that one of `high` scores above one of `low`, equals counted half (Mann-Whitney)."""
    order = np.sort(low)
    below = np.searchsorted(order, high, "left") + np.searchsorted(order, high, "right")
    return float(below.mean() / 2 / len(low))


if __name__ == "__main__":
    main()
