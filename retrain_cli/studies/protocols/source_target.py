"""`study source-target`: does a network that knows other photos of the classes learn these sooner?

M. A. Molina, G. Asencio-Cortes, J. C. Riquelme and F. Martinez-Alvarez, "A preliminary study on
deep transfer learning applied to image classification for small datasets". The photos of each class
are clustered by their bottlenecks; the larger of the first two nodes is source, the smaller target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np

from retrain_cli.checks import check_least
from retrain_cli.errors import ConfigError, setting
from retrain_cli.heads.history import HistoryRow, TrainingProgress
from retrain_cli.heads.memory import available_memory
from retrain_cli.heads.sampling import select_classes
from retrain_cli.similarity.class_trees import Clustering, Linkage, Metric
from retrain_cli.studies.source_target.lessons import LearningRules, Pupil, SchemeScore, School
from retrain_cli.studies.source_target.scheme_tables import (
    BOTH,
    SOURCE,
    TARGET,
    Combination,
    SchemePlan,
    show_plan,
)
from retrain_cli.studies.source_target.sides import (
    PhotoPool,
    SourceTarget,
    draw_test,
    first_level,
    second_level,
)
from retrain_cli.studies.study import (
    Groups,
    Study,
    StudyResult,
    StudySettings,
    option,
    repeated,
)
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import Trial, TrialContext

PAPER = "paper"
"""The network of the paper, beside the names of backbones."""
_PAPER_RULES = LearningRules()

OpenSchool = Callable[[StudyData, LearningRules], AbstractContextManager[School]]


@dataclass(frozen=True, eq=False)
class SourceTargetStudy(Study):
    """Train on the larger cluster of each class, retrain the top on the smaller one: does it help?

    Four schemes are tested on the same part of the target: trained on the rest of the target, on
    the source, on both, and on the source with the last two layers trained again on the target.
    Then each combination of the next four clusters of a class is the target.

    Attributes:
        open_school: gives what makes untrained networks for the photos.
        network_facts: what tells the network from others, as JSON values.
        classes: the classes that take part; () for all.
        linkage: how clusters are put together.
        metric: how far apart two photos are.
        combinations: the most combinations of second-level nodes; 0 for the first level alone.
        combination_repeats: how often each of them is trained.
        test_percentage: share of the target for the test, in percent.
        network: which network learns.
        epochs: how often it sees each photo.
        learning_rate: of RMSprop.
        batch_size: photos a step.
        quick: two runs, and one of each combination.
    """

    name: ClassVar[str] = "source-target"
    family: ClassVar[str] = "source-target"
    most_workers: ClassVar[int | None] = 1  # a network keeps all cores busy
    trains_heads: ClassVar[bool] = False

    open_school: OpenSchool
    network_facts: Mapping[str, Any] = field(default_factory=lambda: {"network": PAPER})
    classes: tuple[str, ...] = option((), "These classes only, such as ant,bee.")
    linkage: Linkage = option(  # noqa: RUF009 - as every option of a study
        "ward", "How far apart two clusters are. The paper does not say; ward makes large ones."
    )
    metric: Metric = option(  # noqa: RUF009
        "euclidean", "How far apart two photos are; ward needs euclidean."
    )
    combinations: int = option(
        16,
        "The most combinations of second-level clusters, of more so many are drawn; 0 for none.",
    )
    combination_repeats: int = option(3, "How often each combination is trained.")
    test_percentage: float = option(30.0, "Share of the target that is kept for the test.")
    network: str = option(
        PAPER,
        "What learns: paper, its network of 8 layers on 50 x 50 pixels, or a backbone, which is "
        "fine-tuned from its weights.",
    )
    epochs: int = option(_PAPER_RULES.epochs, "How often the network sees each photo.")
    learning_rate: float = option(_PAPER_RULES.learning_rate, "Step size of RMSprop.")
    batch_size: int = option(_PAPER_RULES.batch_size, "Photos a step.")
    quick: bool = option(
        False, "Two runs, and one of each combination: to see what comes out, not to report it."
    )
    _planned: list[tuple[StudyData, SchemePlan]] = field(
        default_factory=list, init=False, repr=False
    )

    @property
    def clustering(self) -> Clustering:
        """Linkage and metric."""
        return Clustering(self.linkage, self.metric)

    @property
    def rules(self) -> LearningRules:
        """How the network is trained."""
        return LearningRules(self.epochs, self.learning_rate, self.batch_size)

    def protocol(self) -> dict[str, Any]:
        """See `Study.protocol`."""
        return {
            **asdict(self.clustering),
            **asdict(self.rules),
            **self.network_facts,
            "test_percentage": self.test_percentage,
            "version": 1,
        }

    def trials(self, data: StudyData, settings: StudySettings) -> list[Trial]:
        """See `Study.trials`.

        Raises:
            ConfigError: a setting that cannot work, or a class that does not exist.
            DatasetError: classes that cannot be cut into a source and a target.
        """
        check_least(self, 0, "combinations")
        check_least(self, 1, "combination_repeats")
        self.rules.validate()
        if not 0 < self.test_percentage < 100:
            raise ConfigError(
                f"{setting('test_percentage')} must be above 0 and below 100, not "
                f"{self.test_percentage:g}"
            )
        plan = self.plan(data, settings)
        found = []
        for what in (TARGET, SOURCE, BOTH):
            found += self._repeated(settings, self.repeats(settings), plan.first, what)
        for mix in plan.combinations:
            for what in (TARGET, SOURCE):
                found += self._repeated(settings, self.combination_runs(settings), mix, what)
        return found

    def _repeated(
        self, settings: StudySettings, repeats: int, combination: Combination, what: str
    ) -> list[Trial]:
        chosen = {"classes": self.classes} if self.classes else {}
        return repeated(settings, combination.condition(what), **chosen)[:repeats]

    def repeats(self, settings: StudySettings) -> int:
        """Runs of each scheme."""
        return min(2, settings.repeats) if self.quick else settings.repeats

    def combination_runs(self, settings: StudySettings) -> int:
        """Runs of each combination."""
        return 1 if self.quick else min(self.combination_repeats, settings.repeats)

    def plan(self, data: StudyData, settings: StudySettings) -> SchemePlan:
        """Trees, source and target, and combinations; made once for the same data.

        Raises:
            RetrainError: as `trials`.
        """
        if not self._planned or self._planned[0][0] is not data:
            self._planned[:] = [(data, self._make_plan(data, settings))]
        return self._planned[0][1]

    def _make_plan(self, data: StudyData, settings: StudySettings) -> SchemePlan:
        whole = data.data
        labels, names = whole.labels, whole.class_names
        if self.classes:
            labels, names = select_classes(labels, names, self.classes)
        photos = PhotoPool(whole.bottlenecks, labels, names, whole.groups)
        trees = photos.grow_trees(self.clustering, available_memory() // 2)
        first = first_level(photos, trees)
        mixes: list[SourceTarget] = []
        total = unusable = 0
        if self.combinations:
            mixes, total, unusable = second_level(
                photos, trees, self.combinations, settings.training.seed
            )
        of = Combination.of
        return SchemePlan(
            photos, trees, of(first, photos), [of(mix, photos) for mix in mixes], total, unusable
        )

    def perform(self, data: StudyData, trial: Trial, context: TrialContext) -> Mapping[str, Any]:
        """Train one network, and test it; that of the source once more with its top retrained."""
        plan = self._planned[0][1]  # whose trial this is
        combination, what = plan.find(trial.condition)
        seed = trial.config.seed - (trial.repeat if data.draws is None else 0)
        photos, mix = plan.photos, combination.mix
        train, test = draw_test(photos, mix, self.test_percentage / 100, seed)
        rows = {TARGET: train, SOURCE: mix.source, BOTH: np.union1d(mix.source, train)}[what]

        def heed() -> None:
            context.on_progress(TrainingProgress(HistoryRow(0, 0.0, 0.0), 0, 0, None))

        def score(pupil: Pupil) -> dict[str, Any]:
            return asdict(SchemeScore.of(pupil.logits(test), photos.labels[test]))

        with self.open_school(data, self.rules) as school:
            n_classes = len(photos.class_names)
            pupil = school.pupil(photos.labels, n_classes, trial.config.seed, heed)
            pupil.learn(rows)
            outcome = {"trained_on": len(rows), "first": score(pupil)}
            if what == SOURCE:
                pupil.relearn_top(train)
                outcome["again"] = score(pupil)
        counts = photos.counts(test)
        return {**outcome, "retrained_on": len(train), "test_counts": counts.tolist()}

    def result(self, data: StudyData, settings: StudySettings, groups: Groups) -> StudyResult:
        """Table 2, Table 3, both regressions and the dendrograms."""
        plan = self.plan(data, settings)
        return show_plan(self.name, self.clustering, plan, groups, data.draws is None)
