"""Train the bundled backbone `inception_mini` from scratch.

Two steps, each of which goes on where it was stopped: cache views of the photos with what the
teachers say about them, then train on these. It needs two packages more than the project itself:
`pip install torch openvino`. On two CPU cores it takes about two hours; see docs/inception_mini.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from mini.mirror import Mirror
from mini.photos import PhotoList, list_photos, read_photos
from mini.shipping import ship_classes, ship_weights
from mini.student import Student
from mini.teachers import Teachers
from mini.training import Plan, Trainer
from mini.views import CachePlan, cache_rounds, round_path

from retrain_cli.backbones.inception_mini import (
    CLASSES_FILE,
    INPUT_SIZE,
    WEIGHTS_FILE,
    WIDTH,
    build_inception_mini,
)

SHIP_EVERY_S = 600


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train the bundled backbone inception_mini.")
    parser.add_argument("--labelled", type=Path, nargs="+", required=True, metavar="FOLDER",
                        help="folders of class folders")  # fmt: skip
    parser.add_argument("--unlabelled", type=Path, metavar="FOLDER", help="a folder of photos")
    parser.add_argument("--teachers", type=Path, required=True, metavar="FOLDER",
                        help="holds the weights of MobileNetV2 and Inception v3")  # fmt: skip
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER",
                        help="keeps cached views (0.4 GB a round) and the checkpoint")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=8, help="cached views of every photo")
    parser.add_argument("--epochs", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from-scratch", action="store_true", help="ignore the checkpoint")
    parser.add_argument("--weights", type=Path, default=WEIGHTS_FILE, help="where to write them")
    parser.add_argument("--classes", type=Path, default=CLASSES_FILE, help="where to list them")
    return parser.parse_args()


def cache(arguments: argparse.Namespace, listed: PhotoList) -> None:
    """Cache the rounds that are missing."""
    plan = CachePlan(arguments.rounds, INPUT_SIZE, arguments.seed)
    if all(round_path(arguments.work, number).exists() for number in range(plan.rounds)):
        return
    arguments.work.mkdir(parents=True, exist_ok=True)
    teachers = Teachers(arguments.teachers, arguments.work)
    cache_rounds(arguments.work, listed, read_photos(listed.paths), teachers, plan)


def train(arguments: argparse.Namespace, listed: PhotoList) -> None:
    """Train to the end, writing the weights every ten minutes."""
    import keras

    keras.utils.set_random_seed(arguments.seed)
    n_classes = len(listed.classes)
    student = Student(build_inception_mini(), n_classes, WIDTH)
    plan = replace(Plan(arguments.epochs, arguments.rounds), seed=arguments.seed)
    trainer = Trainer(student, plan, n_classes, arguments.work)
    if not arguments.from_scratch and trainer.resume():
        print(f"going on after epoch {trainer.epoch}")
    shipped = time.monotonic()
    while trainer.epoch < plan.epochs:
        trainer.train_epoch()
        if time.monotonic() - shipped > SHIP_EVERY_S:
            _ship(student.mirror, trainer, arguments.weights)
            shipped = time.monotonic()
    _ship(student.mirror, trainer, arguments.weights)


def _ship(mirror: Mirror, trainer: Trainer, path: Path) -> None:
    """Write the averaged weights."""
    ship_weights(mirror.fill_keras(trainer.averaged), path)
    print(f"wrote {path} ({path.stat().st_size / 1e6:.2f} MB)", flush=True)


def main() -> int:
    """Cache, train, write."""
    arguments = parse_arguments()
    listed = list_photos(arguments.labelled, arguments.unlabelled)
    print(f"{len(listed.paths)} photos, {len(listed.classes)} labelled classes", flush=True)
    cache(arguments, listed)
    ship_classes(listed.classes, arguments.classes)
    train(arguments, listed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
