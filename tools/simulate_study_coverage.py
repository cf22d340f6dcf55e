"""How often a study's intervals hold what many more repeats say: a table of docs/intervals.md.

    python tools/simulate_study_coverage.py --workspace 'flowers=FOLDER' --workspace 'x=FOLDER' \
        --page docs/intervals.md

One condition, all classes with 30% of the photos for test, is repeated many times, each time with
the split of another seed, by ridge heads. Their mean is taken for the truth. The repeats are dealt
into studies of 3, 5 and 10, and it is counted whose interval holds that mean: 95% is right.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from pages import write_between

from retrain_cli.evaluation.intervals import Estimate
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.studies.head_trial import HeadOutcome, train_and_count
from retrain_cli.studies.means import mean_of_estimates
from retrain_cli.studies.study import StudySettings
from retrain_cli.studies.trial import Trial, TrialContext
from retrain_cli.workflows.study import load_study_data
from retrain_cli.workspace import Workspace

BEGIN, END = "<!-- study coverage -->", "<!-- end study coverage -->"
SIZES = (3, 5, 10)
CONFIG = TrainingConfig(optimizer="ridge", testing_percentage=30)


def repeat_all(workspace: Workspace, repeats: int) -> dict[str, list[Estimate | None]]:
    """The figures of each repeat, by name."""
    settings = StudySettings(repeats=repeats, training=CONFIG)
    data, _ = load_study_data(workspace, settings)
    context = TrialContext(lambda _: None, None)
    figures: dict[str, list[Estimate | None]] = {"share of photos": [], "mean of classes": []}
    for repeat in range(repeats):
        trial = Trial("all", repeat, settings.config(repeat))
        outcome = HeadOutcome.from_dict(train_and_count(data, trial, context))
        result = outcome.result(data)
        for name, estimate in zip(figures, (result.top1.overall, result.top1.macro), strict=True):
            figures[name].append(estimate)
    return figures


def coverage(estimates: list[Estimate | None], size: int) -> tuple[float, int]:
    """Share of the studies whose interval holds the mean of all repeats, and their number."""
    truth = mean_of_estimates(estimates)
    held = []
    for start in range(0, len(estimates) - size + 1, size):
        mean = mean_of_estimates(estimates[start : start + size])
        if truth and mean and mean.low is not None and mean.high is not None:
            held.append(mean.low <= truth.value <= mean.high)
    return float(np.mean(held)), len(held)


def main() -> None:
    """Repeat, count, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", action="append", required=True, help="'TITLE=FOLDER'")
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--page", type=Path, help="write the table into this page")
    arguments = parser.parse_args()
    lines = ["| set, top-1 | " + " | ".join(f"{size} repeats" for size in SIZES) + " |"]
    lines += ["|---|" + "---|" * len(SIZES)]
    for title, folder in (one.split("=", 1) for one in arguments.workspace):
        for name, estimates in repeat_all(Workspace(Path(folder)), arguments.repeats).items():
            cells = [coverage(estimates, size) for size in SIZES]
            row = " | ".join(f"{share:.0%} of {n}" for share, n in cells)
            lines.append(f"| {title}, {name} | {row} |")
    text = "\n".join(lines)
    if arguments.page is None:
        print(text)
    else:
        write_between(arguments.page, BEGIN, END, text)


if __name__ == "__main__":
    main()
