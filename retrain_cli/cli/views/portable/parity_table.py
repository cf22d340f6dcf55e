"""How an export looks: each file beside the run itself."""

from __future__ import annotations

import math

from retrain_cli.cli import console
from retrain_cli.exporting.parity import TIE, Parity
from retrain_cli.workflows.portable.export_request import ExportedFile, ExportSummary

_HEADING = ("", "MB", "score diff", "other label", "accuracy", "ms", "p95 ms")


def show_export(done: ExportSummary, form: console.Form) -> None:
    """Print the table of an export, or its JSON document."""
    if form == "json":
        console.document(done.to_dict())
        return
    latency = done.own.latency
    own = ["the run itself", "", "", "", f"{done.accuracy:.1%}", *_milliseconds(latency)]
    rows = [own, *(_row(one) for one in done.files)]
    console.table(console.Table(_HEADING, rows, right=(1, 2, 3, 4, 5, 6)))
    photos = len(done.own.seconds)
    console.note(
        f"{photos:,} test photos, one at a time; ms from a photo's bytes to its scores; "
        "differences are to the run in float32"
    )
    if any(one.parity.ties for one in done.files):
        console.note(f"a tie: the run's own scores for both labels are less than {TIE:g} apart")
    if done.precision != "float32":
        console.note(
            f"the run itself computes in {done.precision}; float32 is what its files are held to"
        )
    if done.missing:
        console.warn(f"{done.missing:,} test photo(s) are not there any more, or have changed")
    for one in done.files:
        console.line(str(one.path))
    console.note(f"model card, labels, figures and example: {done.folder}")


def _row(one: ExportedFile) -> list[str]:
    figures = one.to_dict()
    difference = one.parity.largest_difference
    return [
        f"{one.described.format} {one.described.precision}",
        f"{one.bytes / 1e6:.1f}",
        "no number" if math.isinf(difference) else f"{difference:.2g}",
        _others(one.parity),
        f"{figures['accuracy']:.1%}",
        *_milliseconds(figures["latency_ms"]),
    ]


def _others(parity: Parity) -> str:
    ties = parity.ties
    tied = "" if not ties else f" ({ties:,} tie{'s' if ties > 1 else ''})"
    return f"{parity.other_labels:,}{tied}"


def _milliseconds(latency: dict[str, float]) -> list[str]:
    return [f"{latency['median']:.1f}", f"{latency['p95']:.1f}"]
