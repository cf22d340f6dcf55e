"""What `retrain eval` prints instead of its figures: the matrix, the mistakes, the pairs."""

from __future__ import annotations

from retrain_cli.cli import console
from retrain_cli.workflows.evaluate import Evaluation


def show_confusion(evaluation: Evaluation, form: console.Form) -> None:
    """The confusion matrix: a row for each true class, a column for each predicted one."""
    names = evaluation.result.class_names
    matrix = evaluation.result.confusion().tolist()
    if form == "json":
        console.document({"run": evaluation.run.name, "classes": names, "confusion": matrix})
        return
    rows = [[name, *map(str, counts)] for name, counts in zip(names, matrix, strict=True)]
    if form == "csv":
        console.csv_table(["true", *names], rows)
        return
    header = [str(number) for number in range(1, len(names) + 1)]
    numbered = [
        [f"{number} {row[0]}", *("·" if cell == "0" else cell for cell in row[1:])]
        for number, row in enumerate(rows, start=1)
    ]
    columns = ["true \\ predicted", *header]
    console.table(console.Table(columns, numbered, right=range(1, len(columns)), alike=True))


def show_misclassified(evaluation: Evaluation, form: console.Form) -> None:
    """The mistakes, the surest first; bare tab-separated lines in a pipe."""
    columns = ("path", "true", "predicted", "score")
    mistakes = evaluation.misclassified()
    if form == "json":
        console.document([vars(mistake) for mistake in mistakes])
        return
    rows = [[m.path, m.true, m.predicted, f"{m.score:.4f}"] for m in mistakes]
    console.rows_for_programs(console.Table(columns, rows, right=(3,)), form)


def show_confused(evaluation: Evaluation, form: console.Form) -> None:
    """The pairs of classes that are mistaken, the most frequent first."""
    pairs = evaluation.result.confused_pairs()
    if form == "json":
        console.document([pair.to_dict() for pair in pairs])
        return
    columns = ("true", "predicted", "count", "images", "share")
    rows = [[p.true, p.predicted, str(p.count), str(p.n_images), f"{p.share:.4f}"] for p in pairs]
    console.rows_for_programs(console.Table(columns, rows, right=(2, 3, 4)), form)
