"""Very many classes: time, memory and size of files of each command, class by class.

    python -m benchmarks.many_classes [--classes 1000,10000,100000] [--json FILE]

The bottlenecks are made up: 1,280 numbers as of EfficientNet-Lite 0, a centre for each class and
photos around it: one of each class to train on, and of 10,000 classes at most one to validate and
one to test. All else are the real commands, in processes of their own. Training takes 2,000 steps
of 1,000 classes, and of more as many fewer. Prints a table as Markdown.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import retrain_cli as rt
from benchmarks import synthetic
from benchmarks.fresh import Outcome, run_retrain
from benchmarks.machine import describe_machine
from benchmarks.scale import numbers
from retrain_cli.datasets.splits import Split

WIDTH = 1280
SPEC = rt.BackboneSpec("efficientnet_lite0", precision="float32", runtime="keras")
_MOST_JUDGED = 10_000
_STEPS_TIMES_CLASSES = 2_000_000
_SIGNAL = 0.3  # of the noise: a class is known from one photo, mostly


@dataclass(frozen=True)
class ManyClasses:
    """What a run of so many classes takes.

    Attributes:
        classes: how many.
        photos: of all splits.
        head_megabytes: its file.
        steps_per_second: of the training alone, by the clock; validation and the start of the
            engine included.
        train_seconds: processor seconds of the whole command, predictions of all photos included.
        train_megabytes: memory at its peak.
        predictions_megabytes: the file.
        eval_seconds: processor seconds of `eval --top5`.
        eval_megabytes: memory at its peak.
        report_seconds: processor seconds of `report`.
        report_memory_megabytes: memory at its peak.
        report_megabytes: the page.
    """

    classes: int
    photos: int
    head_megabytes: float
    steps_per_second: float
    train_seconds: float
    train_megabytes: float
    predictions_megabytes: float
    eval_seconds: float
    eval_megabytes: float
    report_seconds: float
    report_memory_megabytes: float
    report_megabytes: float


def measure(classes: int, folder: Path) -> ManyClasses:
    """Train, evaluate and report so many classes.

    Raises:
        RuntimeError: a command failed.
    """
    root, page = folder / "workspace", folder / "report.html"
    judged = min(classes, _MOST_JUDGED)
    photos: dict[Split, int] = {"training": classes, "validation": judged, "test": judged}
    synthetic.write_workspace(root, photos, classes, WIDTH, SPEC, _SIGNAL)
    steps = str(max(1, _STEPS_TIMES_CLASSES // classes))
    trained = _run(root, "train", "--name", "many", "--steps", steps, "--json")
    evaluated = _run(root, "eval", "many", "--top5")
    reported = _run(root, "report", "many", "-o", str(page), "--heatmaps", "none")
    run = root / "runs" / "many"
    return ManyClasses(
        classes,
        sum(photos.values()),
        _megabytes(run / "head.npz"),
        json.loads(trained.output)["steps_per_second"],
        trained.processor_seconds,
        trained.peak_megabytes,
        _megabytes(run / "predictions.npz"),
        evaluated.processor_seconds,
        evaluated.peak_megabytes,
        reported.processor_seconds,
        reported.peak_megabytes,
        _megabytes(page),
    )


def _run(workspace: Path, *words: str) -> Outcome:
    outcome = run_retrain("--quiet", "--workspace", str(workspace), *words)
    if outcome.code:
        raise RuntimeError(f"retrain {' '.join(words)} ended with {outcome.code}")
    return outcome


def _megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


def table(found: Sequence[ManyClasses]) -> str:
    """The figures as Markdown."""
    lines = [
        "| classes | photos | head | steps/s | `train` | memory | predictions | `eval` | memory "
        "| `report` | memory | page |",
        "|" + "---|" * 12,
    ]
    lines += [
        f"| {one.classes:,} | {one.photos:,} | {one.head_megabytes:,.0f} MB "
        f"| {one.steps_per_second:.1f} | {one.train_seconds:,.0f} s "
        f"| {one.train_megabytes:,.0f} MB "
        f"| {one.predictions_megabytes:,.1f} MB | {one.eval_seconds:,.1f} s "
        f"| {one.eval_megabytes:,.0f} MB | {one.report_seconds:,.0f} s "
        f"| {one.report_memory_megabytes:,.0f} MB | {one.report_megabytes:.1f} MB |"
        for one in found
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, and write a JSON document where one is wanted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--classes", type=numbers, default=(1000, 10_000, 100_000))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found: list[ManyClasses] = []
    for classes in asked.classes:
        with tempfile.TemporaryDirectory() as folder:
            found.append(measure(classes, Path(folder)))
        print(table(found[-1:]), flush=True)
    print(table(found))
    if asked.json is not None:
        document = {"machine": asdict(describe_machine()), "runs": list(map(asdict, found))}
        asked.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
