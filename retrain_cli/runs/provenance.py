"""What a run was made from, how, and after which other runs; it can be told as commands.

A run may start from another one. It keeps all that is known of its parents, oldest first, so that
it can be made again when they are gone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path, PurePath
from typing import Any

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.table import RETIRED_CLASSES, SUCCESSOR
from retrain_cli.checks import check_types
from retrain_cli.datasets.splits import SPLITS
from retrain_cli.evaluation.predictions import Predictions
from retrain_cli.flags import flag_of
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.temperature import ScoreFit
from retrain_cli.images.distortions import Distortion
from retrain_cli.runs.command_lines import arguments, option, options_of
from retrain_cli.runs.joined_sources import JoinedSources
from retrain_cli.runs.making import Grown, Made, Trained, Tuned, as_record, made_of, path_or_none
from retrain_cli.storage.urls import as_place

_LONGEST = 200
"""Bytes of a run's name that its copy keeps; a folder's name may have 255."""


@dataclass(frozen=True)
class ImageCounts:
    """How many images a run knows, in all and by split, and how many it was trained on."""

    images: int | None = None
    training_images: int | None = None
    validation_images: int | None = None
    test_images: int | None = None
    trained_on: int | None = None

    @classmethod
    def of(cls, predictions: Predictions, trained_on: int | None) -> ImageCounts:
        """Those of a run with these predictions."""
        training, validation, test = (len(predictions.rows(split)) for split in SPLITS)
        return cls(len(predictions), training, validation, test, trained_on)


@dataclass(frozen=True)
class CommandStep:
    """A command without `retrain` in front, and what it is for."""

    arguments: tuple[str, ...]
    purpose: str


@dataclass(frozen=True)
class Remaking:
    """Commands that make a run again from nothing but photos and weights.

    Attributes:
        steps: the commands, in order.
        name: what the new run is called.
    """

    steps: tuple[CommandStep, ...]
    name: str


@dataclass(frozen=True)
class Provenance:
    """What a run was made from, and how.

    Attributes:
        image_dir: the image folder, absolute; or its URL.
        backbone: the backbone, settled.
        training: the training settings.
        source_classes: imagenet, none, or the path of a file.
        int_ext: file that overrides INT and EXT, or None.
        group: near-duplicates where these were split groups, else None.
        layout: what the first level of the folder was said to be.
        made: by which command.
        parents: the runs that it came from, oldest first, its own parent last.
        counts: how many images there were.
        joined: how the source classes were joined; None where they were not.
        fit: how its scores were fitted; None where they are as trained.
        complete: whether everything was noted when it was made; not so by older versions.
        distortion: how the views that it was trained on differ from the photos, as `Distortion`
            says it; empty where it was trained on none.
        cache_dtype: how the cache kept the numbers that it was trained on.
    """

    image_dir: PurePath
    backbone: BackboneSpec
    training: TrainingConfig
    source_classes: str = "none"
    int_ext: Path | None = None
    group: str | None = None
    made: Made = field(default_factory=Trained)
    parents: tuple[Parent, ...] = ()
    counts: ImageCounts = field(default_factory=ImageCounts)
    joined: JoinedSources | None = None
    fit: ScoreFit | None = None
    complete: bool = True
    layout: str = "auto"
    distortion: str = ""
    cache_dtype: str = "float32"

    @property
    def is_tuned(self) -> bool:
        """Whether the backbone is one that fine-tuning made."""
        return isinstance(self.made, Tuned) and self.made.won

    @property
    def views(self) -> tuple[str, int]:
        """How the views differ that training drew from last, and how many there were; "" and 0."""
        if isinstance(self.made, Tuned) and self.made.tuning.views:
            return str(self.made.tuning.distortion), self.made.tuning.views
        return self.distortion, (self.training.views or 0) if self.distortion else 0

    @property
    def made_with_calibration(self) -> bool:
        """Whether fitting the scores was part of the training."""
        return isinstance(self.made, Tuned) or (
            isinstance(self.made, Trained) and self.made.calibrate
        )

    def uninterrupted(self) -> Provenance:
        """The same had its training come to its end: where it lends settings, and no head."""
        if isinstance(self.made, Grown):
            return self
        return replace(self, made=replace(self.made, stopped_at=None))

    def line(self, name: str, *, calibrated: bool) -> tuple[Parent, ...]:
        """The run under its name after its parents: the parents of a run that comes from it."""
        return (*self.parents, Parent(name, replace(self, parents=()), calibrated))

    def commands(self, name: str, *, calibrated: bool, taken: Collection[str] = ()) -> Remaking:
        """The commands that make the run and its parents again, each under a new name.

        Args:
            name: the run's name.
            calibrated: whether it was calibrated afterwards.
            taken: names that no new run may have.
        """
        steps: list[CommandStep] = []
        prepared: CommandStep | None = None
        used = {*taken}
        parent: str | None = None
        for one in self.line(name, calibrated=calibrated):
            bottlenecks = one.provenance.bottlenecks_step()
            if bottlenecks != prepared:
                steps.append(bottlenecks)
                prepared = bottlenecks
            new = _new_name(one.name, used)
            used.add(new)
            steps.append(one.provenance._making_step(new, parent))
            if one.calibrated:
                again = ("eval", *option("--run", new), "--calibrate")
                steps.append(CommandStep(again, "calibrate its scores"))
            parent = new
        return Remaking(tuple(steps), new)

    def bottlenecks_step(self) -> CommandStep:
        """The command that computes what the run was trained on."""
        spec, source = self.backbone, self.source_classes
        if isinstance(self.made, Tuned):
            spec = self.made.base
        purpose = "compute the bottlenecks"
        if spec.is_retired:
            purpose += f" (their backbone, {spec.name}, is no longer part of retrain)"
            spec = BackboneSpec(SUCCESSOR)
            if Path(source).name == RETIRED_CLASSES:
                source = spec.default_source_classes()
        settled = {*spec.settles_itself}  # by the command itself
        own = source == spec.default_source_classes()
        said = (
            *option(flag_of("name", BackboneSpec), spec.name),
            *options_of(spec, leave_out=("name", *settled)),
            *option(flag_of("source_classes"), None if own else source),
            *option(flag_of("int_ext"), self.int_ext),
            *option(flag_of("group"), self.group),
            *option(flag_of("layout"), None if self.layout == "auto" else self.layout),
            *option(flag_of("views"), self.training.views or None),
            *options_of(Distortion.parse(self.distortion)),
            *option(
                flag_of("cache_dtype"), None if self.cache_dtype == "float32" else self.cache_dtype
            ),
        )
        if not self.complete:
            purpose += " (an older version made this run, and did not note --group and --int-ext)"
        return CommandStep(("bottlenecks", *arguments(str(self.image_dir)), *said), purpose)

    def _making_step(self, name: str, parent: str | None) -> CommandStep:
        made, purpose = self.made, self.made.purpose
        if made.parent is None:
            return CommandStep(made.arguments(self.training, name, None), purpose)
        if parent is None:
            purpose += f" (the run {made.parent} that it came from is not known any more)"
        return CommandStep(made.arguments(self.training, name, parent or made.parent), purpose)

    def facts(self) -> dict[str, Any]:
        """Everything but settings, backbone and counts as JSON values; parents by their names."""
        facts = {
            "image_dir": str(self.image_dir),
            "backbone": self.backbone.label(),
            "source_classes": self.source_classes,
            "int_ext": None if self.int_ext is None else str(self.int_ext),
            "group": self.group,
            "layout": self.layout,
            **self.made.facts(),
        }
        if self.distortion:
            facts["distortion"] = self.distortion
        if self.cache_dtype != "float32":
            facts["cache_dtype"] = self.cache_dtype
        if self.joined is not None:
            facts["source_head"] = self.joined.to_dict()
        if self.fit is not None:
            facts["scores"] = self.fit.to_dict()
        if self.parents:
            facts["parents"] = [parent.name for parent in self.parents]
        return facts

    def described(self) -> dict[str, Any]:
        """The facts and the counts, for people."""
        return {**self.facts(), **asdict(self.counts)}

    def to_dict(self) -> dict[str, Any]:
        """As JSON values without settings and backbone: the `dataset` of a run's `config.json`."""
        values = self.described()
        if self.parents:
            values["parents"] = [parent.to_dict() for parent in self.parents]
        if not self.complete:
            values["complete"] = False
        return values

    @classmethod
    def from_dict(
        cls, facts: Mapping[str, Any], backbone: BackboneSpec, training: TrainingConfig
    ) -> Provenance:
        """The inverse of `to_dict`; what older versions wrote is read, too.

        Raises:
            TypeError, KeyError, ValueError: something is missing or of the wrong kind.
        """
        facts = as_record(facts)
        joined = facts.get("source_head")
        provenance = cls(
            as_place(facts["image_dir"]),
            backbone,
            training,
            str(facts.get("source_classes", "none")),
            path_or_none(facts.get("int_ext")),
            facts.get("group"),
            made_of(facts),
            tuple(map(Parent.from_dict, facts.get("parents", ()))),
            ImageCounts(**{one.name: facts.get(one.name) for one in fields(ImageCounts)}),
            None if joined is None else JoinedSources.from_dict(as_record(joined)),
            None if facts.get("scores") is None else ScoreFit(**as_record(facts["scores"])),
            complete=bool(facts.get("complete", "made_by" in facts)),
            layout=str(facts.get("layout", "auto")),
            distortion=str(facts.get("distortion", "")),
            cache_dtype=str(facts.get("cache_dtype", "float32")),
        )
        for record in (provenance, provenance.made, provenance.counts):
            check_types(record)
        return provenance


@dataclass(frozen=True)
class Parent:
    """A run that another one came from, as it was then.

    Attributes:
        name: its name.
        provenance: what it was made from, without its own parents.
        calibrated: whether it was calibrated, where that changed the other run.
    """

    name: str
    provenance: Provenance
    calibrated: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "name": self.name,
            "calibrated": self.calibrated,
            "training": self.provenance.training.to_dict(),
            "backbone": self.provenance.backbone.to_dict(),
            "dataset": self.provenance.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Parent:
        """The inverse of `to_dict`; raises as `Provenance.from_dict`."""
        values = as_record(values)
        training = TrainingConfig.from_dict(as_record(values["training"]))
        backbone = BackboneSpec.from_dict(as_record(values["backbone"]))
        provenance = Provenance.from_dict(values["dataset"], backbone, training)
        return cls(str(values["name"]), provenance, bool(values["calibrated"]))


def _new_name(name: str, taken: Collection[str]) -> str:
    """`NAME-again`, with a number where that is taken; short enough for the name of a folder."""
    short = name.encode()[:_LONGEST].decode(errors="ignore").rstrip()
    numbers = ("", *(f"-{number}" for number in range(2, len(taken) + 3)))
    return next(new for number in numbers if (new := f"{short}-again{number}") not in taken)
