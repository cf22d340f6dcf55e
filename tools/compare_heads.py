"""Compare heads on cached bottlenecks: the tables of docs/heads.md.

    python tools/compare_heads.py --workspace 'flowers=FOLDER' --workspace 'clothing=FOLDER' \
        --splits 3 --results heads.jsonl --page docs/heads.md

Each split draws 30% of the photos of each class for test, groups and copies together; of the rest
so many of a class are there to train on. What chooses its head by validation photos takes them from
these, as `retrain train` would: no head sees more photos than another. Finished trainings are lines
of the file of results, and are not done again. The tables go to standard output or, with `--page`,
into the page between `<!-- heads -->` and `<!-- end heads -->`, or what `--part` names; `--by-size`
makes one table of them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pages import write_between
from scipy.special import log_softmax
from scipy.stats import t as student
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from retrain_cli.datasets.splits import assign_splits, find_components
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.training import train_head
from retrain_cli.heads.validation import with_fitted_scores
from retrain_cli.workflows.shared.training_set import TrainingSet, load_training_set
from retrain_cli.workspace import Workspace

SIZES = (3, 5, 10, 30, None)
TEST_SHARE = 0.3
BASE = "adam"

_FIGURES = ("accuracy", "log_loss")

Logs = NDArray[np.floating]
Judge = Callable[[NDArray[np.float32]], Logs]


def head(**settings: Any) -> Callable[[HeadData, int], Judge]:
    """A head of the package, its scores fitted as `retrain train` does."""

    def fit(data: HeadData, seed: int) -> Judge:
        config = replace(TrainingConfig(**settings), seed=seed)
        trained = with_fitted_scores(train_head(data, config), data, seed)
        return trained.head.log_probabilities

    return fit


def reference(make: Callable[[], object]) -> Callable[[HeadData, int], Judge]:
    """A classifier of scikit-learn on all photos."""

    def fit(data: HeadData, seed: int) -> Judge:
        rows = np.union1d(data.training, data.validation)
        model = make()
        model.fit(data.bottlenecks[rows].astype(np.float64), data.labels[rows])  # type: ignore[attr-defined]
        least = 1 / (len(rows) + 2)  # a probability of 0 would be an endless loss

        def judge(vectors: NDArray[np.float32]) -> Logs:
            shares = model.predict_proba(vectors.astype(np.float64))  # type: ignore[attr-defined]
            logs: Logs = log_softmax(np.log(np.maximum(shares, least / shares.shape[1])), axis=1)
            return logs

        return judge

    return fit


METHODS: dict[str, Callable[[HeadData, int], Judge]] = {
    "adam": head(),
    "lbfgs": head(optimizer="lbfgs"),
    "ridge": head(optimizer="ridge"),
    "auto": head(optimizer="auto"),
    "ridge, unit length": head(optimizer="ridge", normalise="l2"),
    "auto, unit length": head(optimizer="auto", normalise="l2"),
    "LogisticRegression": reference(lambda: LogisticRegression(max_iter=300)),
    "LDA, shrinkage": reference(
        lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    ),
    "kNN": reference(lambda: KNeighborsClassifier(5, weights="distance", metric="cosine")),
    "l2": head(normalise="l2"),
    "standardise": head(normalise="standardise"),
    "cosine": head(head="cosine"),
    "dropout 0.5": head(dropout=0.5),
    "cosine, standardise": head(head="cosine", normalise="standardise"),
    "hidden 256": head(hidden=(256,), patience=10),
    "hidden 256, dropout 0.5": head(hidden=(256,), dropout=0.5, patience=10),
    "hidden 256,128, dropout 0.5": head(hidden=(256, 128), dropout=0.5, patience=10),
    "hidden 256, dropout 0.5, standardise": head(
        hidden=(256,), dropout=0.5, normalise="standardise", patience=10
    ),
    "hidden 256, dropout 0.5, Keras's Adam": head(
        hidden=(256,), dropout=0.5, learning_rate=0.001, epsilon=1e-7, patience=10
    ),
}


@dataclass(frozen=True)
class Trained:
    """One training: of which set, with how many photos a class, by what, and what it reached."""

    set: str
    size: int | None
    split: int
    method: str
    accuracy: float
    log_loss: float
    seconds: float

    @property
    def key(self) -> tuple[str, int | None, int, str]:
        """What it is known by."""
        return (self.set, self.size, self.split, self.method)


def main() -> None:
    """Train what is missing, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", action="append", required=True, help="'TITLE=FOLDER'")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--results", type=Path, required=True, help="finished trainings")
    parser.add_argument("--method", action="append", choices=METHODS)
    parser.add_argument("--size", action="append", type=size_of, help="photos a class, or all")
    parser.add_argument("--page", type=Path, help="write the tables into this page")
    parser.add_argument("--part", default="heads", help="its part of the page")
    parser.add_argument("--print", action="store_true", help="train nothing")
    parser.add_argument("--by-size", action="store_true", help="one table, over all sets")
    arguments = parser.parse_args()
    done = _read(arguments.results)
    places = dict(one.split("=", 1) for one in arguments.workspace)
    if not arguments.print:
        for split in range(arguments.splits):
            for title, folder in places.items():
                _fill(title, Path(folder), split, arguments, done)
    write = by_size if arguments.by_size else tables
    text = write([one for one in done.values() if one.set in places])
    if arguments.page is None:
        print(text)
    else:
        part = arguments.part
        write_between(arguments.page, f"<!-- {part} -->", f"<!-- end {part} -->", text)


def size_of(text: str) -> int | None:
    """One of the sizes as it is typed."""
    size = None if text == "all" else int(text)
    if size not in SIZES:
        raise ValueError(text)
    return size


def _read(path: Path) -> dict[tuple[str, int | None, int, str], Trained]:
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [Trained(**json.loads(line)) for line in lines]
    return {row.key: row for row in rows}


def _fill(
    title: str,
    folder: Path,
    split: int,
    arguments: argparse.Namespace,
    done: dict[tuple[str, int | None, int, str], Trained],
) -> None:
    photos = load_training_set(Workspace(folder), TrainingConfig())
    pool, test = draw_test(photos, split)
    most = int(np.bincount(photos.data.labels[pool]).max())
    for size in arguments.size or SIZES:
        if size is None and most <= max(one for one in SIZES if one is not None):
            continue  # all are there already
        data = take(photos, pool, size, split)
        for method in arguments.method or METHODS:
            if (title, size, split, method) in done:
                continue
            started = time.process_time()
            judge = METHODS[method](data, split)
            seconds = time.process_time() - started
            logs, labels = judge(data.bottlenecks[test]), data.labels[test]
            own = np.maximum(logs[np.arange(len(labels)), labels], -30)
            accuracy = float((logs.argmax(axis=1) == labels).mean())
            row = Trained(title, size, split, method, accuracy, -float(own.mean()), seconds)
            done[row.key] = row
            with arguments.results.open("a") as file:
                file.write(json.dumps(vars(row)) + "\n")


def draw_test(photos: TrainingSet, split: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on and rows for test, by whole groups, each class alike."""
    labels, groups = photos.data.labels, find_components(photos.items)[0]
    generator = np.random.default_rng([split, 0x5911])
    test = np.zeros(len(labels), bool)
    for label in range(photos.data.n_classes):
        own = generator.permutation(np.unique(groups[labels == label]))
        sizes = np.bincount(groups[labels == label], minlength=int(groups.max()) + 1)[own]
        chosen = own[np.cumsum(sizes) <= TEST_SHARE * sizes.sum()]
        test |= np.isin(groups, chosen)
    return np.flatnonzero(~test), np.flatnonzero(test)


def take(photos: TrainingSet, pool: NDArray[np.int64], size: int | None, split: int) -> HeadData:
    """So many photos of each class, of which `retrain train` would take some for validation."""
    labels = photos.data.labels
    order = np.random.default_rng([split, 0x7A4E]).permutation(pool)
    rows = np.concatenate([order[labels[order] == one][:size] for one in np.unique(labels)])
    given = assign_splits([replace(photos.items[row], given=None) for row in rows], 10, 0)
    is_validation = np.array([one == "validation" for one in given])
    validation = np.sort(rows[is_validation])
    groups = find_components(photos.items)[0]
    return replace(
        photos.data,
        training=np.sort(rows[~is_validation]),
        validation=validation,
        spare=validation,
        groups=groups,
    )


def tables(rows: list[Trained]) -> str:
    """A table a set: accuracy and log loss, and the paired difference to the default."""
    parts = []
    for title in dict.fromkeys(row.set for row in rows):
        lines = [
            f"### {title}",
            "",
            "| head | " + " | ".join(_size(size) for size in SIZES) + " |",
            "|---" * (len(SIZES) + 1) + "|",
        ]
        for method in METHODS:
            own = [row for row in rows if (row.set, row.method) == (title, method)]
            if own:
                cells = [_cell(own, rows, title, size) for size in SIZES]
                lines.append(f"| {method} | " + " | ".join(cells) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, summary(rows)])


def summary(rows: list[Trained]) -> str:
    """Means over all sets and sizes that every head was trained on, and their time."""
    methods = [one for one in METHODS if any(row.method == one for row in rows)]
    places = [{row.key[:3] for row in rows if row.method == one} for one in methods]
    common = set.intersection(*places)
    lines = ["### Mean of all", "", "| head | accuracy | log loss | seconds |", "|---|---|---|---|"]
    for method in methods:
        own = [row for row in rows if row.method == method and row.key[:3] in common]
        base = {row.key[:3]: row for row in rows if row.method == BASE}
        gain = [100 * (row.accuracy - base[row.key[:3]].accuracy) for row in own]
        less = [row.log_loss - base[row.key[:3]].log_loss for row in own]
        accuracy, loss, seconds = (
            float(np.mean([getattr(row, name) for row in own]))
            for name in ("accuracy", "log_loss", "seconds")
        )
        changes = ("", "") if method == BASE else (f" ({_mean(gain)})", f" ({_mean(less, 3)})")
        lines.append(
            f"| {method} | {accuracy:.1%}{changes[0]} | {loss:.3f}{changes[1]} | {seconds:.1f} |"
        )
    return "\n".join(lines)


def by_size(rows: list[Trained]) -> str:
    """Mean of all sets and splits, and the paired difference to the default, for each size."""
    sizes = [size for size in SIZES if any(row.size == size and row.method != BASE for row in rows)]
    base = {row.key[:3]: row for row in rows if row.method == BASE}
    lines = [
        "| head | " + " | ".join(map(_size, sizes)) + " | trainings | seconds |",
        "|---" * (len(sizes) + 3) + "|",
    ]
    for method in METHODS:
        own = [row for row in rows if row.method == method and row.key[:3] in base]
        own = [row for row in own if row.size in sizes]
        if own:
            cells = [_over_sets([row for row in own if row.size == size], base) for size in sizes]
            seconds = np.mean([row.seconds for row in own])
            lines.append(f"| {method} | {' | '.join(cells)} | {len(own)} | {seconds:.1f} |")
    return "\n".join(lines)


def _over_sets(own: list[Trained], base: dict[tuple[str, int | None, int], Trained]) -> str:
    if not own:
        return ""
    if own[0].method == BASE:
        accuracy, loss = (np.mean([getattr(row, name) for row in own]) for name in _FIGURES)
        return f"{accuracy:.1%}, {loss:.3f}"
    gain = [100 * (row.accuracy - base[row.key[:3]].accuracy) for row in own]
    less = [row.log_loss - base[row.key[:3]].log_loss for row in own]
    return f"{_mean(gain)}, {_mean(less, 3)}"


def _size(size: int | None) -> str:
    return "all" if size is None else f"{size} a class"


def _cell(own: list[Trained], rows: list[Trained], title: str, size: int | None) -> str:
    mine = {row.split: row for row in own if row.size == size}
    base = {
        row.split: row for row in rows if (row.set, row.size, row.method) == (title, size, BASE)
    }
    both = sorted(mine.keys() & base.keys())
    if not both:
        return ""
    accuracy = np.mean([mine[split].accuracy for split in both])
    loss = np.mean([mine[split].log_loss for split in both])
    if own[0].method == BASE:
        return f"{accuracy:.1%}, {loss:.3f}"
    gain = [100 * (mine[split].accuracy - base[split].accuracy) for split in both]
    less = [mine[split].log_loss - base[split].log_loss for split in both]
    return f"{accuracy:.1%} ({_mean(gain)}), {loss:.3f} ({_mean(less, 3)})"


def _mean(values: list[float], digits: int = 1) -> str:
    """Mean with half the width of its 95% interval."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:+.{digits}f}"
    half = float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    return f"{mean:+.{digits}f} ± {half:.{digits}f}"


if __name__ == "__main__":
    main()
