"""What `retrain finetune` is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from retrain_cli.errors import ConfigError, setting
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.making import HEAD_SETTINGS
from retrain_cli.runs.run import Run
from retrain_cli.workflows.tuning.starting_weights import StartingWeights

_HEAD_STEPS = 1_000
"""Of the head alone, which every epoch has to beat: as many as make no difference to 10,000."""


@dataclass(frozen=True)
class FinetuneRequest:
    """What to fine-tune: the backbone last used, on the dataset last used.

    Attributes:
        tuning: how.
        from_run: the run whose split and classes it takes, and whose head every epoch has to beat;
            None for a new head.
        weights: which weights the backbone starts from: imagenet, random, a weights file, or the
            run whose backbone it is; None for the backbone last used.
        init_from: the run whose tuned weights the backbone last used starts from; one that was
            trained on another folder, say. None for none.
        name: name of the new run; None for one made of the time.
        note: what to remember about it, in one line.
        resume: go on with a fine-tuning of the same settings that was cut short.
        testing_percentage: share of the photos for test; None for the usual, or the run's.
        validation_percentage: likewise for validation.
        examples_per_class: train on at most this many photos of each class.
        classes: train on these classes only; None for all.
        workers: how many readers read and decode photos; None: one a processor.
        device: auto, cpu, gpu or gpu:N, for the frozen part.
    """

    tuning: TuningConfig = field(default_factory=TuningConfig)
    from_run: str | None = None
    weights: str | None = None
    init_from: str | None = None
    name: str | None = None
    note: str = ""
    resume: bool = False
    testing_percentage: float | None = None
    validation_percentage: float | None = None
    examples_per_class: int | None = None
    classes: tuple[str, ...] | None = None
    workers: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.from_run is not None:
            for name in HEAD_SETTINGS:
                if getattr(self, name) is not None:
                    raise ConfigError(
                        f"with {setting('FinetuneRequest.from_run')} the photos are split as that "
                        f"run split them, so {setting(name)} cannot be given, too: leave one out"
                    )
        if self.weights is not None and self.init_from is not None:
            raise ConfigError(
                f"the backbone starts from one set of weights, and both "
                f"{setting('FinetuneRequest.weights')} and {setting('init_from')} were given: "
                "leave one out"
            )
        self.head_config(None)
        _ = self.settings  # it checks the rest

    @property
    def start(self) -> StartingWeights:
        """Which weights the backbone starts from."""
        return StartingWeights(self.weights, self.init_from)

    @property
    def settings(self) -> ExtractionSettings:
        """How photos are read."""
        return ExtractionSettings(workers=self.workers, device=self.device)

    def head_config(self, parent: Run | None) -> TrainingConfig:
        """How the head is trained, or was.

        Raises:
            ConfigError: a setting cannot work.
        """
        if parent is not None:
            return parent.config
        given = {name: getattr(self, name) for name in HEAD_SETTINGS}
        said = {name: value for name, value in given.items() if value is not None}
        return TrainingConfig(steps=_HEAD_STEPS, seed=self.tuning.seed, **said).validate()
