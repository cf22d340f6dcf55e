"""What distorted views are worth: heads trained with and without them, asked with and without them.

    python tools/measure_views.py --workspace 'TITLE=FOLDER' ... --results FILE [--page PAGE]

Each workspace holds bottlenecks and views (`retrain bottlenecks --views 8`). For each split, drawn
anew, and each number of photos a class, a head is trained by Adam on the plain photos and one on
their views, too; both are asked about the plain test photos, and about the mean with their views.
Finished trainings are kept in the results file, so that the tool goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from compare_heads import draw_test, take
from numpy.typing import NDArray
from pages import write_between
from scipy.stats import t as student

from retrain_cli.evaluation.averaging import AveragingHead
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.training import train_head
from retrain_cli.workflows.shared.training_set import TrainingSet, load_training_set
from retrain_cli.workspace import Workspace

SIZES = (10, 30, None)
STEPS = 4_000
PLAIN = "none"
WAYS = (PLAIN, "asked", "trained", "trained and asked")

Accuracies = dict[str, dict[str, float]]
"""Top-1, 0 to 1, of each way, by set, size and split."""


def main() -> None:
    """Train what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", action="append", required=True, help="'TITLE=FOLDER'")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--results", type=Path, required=True, help="finished trainings")
    parser.add_argument("--page", type=Path, help="write the table into this page")
    arguments = parser.parse_args()
    places = dict(one.split("=", 1) for one in arguments.workspace)
    path: Path = arguments.results
    done: Accuracies = json.loads(path.read_text()) if path.exists() else {}
    for title, folder in places.items():
        config = TrainingConfig(steps=STEPS)
        photos = load_training_set(Workspace(Path(folder)), config, with_views=True)
        for key, split, size in _cells(title, photos, arguments.splits):
            if key not in done:
                done[key] = _measured(photos, split, size, config)
                path.write_text(json.dumps(done, indent=1))
    text = _table(done, list(places))
    if arguments.page is None:
        print(text)
    else:
        write_between(arguments.page, "<!-- views -->", "<!-- end views -->", text)


def _cells(title: str, photos: TrainingSet, n_splits: int) -> list[tuple[str, int, int | None]]:
    most = int(np.bincount(photos.data.labels).max())
    sizes = [size for size in SIZES if size is None or size < most]
    return [
        (f"{title}|{size or 'all'}|{split}", split, size)
        for size in sizes
        for split in range(n_splits)
    ]


def _measured(
    photos: TrainingSet, split: int, size: int | None, config: TrainingConfig
) -> dict[str, float]:
    pool, test = draw_test(photos, split)
    data = take(photos, pool, size, split)
    labels = data.labels[test]
    result = {}
    for way, part in (("", _without_views(data)), ("trained", data)):
        head = train_head(part, config).head
        plain = head.logits(data.bottlenecks[test]).argmax(axis=1)
        averaged = AveragingHead(head, data.n_views).log_probabilities(_in_a_row(data, test))
        result[way or PLAIN] = float((plain == labels).mean())
        both = "trained and asked" if way else "asked"
        result[both] = float((averaged.argmax(axis=1) == labels).mean())
    return result


def _without_views(data: HeadData) -> HeadData:
    return HeadData(
        data.bottlenecks,
        data.labels,
        data.class_names,
        data.training,
        data.validation,
        data.spare,
        data.groups,
    )


def _in_a_row(data: HeadData, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """The vectors of each photo and its views, end to end."""
    assert data.views is not None
    by_view = data.views.reshape(1 + data.n_views, len(data.labels), -1)[:, rows]
    in_a_row: NDArray[np.float32] = by_view.transpose(1, 0, 2).reshape(len(rows), -1)
    return in_a_row


def _table(done: Accuracies, titles: list[str]) -> str:
    lines = ["| photos | a class | no views | " + " | ".join(WAYS[1:]) + " |", "|---" * 6 + "|"]
    for title in titles:
        for size in (*map(str, SIZES[:-1]), "all"):
            rows = [row for key, row in done.items() if key.rpartition("|")[0] == f"{title}|{size}"]
            if rows:
                base = f"{np.mean([row[PLAIN] for row in rows]):.1%}"
                gains = [_gain([100 * (row[way] - row[PLAIN]) for row in rows]) for way in WAYS[1:]]
                lines.append(f"| {title} | {size} | {base} | {' | '.join(gains)} |")
    return "\n".join(lines)


def _gain(values: list[float]) -> str:
    """Mean with half the width of its 95% interval, Student's t over the splits."""
    half = student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return f"{np.mean(values):+.1f} ± {half:.1f}"


if __name__ == "__main__":
    main()
