"""How often the printed intervals hold the truth: the table of docs/intervals.md.

    retrain train --few-shot --optimizer ridge --name population      # in each workspace
    python tools/simulate_coverage.py --workspace 'flowers=FOLDER' --workspace 'clothing=FOLDER' \
        --draws 600 --page docs/intervals.md

The photos of a cross-validated run, each scored by a head that never saw it, are taken for all the
photos there are. Test sets are drawn from them, every figure is computed with its interval, and it
is counted how often the interval holds the figure of all photos: 95% of the draws is right.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pages import write_between

from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.datasets.splits import SPLITS
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.curves.class_curves import curves_of
from retrain_cli.evaluation.intervals import Estimate
from retrain_cli.evaluation.predictions import ImageTable, Predictions, predict
from retrain_cli.evaluation.reliability import Reliability
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.evaluation.scores import AllScores
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.cross_validate import saved_predictions
from retrain_cli.workspace import Workspace

BEGIN, END = "<!-- coverage -->", "<!-- end coverage -->"
SIZES = (50, 100, 300)


@dataclass(frozen=True, eq=False)
class Population:
    """All photos there are.

    Attributes:
        labels: `(n_images,) int32`, true classes.
        scores: `(n_images, n_classes) float32`, probabilities.
    """

    labels: NDArray[np.int32]
    scores: NDArray[np.float32]

    @classmethod
    def of(cls, predictions: Predictions) -> Population:
        """The photos of predictions that have the scores of all classes."""
        scores = np.zeros((len(predictions), predictions.n_classes), np.float32)
        np.put_along_axis(scores, predictions.top_classes, predictions.top_scores, axis=1)
        return cls(predictions.images.labels, scores)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.scores.shape[1])

    def log_probabilities(self, scores: NDArray[np.float32], /) -> NDArray[np.float32]:
        """What a head would say: here bottlenecks are its answers."""
        logs: NDArray[np.float32] = np.log(np.maximum(scores, np.float32(1e-12)))
        return logs

    def figures(self, rows: NDArray[np.int64]) -> dict[str, Estimate]:
        """Every figure that has an interval, of some photos."""
        labels, scores = self.labels[rows], self.scores[rows]
        n = len(rows)
        images = ImageTable(
            np.full(n, SPLITS.index("test"), np.uint8),
            np.zeros((n, 16), np.uint8),
            [""] * n,
            labels,
        )
        predictions = predict(self, scores, images)
        names = [f"class {index}" for index in range(self.n_classes)]
        origins = [ClassOrigin(name, None) for name in names]
        counts = EvalCounts.from_predictions(predictions, "test")
        result = EvalResult.from_counts(counts, origins)
        own = scores[np.arange(n), labels]
        curves = curves_of(AllScores(labels, self.n_classes, own, lambda: iter([scores])))
        averages = result.averages
        found = {
            "top-1, share of photos": result.top1.overall,
            "top-1, mean of classes": result.top1.macro,
            "precision, macro": averages.macro.precision,
            "F1, macro": averages.macro.f1,
            "precision, weighted": averages.weighted.precision,
            "F1, weighted": averages.weighted.f1,
            "ROC AUC, macro": curves.macro_auc,
            "ROC AUC, micro": curves.micro_auc,
            "log loss": Reliability.from_predictions(predictions, "test").log_loss,
        }
        return {name: estimate for name, estimate in found.items() if estimate is not None}


def coverage(population: Population, size: int, draws: int, seed: int = 0) -> dict[str, float]:
    """Share of the draws whose interval holds the figure of all photos, for each figure."""
    truth = population.figures(np.arange(len(population.labels)))
    generator = np.random.default_rng([seed, size])
    held: dict[str, list[bool]] = defaultdict(list)
    for _ in range(draws):
        rows = generator.integers(0, len(population.labels), size)
        for name, estimate in population.figures(rows).items():
            held[name].append(estimate.low <= truth[name].value <= estimate.high)
    return {name: float(np.mean(those)) for name, those in held.items()}


def main() -> None:
    """Simulate, and print the table or write it into a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", action="append", required=True, help="'TITLE=FOLDER'")
    parser.add_argument("--run", default="population", help="a cross-validated run of each")
    parser.add_argument("--draws", type=int, default=600)
    parser.add_argument("--page", type=Path, help="write the table into this page")
    arguments = parser.parse_args()
    columns: dict[str, dict[str, float]] = {}
    for title, folder in (one.split("=", 1) for one in arguments.workspace):
        run = RunStore(Workspace(Path(folder)).runs_dir).get(arguments.run)
        population = Population.of(saved_predictions(run))
        for size in SIZES:
            columns[f"{title}, {size}"] = coverage(population, size, arguments.draws)
    text = table(columns)
    if arguments.page is None:
        print(text)
    else:
        write_between(arguments.page, BEGIN, END, text)


def table(columns: Mapping[str, Mapping[str, float]]) -> str:
    """A row for each figure, a column for each set and size of test, in percent."""
    names = dict.fromkeys(name for column in columns.values() for name in column)
    lines = [
        "| set, test photos | " + " | ".join(columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name in names:
        cells = [f"{column[name]:.0%}" if name in column else "" for column in columns.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
