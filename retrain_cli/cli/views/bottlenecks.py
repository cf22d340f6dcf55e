"""How the outcome of `retrain bottlenecks` looks."""

from __future__ import annotations

from typing import Any

from retrain_cli.cli import console
from retrain_cli.cli.views.names import show_hints
from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.reports.text import printable
from retrain_cli.runs.shell import shell_line
from retrain_cli.workflows.augmentation.cached_views import ViewCounts
from retrain_cli.workflows.sharding.shard_place import ShardProgress, in_words
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.shared.passed_over import PassedOver
from retrain_cli.workflows.shared.plan import Plan
from retrain_cli.workflows.summaries.bottleneck_summary import (
    BottleneckSummary,
    ClassRow,
    faster_next_time,
)

_KINDS_SHOWN = 5
_BAD_SHOWN = 10
"""Bad images listed on a terminal; `--json` lists all."""


def show_summary(summary: BottleneckSummary, form: console.Form) -> None:
    """Print the class table and what was done."""
    if form == "json":
        console.document(_summary_dict(summary))
    else:
        if summary.shard is None:
            console.table(_class_table(summary.classes))
        console.line(_done(summary))
        if summary.chosen_layer:
            console.line(f"layer: {summary.chosen_layer}")
    _show_bad(summary.bad)
    _show_passed_over(summary.passed_over)
    _warn(summary)
    show_hints(row.origin for row in summary.classes)
    if form != "json":
        console.note(f"next: {_next(summary)}")


def _next(summary: BottleneckSummary) -> str:
    shard = summary.shard
    if shard is None:
        return "retrain train"
    again = shell_line(("retrain", "bottlenecks", str(summary.used.image_dir)))
    then = f"retrain cache merge, then {again}"
    if not shard.missing:
        return f"all {shard.shard.count} shards are here: {then}"
    return (
        f"shard(s) {in_words(shard.missing)} of {shard.shard.count} missing here; machines that do "
        f"not see this disk take a copy of {shard.settled} with --settled; in the end {then}"
    )


def show_plan(plan: Plan, form: console.Form) -> None:
    """Print what would be done."""
    if form == "json":
        console.document(_plan_dict(plan))
    else:
        rows = [
            ("image folder", str(plan.used.image_dir)),
            ("backbone", plan.used.backbone.label()),
            ("images found", f"{plan.found:,}"),
            ("cached", f"{plan.cached:,}"),
            ("to compute", f"{plan.to_do:,}"),
            *([("views to compute", f"{plan.views:,}")] if plan.views else []),
            ("bad", f"{len(plan.bad):,}"),
            ("disk needed", _disk(plan.disk_bytes)),
            *([("numbers kept as", plan.cache_dtype)] if plan.cache_dtype != "float32" else []),
            ("expected time", _expected(plan)),
        ]
        console.table(console.Table(("plan", ""), rows, prose=(1,)))
    for warning in plan.warnings:
        console.warn(warning)
    if plan.note:
        console.note(plan.note)
    _show_bad(plan.bad)


def matched_text(origin: ClassOrigin) -> str:
    """The source class that a class was matched with."""
    return f"{origin.matched} (ambiguous)" if origin.ambiguous else origin.matched


def _class_table(classes: list[ClassRow]) -> console.Table:
    columns = ("class", "images", "training", "validation", "test", "INT/EXT", "source class")
    rows = [
        [
            row.origin.class_name,
            str(row.images),
            str(row.training),
            str(row.validation),
            str(row.test),
            row.origin.origin or "n/a",
            matched_text(row.origin),
        ]
        for row in classes
    ]
    return console.Table(
        columns,
        rows,
        right=range(1, 5),
        short={2: "train", 3: "val"},
        spare=(6,),
        more="`retrain classes`",
    )


def _done(summary: BottleneckSummary) -> str:
    rate = summary.images_per_second
    origins = [row.origin.origin for row in summary.classes]
    classes = f"{len(origins)} classes"
    if any(origins):
        classes += f" ({origins.count('INT')} INT, {origins.count('EXT')} EXT)"
    if summary.shard is not None:
        classes = f"shard {summary.shard.shard}"
    parts = [
        f"{summary.found:,} images in {classes}",
        f"{summary.cached:,} cached",
        f"{summary.computed:,} computed",
        _views_done(summary.views),
        f"{len(summary.bad):,} skipped",
        f"{rate:.1f} img/s on {summary.device}" if rate else "",
        summary.used.backbone.label(),
    ]
    return ", ".join(part for part in parts if part)


def _views_done(views: ViewCounts | None) -> str:
    if views is None:
        return ""
    return f"{views.each} views of each ({views.distortion}), {views.computed:,} of them computed"


def _disk(count: int | None) -> str:
    return "not known before the first batch" if count is None else console.size(count)


def _expected(plan: Plan) -> str:
    if not plan.to_do:
        return "nothing to do"
    if plan.seconds is None:
        return "not known before this backbone's first run"
    return console.duration(plan.seconds)


def _show_bad(bad: list[tuple[str, str]]) -> None:
    for path, reason in bad[:_BAD_SHOWN]:
        console.warn(f"skipped {path}: {reason}")
    if len(bad) > _BAD_SHOWN:
        console.warn(f"skipped {len(bad) - _BAD_SHOWN} more: --json lists them all")


def _show_passed_over(passed_over: PassedOver) -> None:
    """What was not read: pictures and videos with what to do, the rest in one line."""
    for unread, count in passed_over.kinds:
        if unread.is_picture:
            console.warn(f"passed over {count:,} x {unread.kind}, not read: {unread.remedy}")
    others = tuple(kind for kind in passed_over.kinds if not kind[0].is_picture)
    if others:
        console.note(f"passed over {PassedOver(others).in_words(_KINDS_SHOWN)}")
    for name in passed_over.classes:
        console.warn(
            f"class {printable(name)!r} is not in the dataset: none of its files is an image that "
            "is read"
        )


def _warn(summary: BottleneckSummary) -> None:
    if summary.note:
        console.warn(summary.note)
    for row in summary.classes:
        if row.origin.ambiguous:
            console.warn(
                f"{row.origin.class_name!r} is the name of two source classes "
                f"({', '.join(row.origin.wnids)}): say which with --int-ext FILE"
            )
    for warning in summary.few_photos:
        console.warn(warning)
    if summary.loose_files:
        console.warn(
            f"{summary.loose_files} file(s) lie outside of any class folder and were left out"
        )
    if summary.straddling:
        console.warn(
            f"{summary.straddling} photo(s) stand in more than one of the given splits, so the "
            "test will look better than it is: remove the copies"
        )
    duplicates = summary.found - summary.distinct
    if duplicates:
        console.note(f"{duplicates} exact duplicate(s), each kept with its original in one split")
    if summary.near_duplicates is not None:
        console.note(
            f"{summary.near_duplicates.groups:,} group(s) of near duplicates, "
            f"{summary.near_duplicates.photos:,} photos in all, each group in one split"
        )
    if advice := faster_next_time(summary):
        console.note(advice)
    spec = summary.used.backbone
    if summary.used.source_classes == "imagenet" and spec.weights_file is not None:
        console.note(
            "INT/EXT takes the weights file for one trained on ImageNet; --source-classes none or "
            "FILE says otherwise"
        )


def _shard_dict(progress: ShardProgress) -> dict[str, Any]:
    shard, done, missing = progress.shard, progress.done, progress.missing
    return {"number": shard.number, "count": shard.count, "done": [*done], "missing": [*missing]}


def _used_dict(used: LastUsed) -> dict[str, Any]:
    return {
        "image_dir": str(used.image_dir),
        "backbone": used.backbone.to_dict(),
        "source_classes": used.source_classes,
    }


def _bad_list(bad: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"path": path, "reason": reason} for path, reason in bad]


def _plan_dict(plan: Plan) -> dict[str, Any]:
    return {
        **_used_dict(plan.used),
        "images": plan.found,
        "cached": plan.cached,
        "to_compute": plan.to_do,
        "views_to_compute": plan.views,
        "bad": _bad_list(plan.bad),
        "disk_bytes": plan.disk_bytes,
        "cache_dtype": plan.cache_dtype,
        "seconds": plan.seconds,
        "note": plan.note,
        "warnings": list(plan.warnings),
    }


def _summary_dict(summary: BottleneckSummary) -> dict[str, Any]:
    return {
        **_used_dict(summary.used),
        "cache": str(summary.cache_path),
        "images": summary.found,
        "distinct_images": summary.distinct,
        "cached": summary.cached,
        "computed": summary.computed,
        "bad": _bad_list(summary.bad),
        "passed_over": [
            {"kind": unread.kind, "files": count, "remedy": unread.remedy}
            for unread, count in summary.passed_over.kinds
        ],
        "classes_passed_over": list(summary.passed_over.classes),
        "images_per_second": summary.images_per_second,
        "device": summary.device,
        "note": summary.note,
        **({"shard": _shard_dict(summary.shard)} if summary.shard else {}),
        **({"chosen_layer": summary.chosen_layer} if summary.chosen_layer else {}),
        "warnings": [*summary.warnings, *summary.few_photos],
        "near_duplicates": summary.near_duplicates and vars(summary.near_duplicates),
        "views": summary.views
        and {**vars(summary.views), "distortion": str(summary.views.distortion)},
        "classes": [
            {
                "class": row.origin.class_name,
                "images": row.images,
                "training": row.training,
                "validation": row.validation,
                "test": row.test,
                "origin": row.origin.origin,
                "wnids": list(row.origin.wnids),
                "matched": row.origin.matched,
                "hint": row.origin.hint,
            }
            for row in summary.classes
        ],
    }
