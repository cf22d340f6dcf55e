"""What `study freeze` starts from: weights of the workspace, random ones, those of a run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from retrain_cli.backbones.spec import RANDOM, BackboneSpec
from retrain_cli.datasets.sources.photo_source import PhotoSource, source_of
from retrain_cli.errors import ConfigError, setting
from retrain_cli.finetuning.parts import check_layers_known
from retrain_cli.studies.catalogue import options_of
from retrain_cli.studies.freezing.early_stop import FreezeRules
from retrain_cli.studies.freezing.frozen_networks import FreezeStart, FrozenNetworks
from retrain_cli.studies.freezing.pixel_baselines import PixelBaselines
from retrain_cli.studies.protocols.freeze import FreezeBench, FreezeStudy, OpenBench
from retrain_cli.studies.study_data import StudyData
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.tuning.starting_weights import digests_seen, tuned_run
from retrain_cli.workspace import Workspace

PRETRAINED = "pretrained"


def make_freeze(
    kind: type[FreezeStudy], workspace: Workspace, options: Mapping[str, Any]
) -> FreezeStudy:
    """The study of the dataset last used.

    Raises:
        RetrainError: nothing was used yet, a backbone that cannot be cut, or a run that does not
            fit.
    """
    used = LastUsed.load(workspace)
    spec = used.backbone
    check_layers_known(spec)
    usual = {one.name: one.default for one in options_of(kind)}
    found = _starts(options.get("starts", usual["starts"]), spec)
    seen: set[bytes] = set()
    name = options.get("init_from")
    if name is not None:
        run = tuned_run(name, spec, workspace)
        found[run.name] = FreezeStart(f"run {run.info.cache}", f"{run.name}'s", run.info.backbone)
        seen = digests_seen(run)
    return kind(_benches(spec, source_of(used.image_dir)), found, frozenset(seen), **options)


def _starts(names: tuple[str, ...], spec: BackboneSpec) -> dict[str, FreezeStart]:
    title = "pre-trained" if spec.weights != RANDOM else "the same random"
    known = {
        PRETRAINED: FreezeStart(PRETRAINED, title, spec),
        RANDOM: FreezeStart(RANDOM, "random", spec, is_random=True),
    }
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(
            f"{setting('starts')} takes {' and '.join(known)}; received {', '.join(unknown)}: "
            f"weights of a run are {setting('init_from')}"
        )
    return {name: known[name] for name in dict.fromkeys(names)}


def _benches(spec: BackboneSpec, source: PhotoSource) -> OpenBench:
    """Networks and baselines are made when they are first needed, and then kept."""
    held: list[tuple[StudyData, FreezeBench]] = []

    def open_bench(data: StudyData, rules: FreezeRules) -> AbstractContextManager[FreezeBench]:
        if not held or held[0][0] is not data:
            paths = [source.locate(path) for path in data.images.paths]
            made = FreezeBench(FrozenNetworks(spec, paths, rules), PixelBaselines(paths, rules))
            held[:] = [(data, made)]
        return nullcontext(held[0][1])

    return open_bench
