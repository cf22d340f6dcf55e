"""Compare backbones on cached bottlenecks of the same photos: the table of docs/results.md.

    python tools/compare_backbones.py --workspace 'flowers: Inception v3=FOLDER' \
        --workspace 'flowers: EfficientNet-Lite 0=FOLDER' ... --page docs/results.md

Each split draws 30% of the photos of each class for test, groups and copies together; of the rest
so many of a class train a head, by ridge unless told otherwise. The first backbone of a set is what
the others are compared with, on the same photos. Finished trainings are lines of the file of
results.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from compare_heads import draw_test, head, take
from pages import write_between

from retrain_cli.evaluation.intervals import student_half_width
from retrain_cli.heads.config import OPTIMIZERS, TrainingConfig
from retrain_cli.workflows.shared.training_set import load_training_set
from retrain_cli.workspace import Workspace

SIZES = (3, 5, 10, 20, None)
BEGIN, END = "<!-- backbones -->", "<!-- end backbones -->"

Key = tuple[str, str, str, int]
"""Set, backbone, photos a class ("all" for all that is there), split."""


def main() -> None:
    """Train what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", action="append", required=True, help="'SET: NAME=FOLDER'")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="ridge")
    parser.add_argument("--results", type=Path, required=True, help="finished trainings")
    parser.add_argument("--page", type=Path, help="write the table into this page")
    arguments = parser.parse_args()
    done = _read(arguments.results)
    places = [_place(one) for one in arguments.workspace]
    for place in places:
        _fill(place, arguments, done)
    text = table(done, [(place[0], place[1]) for place in places])
    if arguments.page is None:
        print(text)
    else:
        write_between(arguments.page, BEGIN, END, text)


def _place(text: str) -> tuple[str, str, Path]:
    title, folder = text.split("=", 1)
    dataset, backbone = title.split(": ", 1)
    return dataset, backbone, Path(folder)


def _read(path: Path) -> dict[Key, float]:
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return {(row["set"], row["backbone"], row["size"], row["split"]): row["top1"] for row in rows}


def _fill(
    place: tuple[str, str, Path], arguments: argparse.Namespace, done: dict[Key, float]
) -> None:
    dataset, backbone, folder = place
    photos = load_training_set(Workspace(folder), TrainingConfig())
    labels = photos.data.labels
    for split in range(arguments.splits):
        pool, test = draw_test(photos, split)
        for size in SIZES:
            key = (dataset, backbone, str(size or "all"), split)
            if key in done:
                continue
            judge = head(arguments.optimizer)(take(photos, pool, size, split), split)
            hits = judge(photos.data.bottlenecks[test]).argmax(axis=1) == labels[test]
            classes = np.unique(labels[test])
            top1 = float(np.mean([hits[labels[test] == one].mean() for one in classes]))
            done[key] = top1
            row = dict(zip(("set", "backbone", "size", "split"), key, strict=True), top1=top1)
            with arguments.results.open("a") as file:
                file.write(json.dumps(row) + "\n")


def table(done: dict[Key, float], rows: list[tuple[str, str]]) -> str:
    """A row for each backbone of each set, a column for each number of photos."""
    sizes = [str(size or "all") for size in SIZES]
    lines = ["| set, backbone | " + " | ".join(sizes) + " |", "|---" * (len(sizes) + 1) + "|"]
    first: dict[str, str] = {}
    for dataset, backbone in rows:
        base = first.setdefault(dataset, backbone)
        cells = [_cell(done, dataset, backbone, base, size) for size in sizes]
        lines.append(f"| {dataset}, {backbone} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(done: dict[Key, float], dataset: str, backbone: str, base: str, size: str) -> str:
    by_split: dict[int, dict[str, float]] = defaultdict(dict)
    for (one_set, one_backbone, one_size, split), top1 in done.items():
        if (one_set, one_size) == (dataset, size):
            by_split[split][one_backbone] = 100 * top1
    values = np.array([found[backbone] for found in by_split.values() if backbone in found])
    text = f"{values.mean():.1f}"
    if backbone == base:
        return text
    gains = [f[backbone] - f[base] for f in by_split.values() if backbone in f and base in f]
    gain = np.array(gains)
    return f"{text} ({gain.mean():+.1f} ± {student_half_width(gain):.1f})"


if __name__ == "__main__":
    main()
