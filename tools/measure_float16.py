"""What float16 in the cache does to heads: the same splits, vectors as they are and rounded.

python tools/measure_float16.py --set 'flowers=WORKSPACE' --set 'caltech=WORKSPACE' [--splits 20]

Each workspace has float32 bottlenecks of a set. A head is trained on each of the splits twice, with
one seed; told is the difference of top-1 on the test photos, mean and 95% interval over the splits,
as rows of a table of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from retrain_cli.evaluation.predictions import predict
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.training import train_head
from retrain_cli.studies.means import Mean, difference_of, mean_of
from retrain_cli.studies.study import StudySettings
from retrain_cli.studies.study_data import StudyData
from retrain_cli.workflows.study import load_study_data
from retrain_cli.workspace import Workspace

_OPTIMIZERS = ("adam", "lbfgs")


def main() -> None:
    """Print a row for each set and optimiser."""
    arguments = _parse()
    print("| set | photos | optimiser | float32 | float16 less float32 | other answers |")
    print("|---|---|---|---|---|---|")
    for name, folder in arguments.set:
        data, _ = load_study_data(Workspace(folder), StudySettings())
        halved = replace(data, data=_rounded(data.data))
        for optimizer in _OPTIMIZERS:
            seeds = range(arguments.splits)
            pairs = [_compared(data, halved, optimizer, seed) for seed in seeds]
            full, half, changed = zip(*pairs, strict=True)
            gains = [after - before for before, after in zip(full, half, strict=True)]
            cells = [
                name,
                f"{len(data.images):,}",
                optimizer,
                _told(mean_of(full)),
                _told(difference_of(gains), sign="+"),
                f"{np.mean(changed):.2%}",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)


def _rounded(data: HeadData) -> HeadData:
    return replace(data, bottlenecks=data.bottlenecks.astype(np.float16).astype(np.float32))


def _compared(
    data: StudyData, halved: StudyData, optimizer: str, seed: int
) -> tuple[float, float, float]:
    """Top-1 with float32 and with float16, and the share of test photos that get another name."""
    config = TrainingConfig(optimizer=optimizer, seed=seed)  # type: ignore[arg-type]
    (right, first), (right_too, second) = (_answers(one, config) for one in (data, halved))
    return right, right_too, float((first != second).mean())


def _answers(data: StudyData, config: TrainingConfig) -> tuple[float, np.ndarray]:
    part = data.select(config)
    head = train_head(part.data, config).head
    rows = part.rows("test")
    best = predict(head, part.data.bottlenecks[rows], part.test_images()).top_classes[:, 0]
    return float((best == part.data.labels[rows]).mean()), best


def _told(mean: Mean | None, sign: str = "") -> str:
    assert mean is not None
    assert mean.half_width is not None
    return f"{100 * mean.value:{sign}.2f} ± {100 * mean.half_width:.2f}"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", action="append", type=_named, required=True, metavar="NAME=FOLDER")
    parser.add_argument("--splits", type=int, default=20)
    return parser.parse_args()


def _named(text: str) -> tuple[str, Path]:
    name, _, folder = text.partition("=")
    return name, Path(folder)


if __name__ == "__main__":
    main()
