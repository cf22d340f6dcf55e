"""How the outcome of `retrain signals` looks."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from retrain_cli.cli import console
from retrain_cli.datasets.class_names import listed, shown_name
from retrain_cli.workflows.signals.imaging import LEAST_GROUPS, SignalSummary

_SHOWN = 8
"""Channels whose names are told."""


def show(summary: SignalSummary, form: console.Form) -> None:
    """Print how many images there are of each label, and what to do next."""
    if form == "json":
        console.document(_document(summary))
    else:
        if None not in summary.images:
            console.table(_table(summary))
        console.line(_done(summary))
        for reason, count in summary.left_out.items():
            console.note(f"left out {reason}: {count:,} windows")
    _warn(summary)
    if form != "json":
        output = shlex.quote(str(summary.output))
        step = "label" if None in summary.images else "bottlenecks"
        console.note(f"next: retrain {step} {output}")


def _document(summary: SignalSummary) -> dict[str, object]:
    labels = [
        {"label": label, "images": count, "groups": summary.groups[label]}
        for label, count in sorted(summary.images.items(), key=lambda pair: pair[0] or "")
    ]
    return {
        "output": str(summary.output),
        "recordings": summary.recordings,
        **summary.drawing.to_dict(),
        "channels": list(summary.channels),
        "labels": labels,
        "left_out": dict(summary.left_out),
    }


def _table(summary: SignalSummary) -> console.Table:
    rows = [
        (shown_name(label or ""), f"{count:,}", f"{summary.groups[label]:,}")
        for label, count in sorted(summary.images.items(), key=lambda pair: pair[0] or "")
    ]
    return console.Table(("label", "images", "groups"), rows, right=(1, 2))


def _done(summary: SignalSummary) -> str:
    images = sum(summary.images.values())
    drawing = summary.drawing
    word = "recording" if summary.recordings == 1 else "recordings"
    return (
        f"{images:,} images in {summary.output}: {drawing.picture} of {drawing.window:,} samples "
        f"of {_channels(summary.channels)}, from {summary.recordings:,} {word}"
    )


def _channels(names: Sequence[str]) -> str:
    return listed(names) if len(names) <= _SHOWN else f"{len(names):,} channels"


def _warn(summary: SignalSummary) -> None:
    few = sorted(label or "" for label, count in summary.groups.items() if count < LEAST_GROUPS)
    if None in summary.images:
        return
    if len(summary.images) < 2:
        console.warn("all images show the same, and a classifier needs 2 labels")
    elif few:
        console.warn(
            f"fewer than {LEAST_GROUPS} groups of windows that share no samples: {listed(few)}; "
            "a split gets none of them: more recordings, a smaller --block or a smaller --window "
            "give more"
        )
