"""How the outcome of `retrain advise` looks."""

from __future__ import annotations

from collections.abc import Iterator

from retrain_cli.cli import console
from retrain_cli.flags import flag_of
from retrain_cli.similarity.familiarity import APART, EXCESS, Familiarity
from retrain_cli.workflows.transfer.advise import Advice

_FEWEST = 3
"""Training photos of a class below which nothing can be chosen by them."""


def show_advice(advice: Advice, form: console.Form) -> None:
    """Print facts, scenario and commands; what to think of them goes to stderr."""
    if form == "json":
        console.document(advice.to_dict())
    else:
        console.table(console.Table(("what", "is", "and means"), list(_facts(advice)), prose=(2,)))
        for line in _scenarios(advice):
            console.line(line)
    _say_what_to_think(advice, form)


def _facts(advice: Advice) -> Iterator[tuple[str, str, str]]:
    size = "many" if advice.advised[0].scenario.is_large else "few"
    yield "photos", f"{advice.photos:,}", f"in {advice.classes:,} classes"
    yield (
        "training photos a class",
        f"{advice.training_a_class:g}",
        f"{size}; the median, of the smallest class {advice.fewest}",
    )
    yield "INT classes", f"{advice.int_share:.0%}", "known to the backbone by their names"
    if advice.familiarity is not None:
        yield from _similarity(advice.familiarity)


def _similarity(found: Familiarity) -> Iterator[tuple[str, str, str]]:
    near = "near" if found.is_near else "not near"
    yield (
        "nearest prototype",
        f"{found.prominence:.1f} SD",
        f"{near}: chance is {found.chance:.1f}, near from {found.chance + EXCESS:.1f}",
    )
    yield "its cosine distance", f"{found.distance:.2f}", "of bottleneck and prototype"
    yield "its confidence", f"{found.confidence:.0%}", "of the backbone's own classifier"
    apart = "tells classes apart" if found.tells_apart else "does not tell classes apart"
    yield (
        "same answer in a class",
        f"{found.within:.0%}",
        f"between classes {found.between:.0%}: {apart}, which takes {100 * APART:.0f} points",
    )


def _scenarios(advice: Advice) -> Iterator[str]:
    for one in advice.advised:
        yield f"scenario {one.scenario.number}: {one.scenario.title}"
        yield f"advice: {one.scenario.advice}"
        for command in one.commands:
            yield f"    {command}"


def _say_what_to_think(advice: Advice, form: console.Form) -> None:
    if advice.why_not is not None:
        console.warn(
            "how much the photos are like the original ones is not known, so both scenarios of "
            f"this size are told: {advice.why_not.worded(flag_of)}"
        )
    if advice.cannot_be_cut:
        console.warn(
            f"{advice.backbone} has no layers that are known, so a head on its top is all that can "
            "be trained: `retrain bottlenecks` takes one of `retrain doctor --backbones`"
        )
    if advice.fewest < _FEWEST:
        console.warn(
            f"the smallest class has {advice.fewest} training photos: add some, for what is learnt "
            f"from so few seldom holds, and `--layer auto` takes {_FEWEST} of each class"
        )
    if form == "json":
        return
    record = advice.record
    console.note(
        f"note: this may be wrong. docs/study.md holds it against {record.cases} cases of up to "
        f"{record.most_photos} training photos a class: the advised strategy was the best of those "
        f"compared in {record.won}, level with the best in {record.level}, and worse in "
        f"{record.lost}; advice for more photos was not measured"
    )
    if not advice.cannot_be_cut:
        console.note(f"to measure all four on your photos: {advice.check}")
