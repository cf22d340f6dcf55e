"""By which command a run was made, with what of it no settings of the head tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.flags import flag_of
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.command_lines import arguments, option, options_of
from retrain_cli.storage.urls import as_place


@dataclass(frozen=True)
class Searched:
    """Of how many settings those of a run were the best, and how good by what chose them.

    Attributes:
        trials: how many settings were tried.
        ranked_by: log-loss or top1.
        cv: number of folds that judged; None where the validation photos did.
        log_loss: of the best, on the photos that judged.
        top1: share of right answers likewise.
        data: digest of the photos that it was searched on.
    """

    trials: int
    ranked_by: str
    cv: int | None
    log_loss: float
    top1: float
    data: str = ""


@dataclass(frozen=True)
class Trained:
    """How `train` made a run, beside its settings; the names are those of `TrainRequest`.

    Attributes:
        init_from: name of the run whose head it started from, its parent; None for a new head.
        cv: number of folds that it was cross-validated with; None for none.
        keep_source_classes: whether the backbone's own classes were joined to it.
        top: weights file with the backbone's classifier for that; None for its own.
        stopped_at: the last step before Ctrl-C; None where it ended by itself.
        calibrate: whether the scores were fitted at the end of training; older versions did not.
        search: the search that found the settings; None where there was none.
    """

    init_from: str | None = None
    cv: int | None = None
    keep_source_classes: bool = False
    top: Path | None = None
    stopped_at: int | None = None
    calibrate: bool = True
    search: Searched | None = None

    @property
    def parent(self) -> str | None:
        """Name of the run that it came from."""
        return self.init_from

    @property
    def added(self) -> tuple[str, ...]:
        """Classes that came by `add-class`: none."""
        return ()

    def facts(self) -> dict[str, Any]:
        """As JSON values."""
        top = None if self.top is None else str(self.top)
        said = {"init_from": self.init_from, "made_by": "train", **asdict(self), "top": top}
        if self.search is None:
            del said["search"]
        return said

    def arguments(self, settings: TrainingConfig, name: str, parent: str | None) -> tuple[str, ...]:
        """The command that makes the run under a name, from a parent that may have another."""
        if self.stopped_at is not None:
            settings = replace(settings, steps=self.stopped_at)
        how = replace(self, init_from=parent)
        settled = () if settings.balance is None else ("sampling",)  # by the balance
        said = (
            *options_of(settings, leave_out=settled),
            *options_of(how, leave_out=("stopped_at", "search")),
        )
        return ("train", *said, *option("--name", name))

    @property
    def purpose(self) -> str:
        """What the command is for."""
        return "train the head"


@dataclass(frozen=True)
class Grown:
    """How `add-class` made a run; the names are those of `AddClassRequest`.

    Attributes:
        run: name of the run that it grew from, its parent.
        class_name: the class that came to it.
        photos: what the class was made of: files or folders, absolute, or URLs.
        test: what measured it: files or folders, absolute, or URLs.
        retrain: whether all classes were trained again.
        before: classes that came to its parents in the same way, oldest first.
    """

    run: str
    class_name: str
    photos: tuple[PurePath, ...] = ()
    test: tuple[PurePath, ...] = ()
    retrain: bool = False
    before: tuple[str, ...] = ()

    @property
    def parent(self) -> str:
        """Name of the run that it came from."""
        return self.run

    @property
    def added(self) -> tuple[str, ...]:
        """Classes that came by `add-class`, oldest first."""
        return (*self.before, self.class_name)

    def facts(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "made_by": "add-class",
            "added": list(self.added),
            "added_to": self.run,
            "retrained": self.retrain,
            "photos": [str(path) for path in self.photos],
            "test_photos": [str(path) for path in self.test],
        }

    def arguments(self, settings: TrainingConfig, name: str, parent: str | None) -> tuple[str, ...]:
        """The command that makes the run under a name, from a parent that may have another."""
        how = replace(self, run=parent or self.run)
        said = options_of(how, leave_out=("class_name", "photos", "before"))
        last = arguments(self.class_name, *map(str, self.photos))
        return ("add-class", *said, *option("--name", name), *last)

    @property
    def purpose(self) -> str:
        """What the command is for."""
        return f"add the class {self.class_name}"


@dataclass(frozen=True)
class Tuned:
    """How `finetune` made a run, beside the settings of its head.

    Attributes:
        base: the backbone that it started from, settled.
        tuning: the settings.
        from_run: name of the run whose head it started from, its parent; None for a new head.
        won: whether the tuned backbone was kept; else the head alone was better.
        stopped_at: the last epoch before Ctrl-C; None where it ended by itself.
    """

    base: BackboneSpec
    tuning: TuningConfig
    from_run: str | None = None
    won: bool = True
    stopped_at: int | None = None

    @property
    def parent(self) -> str | None:
        """Name of the run that it came from."""
        return self.from_run

    @property
    def added(self) -> tuple[str, ...]:
        """Classes that came by `add-class`: none."""
        return ()

    def facts(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "made_by": FINETUNE,
            "from_run": self.from_run,
            "base_backbone": self.base.to_dict(),
            "tuning": self.tuning.to_dict(),
            "tuned_backbone_kept": self.won,
            "stopped_at": self.stopped_at,
        }

    def arguments(self, settings: TrainingConfig, name: str, parent: str | None) -> tuple[str, ...]:
        """The command that makes the run under a name, from a parent that may have another."""
        said = () if self.from_run is not None else _of_head(settings)
        epochs = self.tuning.epochs if self.stopped_at is None else self.stopped_at
        return (
            FINETUNE,
            *options_of(replace(self.tuning, epochs=epochs), leave_out=("distortion",)),
            *options_of(self.tuning.distortion),
            *said,
            *option("--from", parent),
            *option("--name", name),
        )

    @property
    def purpose(self) -> str:
        """What the command is for."""
        return "fine-tune the backbone"


FINETUNE = "finetune"
HEAD_SETTINGS = (
    "testing_percentage",
    "validation_percentage",
    "examples_per_class",
    "classes",
)
"""Of the settings of a head those that `finetune` has, too; with `--from` they are the run's."""


def _of_head(settings: TrainingConfig) -> tuple[str, ...]:
    usual = TrainingConfig()
    return tuple(
        word
        for name in HEAD_SETTINGS
        if getattr(settings, name) != getattr(usual, name)
        for word in option(flag_of(name), getattr(settings, name))
    )


Made = Trained | Grown | Tuned


def made_of(facts: Mapping[str, Any]) -> Made:
    """The inverse of `facts`.

    Raises:
        TypeError, KeyError, ValueError, ConfigError: something is missing or of the wrong kind.
    """
    if facts.get("made_by") == FINETUNE:
        return Tuned(
            BackboneSpec.from_dict(as_record(facts["base_backbone"])),
            TuningConfig.from_dict(as_record(facts["tuning"])),
            facts.get("from_run"),
            bool(facts["tuned_backbone_kept"]),
            facts.get("stopped_at"),
        )
    if facts.get("added_to") is None:
        return Trained(
            facts.get("init_from"),
            facts.get("cv"),
            bool(facts.get("keep_source_classes", "source_head" in facts)),
            path_or_none(facts.get("top")),
            facts.get("stopped_at"),
            bool(facts.get("calibrate", False)),
            _searched(facts.get("search")),
        )
    *before, class_name = _texts(facts["added"])
    return Grown(
        str(facts["added_to"]),
        class_name,
        tuple(map(as_place, _texts(facts.get("photos", [])))),
        tuple(map(as_place, _texts(facts.get("test_photos", [])))),
        bool(facts["retrained"]),
        tuple(before),
    )


def _searched(values: Any) -> Searched | None:
    return None if values is None else Searched(**as_record(values))


def path_or_none(text: str | None) -> Path | None:
    """A path where there is one."""
    return None if text is None else Path(text)


def as_record(value: Any) -> Mapping[str, Any]:
    """A JSON object; raises TypeError for any other value."""
    if not isinstance(value, Mapping):
        raise TypeError(f"a record was expected, not {value!r}")
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"a list of names was expected, not {value!r}")
    return value
