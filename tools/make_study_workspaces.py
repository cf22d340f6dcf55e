r"""Make the workspaces whose studies docs/study.md shows: bottlenecks of every set and backbone.

    python tools/make_study_workspaces.py --photos PHOTOS --weights WEIGHTS --folder WORK
    python tools/make_study_docs.py --folder WORK

PHOTOS holds the folders caltech101, flowers, blood_cells and clothing, WEIGHTS the files that
`NAMED_WEIGHTS` lists; both are public, and no part of this project. Cells are drawn, and the sample
images are the project's. What is cached in WORK already is not computed again, so that the tool
goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
NAMED_WEIGHTS = {
    "inception": "inception_v3_2015_mixed8.weights.h5",
    "mobilenet_v2": "mobilenet_v2_1.0_224_notop.weights.h5",
    "mobilenet": "mobilenet_2_5_224_tf_no_top.h5",
}
INCEPTION = "--backbone inception_v3 --layer mixed8 --weights {inception}"
MOBILENET_V2 = "--backbone mobilenet_v2 --weights {mobilenet_v2}"
MOBILENET = "--backbone mobilenet --alpha 0.25 --weights {mobilenet}"
LITE0 = "--backbone efficientnet_lite0"
# `study backbones` adds those whose weights come with packages.
SEVERAL = (INCEPTION, MOBILENET_V2, LITE0)


@dataclass(frozen=True)
class StudyWorkspace:
    """A workspace of the page.

    Attributes:
        title: as in the marks of the page.
        photos: folder of its photos.
        backbones: options of `bottlenecks`, once for each backbone; studies take the last one.
        most: how many photos of a class, the first ones by name; None for all.
        chain: photos that a run of the same name is fine-tuned on first, as many of a class.
    """

    title: str
    photos: str
    backbones: tuple[str, ...]
    most: int | None = None
    chain: str | None = None


WORKSPACES = (
    StudyWorkspace("Inception v3, mixed8", "caltech101", (INCEPTION,)),
    StudyWorkspace("MobileNetV2", "caltech101", (MOBILENET_V2,)),
    StudyWorkspace("EfficientNet-Lite 0", "caltech101", (LITE0,)),
    StudyWorkspace("Cells", "cells", (MOBILENET_V2,)),
    StudyWorkspace("Flowers", "flowers", (MOBILENET_V2,)),
    StudyWorkspace("Blood cells", "blood_cells", (INCEPTION,)),
    StudyWorkspace("Clothing", "clothing", (INCEPTION,)),
    StudyWorkspace("Flowers, 96 px", "flowers", (f"{MOBILENET_V2} --input-size 96",)),
    StudyWorkspace(
        "Blood cells, 96 px", "blood_cells", (f"{MOBILENET_V2} --input-size 96",), 80, "flowers"
    ),
    StudyWorkspace("Clothing, 96 px", "clothing/train", (f"{MOBILENET_V2} --input-size 96",), 90),
    StudyWorkspace("Sample images, 96 px", "sample_images", (f"{MOBILENET_V2} --input-size 96",)),
    StudyWorkspace("Flowers, 128 px", "flowers", (f"{MOBILENET} --input-size 128",), 60),
    StudyWorkspace("Caltech-101, 15 a class", "caltech101", (MOBILENET_V2,), 15),
    StudyWorkspace("Flowers, several backbones", "flowers", SEVERAL),
    StudyWorkspace("Blood cells, several backbones", "blood_cells", SEVERAL),
    StudyWorkspace("Flowers, views", "flowers", (f"{LITE0} --views 8",)),
    StudyWorkspace("Caltech-101, views", "caltech101", (f"{LITE0} --views 8",)),
)


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("photos", "weights", "folder"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--only", action="append", help="the workspace of this title alone")
    asked = parser.parse_args()
    for one in WORKSPACES:
        if not asked.only or one.title in asked.only:
            make(one, asked.photos.absolute(), asked.weights.absolute(), asked.folder.absolute())


def make(one: StudyWorkspace, photos: Path, weights: Path, folder: Path) -> None:
    """Compute the bottlenecks of a workspace."""
    retrain = ["retrain", "--workspace", str(folder / one.title)]
    files = {name: shlex.quote(str(weights / file)) for name, file in NAMED_WEIGHTS.items()}

    def compute(name: str) -> None:
        source = source_of(name, photos, folder)
        if one.most is not None:
            source = first_photos(source, one.most, folder / "photos" / f"{name}-{one.most}")
        for options in one.backbones:
            run([*retrain, "bottlenecks", str(source), *shlex.split(options.format(**files))])

    if one.chain is not None and not (folder / one.title / "runs" / one.chain).is_dir():
        compute(one.chain)
        run([*retrain, "finetune", "--trainable", "all", "--name", one.chain])
    compute(one.photos)


def source_of(name: str, photos: Path, folder: Path) -> Path:
    """Where the photos of a set lie."""
    if name == "cells":
        return cells(folder)
    return PROJECT / name if name == "sample_images" else photos / name


def cells(folder: Path) -> Path:
    """Drawn pictures of cells."""
    target = folder / "photos" / "cells"
    if not target.is_dir():
        run([sys.executable, str(PROJECT / "tools" / "make_cells.py"), str(target)])
    return target


def first_photos(source: Path, most: int, target: Path) -> Path:
    """Links to the first photos of each class."""
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        place = target / folder.name
        place.mkdir(parents=True, exist_ok=True)
        for photo in sorted(folder.iterdir())[:most]:
            link = place / photo.name
            if not link.is_symlink():
                link.symlink_to(photo.resolve())
    return target


def run(command: Sequence[str]) -> None:
    """Say a command and run it; ends the tool where it fails."""
    print(shlex.join(command), flush=True)
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
