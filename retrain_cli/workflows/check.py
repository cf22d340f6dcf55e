"""`retrain check`: what is wrong with the photos of the dataset last used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np

from retrain_cli import interrupts, waiting
from retrain_cli.checks import check_positive
from retrain_cli.datasets.dataset import Dataset, load_dataset
from retrain_cli.datasets.file_index import FileIndex
from retrain_cli.datasets.sources.photo_source import source_of
from retrain_cli.datasets.splits import SPLITS, Split
from retrain_cli.errors import RetrainError
from retrain_cli.evaluation.label_issues import (
    SLIGHT_AGREEMENT,
    Agreement,
    LabelIssues,
    find_label_issues,
    judge_labels,
)
from retrain_cli.extraction.scan import count_changed
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.cross_validation import FoldProgress
from retrain_cli.images.image_problems import ImageProblem, image_problems
from retrain_cli.images.limits.limited import PHOTO_TIMEOUT
from retrain_cli.images.looks import PhotoLook
from retrain_cli.notebook.bars import Done, NotebookBar
from retrain_cli.notebook.frames import frame
from retrain_cli.notebook.sheets import Grid, sheet
from retrain_cli.parallel import usable_processors
from retrain_cli.reports.few_photos import IMBALANCE
from retrain_cli.runs.run import Run, RunStore
from retrain_cli.similarity.photo_facts import PhotoFacts
from retrain_cli.similarity.survey import survey
from retrain_cli.workflows.cross_validate import out_of_fold
from retrain_cli.workflows.explaining.class_heat import ClassHeat
from retrain_cli.workflows.explaining.kept_heats import heats_at_the_border
from retrain_cli.workflows.shared.duplicates import DuplicateGroup, find_duplicates
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.shared.leaks import remember_duplicates
from retrain_cli.workflows.shared.training_set import TrainingSet, load_training_set
from retrain_cli.workspace import Workspace

if TYPE_CHECKING:
    from pandas import DataFrame

FEW_IMAGES = 10
"""Distinct photos of a class: with fewer, one each is left to validate and to test."""

_LABEL_STEPS = 1000
"""Of each fold's training, without a run to take the settings from."""

Stage = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, of how much."""

_BAR: NotebookBar[Done] = NotebookBar("check", lambda step: step)


def _show_stage(stage: str, done: int, total: int) -> None:
    _BAR(Done(done, total, stage))


@dataclass(frozen=True)
class CheckRequest:
    """What to check.

    Attributes:
        run: run whose training settings the cross-validation takes; None for 1,000 default steps.
        folds: of the cross-validation that finds label errors.
        labels: whether to look for label errors, which takes training.
        borders: whether to look for classes that the run, or the newest one on these bottlenecks,
            knows by the border of their photos; only where OpenVINO runs its backbone.
        photo_timeout: seconds of processor time for a photo that may take very long by its header;
            0 for no limit.
    """

    run: str | None = None
    folds: int = 5
    labels: bool = True
    borders: bool = True
    photo_timeout: float = PHOTO_TIMEOUT

    def __post_init__(self) -> None:
        check_positive(self, "photo_timeout", with_0=True)


@dataclass(frozen=True)
class OddPhoto:
    """A photo with an odd look."""

    row: int
    problem: ImageProblem


@dataclass(frozen=True)
class LabelIssue:
    """A photo that is likely in the wrong class.

    Attributes:
        row: row of the dataset.
        suggested: name of the class that the predictions speak for.
        given_probability: out of fold, of the class that it is in.
        suggested_probability: of the suggested one.
        confident: whether that is as much as photos of this class have on average.
    """

    row: int
    suggested: str
    given_probability: float
    suggested_probability: float
    confident: bool = True


@dataclass(frozen=True)
class ClassProblem:
    """A class with few images, or far fewer than the largest."""

    class_name: str
    images: int
    problem: str


@dataclass(frozen=True, eq=False)
class CheckReport:
    """What was found.

    Attributes:
        dataset: the photos.
        splits: of each photo.
        bad: files that cannot be used, as (path, reason).
        odd: photos with an odd look.
        duplicates: groups of exact and near duplicates.
        labels: likely label errors, the surest first; None where they were not looked for.
        labels_missing: why they were not looked for; empty where they were.
        classes: classes with few images.
        unseen: photos that are gone or changed since `retrain bottlenecks`.
        not_looked_at: photos that are as they were and cannot be decoded now, or not in the time
            that was given, as (path, reason).
        borders: classes whose mean heatmap lies at the border; None where there was no run that
            could tell.
    """

    dataset: Dataset
    splits: list[Split]
    bad: list[tuple[str, str]]
    odd: list[OddPhoto]
    duplicates: list[DuplicateGroup]
    labels: list[LabelIssue] | None
    labels_missing: str
    classes: list[ClassProblem]
    unseen: int
    not_looked_at: list[tuple[str, str]] = field(default_factory=list)
    borders: list[ClassHeat] | None = None

    def class_of(self, row: int) -> str:
        """Name of the class of a photo."""
        return self.dataset.class_names[int(self.dataset.labels[row])]

    def to_frame(self) -> DataFrame:
        """A row for each thing that was found: its kind, the photo or class, and what it is.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return frame(("problem", "where", "class", "detail"), list(self._found()))

    def _repr_html_(self) -> str:
        found = list(self._found())
        kinds = Counter(kind for kind, *_ in found)
        return sheet(
            f"check of {len(self.dataset):,} photos of {len(self.dataset.class_names):,} classes",
            Grid(("problem", "found"), list(kinds.items())),
            Grid(("problem", "where", "class", "detail"), found) if found else "nothing was found",
            f"label errors: {self.labels_missing}" if self.labels is None else "",
            f"{self.unseen:,} photos are gone or changed" if self.unseen else "",
        )

    def _found(self) -> Iterator[tuple[str, str, str, str]]:
        paths = self.dataset.paths
        for path, reason in [*self.bad, *self.not_looked_at]:
            yield "unusable", path, "", reason
        for issue in self.labels or ():
            detail = f"looks like {issue.suggested} ({issue.suggested_probability:.0%})"
            yield "label", paths[issue.row], self.class_of(issue.row), detail
        for group in self.duplicates:
            kept, *others = group.rows
            for row in others:
                detail = f"the same as {paths[kept]}"
                yield f"{group.kind} duplicate", paths[row], self.class_of(row), detail
        for odd in self.odd:
            yield odd.problem.kind, paths[odd.row], self.class_of(odd.row), odd.problem.detail
        for heat in self.borders or ():
            detail = f"{heat.at_the_border:.0%} of what speaks for it lies at the border"
            yield "known by its border", heat.name, heat.name, detail
        for one in self.classes:
            yield "class", one.class_name, one.class_name, f"{one.images:,} photos: {one.problem}"


def check_dataset(
    request: CheckRequest,
    workspace: Workspace,
    on_stage: Stage = _show_stage,
) -> CheckReport:
    """Look at the photos, compare them with each other, and cross-validate their labels.

    Raises:
        RetrainError: no bottlenecks, or a damaged workspace.
        KeyboardInterrupt: Ctrl-C; photos that were looked at are remembered.
    """
    config = _config(request, workspace)
    data = load_training_set(workspace, replace(config, classes=None, examples_per_class=None))
    with waiting.for_("looking for changed photos"):
        dataset, changed = _dataset(workspace, data.used)
    splits = [SPLITS[code] for code in data.images.split.tolist()]
    unreadable: dict[bytes, str] = {}
    with PhotoFacts(workspace.photos_path) as facts:
        looks = survey(
            dataset,
            facts,
            usable_processors(),
            lambda done, total: on_stage("looking at the photos", done, total),
            request.photo_timeout,
            unreadable.__setitem__,
        )
    on_stage("comparing the photos", 0, 0)
    duplicates = find_duplicates(dataset, data.data.bottlenecks, looks, splits)
    remember_duplicates(dataset, duplicates, workspace)
    labels, missing = _label_issues(request, config, data, on_stage)
    return CheckReport(
        dataset=dataset,
        splits=splits,
        bad=dataset.problems,
        odd=_odd_photos(dataset, looks),
        duplicates=duplicates,
        labels=labels,
        labels_missing=missing,
        classes=_class_problems(dataset),
        unseen=max(len(set(dataset.digests)) - len(looks) - len(unreadable), changed),
        not_looked_at=_named(dataset, unreadable),
        borders=_borders(request, dataset, data.used, workspace, on_stage),
    )


def _borders(
    request: CheckRequest, dataset: Dataset, used: LastUsed, workspace: Workspace, on_stage: Stage
) -> list[ClassHeat] | None:
    """Classes that are known by their border; None where no run tells cheaply."""
    if not request.borders:
        return None
    store = RunStore(workspace.runs_dir)
    if request.run is None:
        runs = (run for run in store.readable() if run.info.cache == used.fingerprint)
        run = next(runs, None)
    else:
        run = store.get(request.run)
    if run is None or not _tells_cheaply(run):
        return None
    on_stage("looking where the run looks", 0, 0)
    try:
        return heats_at_the_border(run, dataset.root, workspace, request.photo_timeout)
    except RetrainError:  # its network has no places, or is gone: the rest of the check stands
        return None


def _tells_cheaply(run: Run) -> bool:
    """Whether its network answers in milliseconds, and loads without TensorFlow."""
    return run.info.backbone.runtime == "openvino"


def _named(dataset: Dataset, unreadable: Mapping[bytes, str]) -> list[tuple[str, str]]:
    photos = zip(dataset.paths, dataset.digests, strict=True)
    return [(path, unreadable[digest]) for path, digest in photos if digest in unreadable]


def _odd_photos(dataset: Dataset, looks: Mapping[bytes, PhotoLook]) -> list[OddPhoto]:
    return [
        OddPhoto(row, problem)
        for row, digest in enumerate(dataset.digests)
        if digest in looks
        for problem in image_problems(looks[digest])
    ]


def _config(request: CheckRequest, workspace: Workspace) -> TrainingConfig:
    if request.run is None:
        return TrainingConfig(steps=_LABEL_STEPS)
    return RunStore(workspace.runs_dir).get(request.run).config


def _dataset(workspace: Workspace, used: LastUsed) -> tuple[Dataset, int]:
    """The photos as they are known, and how many of them are not so any more."""
    with FileIndex.to_read(workspace.index_path) as index:
        dataset = load_dataset(index, used.image_dir)
        number = index.dataset_id(used.image_dir)
        return dataset, count_changed(source_of(used.image_dir), index, number)


def _label_issues(
    request: CheckRequest, config: TrainingConfig, data: TrainingSet, on_stage: Stage
) -> tuple[list[LabelIssue] | None, str]:
    if not request.labels:
        return None, "not looked for"

    def listen(progress: FoldProgress) -> None:
        total = progress.n_folds * config.steps
        done = progress.fold * config.steps + progress.training.row.step
        on_stage("judging the labels", done, total)

    on_stage("judging the labels", 0, request.folds * config.steps)
    try:
        judged = out_of_fold(data, config, request.folds, listen)
    except RetrainError as error:
        return None, str(error)
    if len(judged.heads) < request.folds:  # photos that nobody judged would pass for good ones
        raise interrupts.interruption()
    vectors = data.data.bottlenecks
    judgement = judge_labels(data.data.labels, data.data.n_classes, judged.pieces(vectors))
    agreement = Agreement.of(judgement)
    if agreement.kappa <= SLIGHT_AGREEMENT:
        return None, _too_near_chance(agreement)
    found = find_label_issues(judgement, judged.pieces(vectors))
    return _named_issues(found, data.data.class_names), ""


def _too_near_chance(agreement: Agreement) -> str:
    return (
        "they are told by a classifier that knows the classes, and this one, cross-validated, "
        f"agrees with {agreement.observed:.1%} of the labels, where chance gives "
        f"{agreement.by_chance:.1%}: try another backbone, or see whether the photos of each class "
        "belong together"
    )


def _named_issues(found: LabelIssues, class_names: Sequence[str]) -> list[LabelIssue]:
    return [
        LabelIssue(row, class_names[suggested], given, other, confident)
        for row, suggested, given, other, confident in zip(
            found.rows.tolist(),
            found.suggested.tolist(),
            found.given_probability.tolist(),
            found.suggested_probability.tolist(),
            found.confident.tolist(),
            strict=True,
        )
    ]


def _class_problems(dataset: Dataset) -> list[ClassProblem]:
    pairs = set(zip(dataset.labels.tolist(), dataset.digests, strict=True))
    counts = np.bincount([label for label, _ in pairs], minlength=len(dataset.class_names))
    largest = int(counts.max())
    problems = []
    for name, count in zip(dataset.class_names, counts.tolist(), strict=True):
        if count < FEW_IMAGES:
            text = f"fewer than {FEW_IMAGES} distinct photos: its figures will mean little"
            problems.append(ClassProblem(name, count, text))
        elif largest >= IMBALANCE * count:
            text = f"the largest class has {largest / count:.0f} times as many"
            problems.append(ClassProblem(name, count, text))
    return sorted(problems, key=lambda problem: (problem.images, problem.class_name))


def default_quarantine(root: PurePath) -> Path:
    """Beside the image folder, so that the photos in it belong to no class."""
    return Path(root).with_name(f"{root.name}-quarantine")
