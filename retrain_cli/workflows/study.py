"""`retrain study`: from cached bottlenecks to means over many trained heads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.weight_files import open_weights
from retrain_cli.errors import CacheError
from retrain_cli.extraction.progress import ExtractionCounts, Progress
from retrain_cli.notebook.bars import Done, NotebookBar
from retrain_cli.studies.journal import TrialJournal
from retrain_cli.studies.protocols.backbones import BackbonesStudy
from retrain_cli.studies.protocols.cost import CostFacts, CostStudy
from retrain_cli.studies.protocols.freeze import FreezeStudy
from retrain_cli.studies.protocols.layers import LayersStudy
from retrain_cli.studies.protocols.source_target import SourceTargetStudy
from retrain_cli.studies.protocols.stock import StockStudy
from retrain_cli.studies.protocols.strategies import StrategiesStudy
from retrain_cli.studies.runner import StudyListener, StudyProgress, run_trials
from retrain_cli.studies.split_draws import SplitDraws
from retrain_cli.studies.study import Groups, Study, StudyResult, StudySettings
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import Trial, TrialRecord, digest_of
from retrain_cli.workflows.cache import list_caches
from retrain_cli.workflows.shared.all_layers import (
    bottlenecks_command,
    fill_layers,
    with_all_blocks,
)
from retrain_cli.workflows.shared.kept_sources import load_source_head
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.shared.training_set import load_training_set
from retrain_cli.workflows.transfer.benches import make_strategies
from retrain_cli.workflows.transfer.contestants import contest_vectors, make_backbones
from retrain_cli.workflows.transfer.freeze_starts import make_freeze
from retrain_cli.workflows.transfer.schools import make_source_target
from retrain_cli.workspace import Workspace


def make_study(kind: type[Study], workspace: Workspace, **options: Any) -> Study:
    """A study of these options, with what else it needs of the workspace.

    Args:
        kind: the study.
        workspace: where the dataset last used is.
        options: see `retrain_cli.studies.catalogue.options_of`.

    Raises:
        RetrainError: the workspace has not what the study needs.
    """
    made: Study = _MAKERS.get(kind, _of_options_alone)(kind, workspace, options)
    return made


_BAR: NotebookBar[StudyProgress] = NotebookBar(
    "study", lambda trials: Done(trials.done, trials.total, trials.condition)
)
_EXTRACTION_BAR: NotebookBar[ExtractionCounts] = NotebookBar(
    "bottlenecks", lambda counts: Done(counts.done, counts.total, counts.stage)
)


def run_study(
    study: Study,
    workspace: Workspace,
    settings: StudySettings | None = None,
    *,
    workers: int | None = None,
    on_progress: StudyListener = _BAR,
    on_extraction: Progress = _EXTRACTION_BAR,
) -> StudyResult:
    """Run a study on the dataset last used; trials that were finished before are not repeated.

    Args:
        study: what to vary, such as `IntExtStudy()`.
        workspace: where bottlenecks are, and where trials are kept.
        settings: repeats and training protocol; None for the study's own.
        workers: trials at a time; None for as many as there are cores.
        on_progress: is told of each trial that was finished.
        on_extraction: is told of each photo, where the study looks at vectors of its own.

    Raises:
        RetrainError: no bottlenecks, or a dataset or setting that does not allow the study.
        KeyboardInterrupt: Ctrl-C; the next call goes on with what is missing.
    """
    settings = (settings or (study.settings_kind or StudySettings)()).validate()
    used = None
    if study.vectors_of is not None:
        used = fill_layers(study.vectors_of, LastUsed.load(workspace), workspace, on_extraction)
    data, backbone = load_study_data(workspace, settings, used, with_views=study.takes_views)
    if study.compares:
        study = _with_vectors(study, data, workspace, settings, on_extraction)
    trials = study.trials(data, settings)
    workers = workers if study.most_workers is None else study.most_workers
    about = _about(study, settings, data, backbone) | _views(data, workspace)
    with TrialJournal.open(_folder(workspace, study, about), about) as journal:
        records = run_trials(
            trials,
            lambda trial, context: study.perform(data, trial, context),
            journal,
            workers,
            on_progress,
        )
    result = study.result(data, settings, _grouped(trials, records))
    varies = data.varies_test if study.trains_heads else data.draws is not None
    return replace(result, varies_test=varies)


def _with_vectors(
    study: Study,
    data: StudyData,
    workspace: Workspace,
    settings: StudySettings,
    on_extraction: Progress,
) -> Study:
    """The study with the vectors of all backbones that it compares; missing ones are computed."""
    used = LastUsed.load(workspace)
    found = {spec: fill_layers(spec, used, workspace, on_extraction) for spec in study.compares}

    def vectors(spec: BackboneSpec) -> StudyData:
        return data.with_vectors_of(load_study_data(workspace, settings, found[spec])[0])

    settled = {spec: filled.backbone for spec, filled in found.items()}
    return study.with_vectors(contest_vectors(vectors, settled, workspace))


def load_study_data(
    workspace: Workspace,
    settings: StudySettings,
    used: LastUsed | None = None,
    *,
    with_views: bool = False,
) -> tuple[StudyData, str]:
    """All classes and photos of the dataset last used, and the fingerprint of its backbone.

    Args:
        workspace: where they are.
        settings: how they are split.
        used: another dataset and backbone than those last used.
        with_views: whether to read the distorted views that were computed last, too.

    Raises:
        RetrainError: no bottlenecks, or some that are missing.
    """
    whole = replace(settings.training, classes=None, examples_per_class=None)
    loaded = load_training_set(workspace, whole, with_views=with_views, used=used)
    draws = None
    if not settings.same_split:
        draws = SplitDraws(loaded.items, whole.validation_percentage, whole.testing_percentage)
    data = StudyData(loaded.data, loaded.images, tuple(loaded.origins), draws)
    return data, loaded.used.backbone.fingerprint()


def _about(study: Study, settings: StudySettings, data: StudyData, backbone: str) -> dict[str, Any]:
    """What all trials of a folder have in common; the rest stands in each trial's settings."""
    training = settings.training.to_dict()
    for varied in ("seed", "classes", "examples_per_class"):
        del training[varied]
    return {
        "version": 1,
        "family": study.family,
        "protocol": study.protocol(),
        "training": training,
        "data": data.fingerprint(),
        **({"draws": data.draws.fingerprint()} if data.draws else {}),
        **({"backbone": backbone} if study.is_of_one_backbone else {}),
    }


def _views(data: StudyData, workspace: Workspace) -> dict[str, Any]:
    """Which distorted views trials train on, where they do."""
    if data.data.views is None:
        return {}
    return {"views": data.data.n_views, "distortion": LastUsed.load(workspace).distortion}


def _folder(workspace: Workspace, study: Study, about: dict[str, Any]) -> Path:
    return workspace.studies_dir / f"{study.family}-{digest_of(about)}"


def _grouped(trials: list[Trial], records: dict[str, TrialRecord]) -> Groups:
    groups: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        groups.setdefault(trial.condition, []).append(records[trial.key])
    return groups


def cost_facts(workspace: Workspace) -> CostFacts:
    """Facts of the backbone last used.

    Raises:
        RetrainError: nothing was used here, or its cache is gone.
    """
    used = LastUsed.load(workspace)
    for cache in list_caches(workspace):
        if cache.in_use:
            return CostFacts(
                cache.bottlenecks,
                cache.images_per_second,
                cache.bytes,
                _parameters(used.backbone),
            )
    raise CacheError(
        f"study cost looks at the cache of {used.backbone.label()}, and it is gone: run "
        "`retrain bottlenecks` again"
    )


def _of_options_alone(kind: Any, workspace: Workspace, options: dict[str, Any]) -> Any:
    return kind(**options)


def _cost(kind: Any, workspace: Workspace, options: dict[str, Any]) -> Any:
    return kind(cost_facts(workspace), **options)


def _stock(kind: Any, workspace: Workspace, options: dict[str, Any]) -> Any:
    known = load_source_head(LastUsed.load(workspace), options["top"])
    return kind(known.head, known.source, **options)


def _layers(kind: Any, workspace: Workspace, options: dict[str, Any]) -> Any:
    used = LastUsed.load(workspace)
    return kind(with_all_blocks(used.backbone), bottlenecks_command(used, workspace), **options)


_MAKERS: dict[type[Study], Callable[[Any, Workspace, dict[str, Any]], Any]] = {
    BackbonesStudy: make_backbones,
    CostStudy: _cost,
    FreezeStudy: make_freeze,
    LayersStudy: _layers,
    SourceTargetStudy: make_source_target,
    StockStudy: _stock,
    StrategiesStudy: make_strategies,
}
"""The studies that need more of a workspace than its bottlenecks."""


def _parameters(backbone: BackboneSpec) -> int | None:
    path = backbone.weights_file
    if path is None or not path.is_file():
        return None
    with open_weights(path) as stored:
        return sum(int(prod(array.shape)) for layer in stored.layers for array in layer.arrays)
