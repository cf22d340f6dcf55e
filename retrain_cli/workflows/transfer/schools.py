"""What `study source-target` trains: the paper's network on pixels, or a pre-trained backbone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from retrain_cli.backbones.loader import loader_of
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.table import KERAS_BACKBONES
from retrain_cli.datasets.sources.photo_source import PhotoSource, source_of
from retrain_cli.errors import BackboneError, setting
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.finetuning.activation_cache import PhotoFile
from retrain_cli.finetuning.parts import Parts, TunedPhotos, open_source
from retrain_cli.studies.protocols.source_target import PAPER, OpenSchool, SourceTargetStudy
from retrain_cli.studies.source_target.lessons import LearningRules, School
from retrain_cli.studies.source_target.paper_network import PaperSchool, PixelShelf
from retrain_cli.studies.source_target.tuned_backbone import TRAINED, BackboneSchool, tuning_of
from retrain_cli.studies.study_data import StudyData
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workspace import Workspace


def make_source_target(
    kind: type[SourceTargetStudy], workspace: Workspace, options: Mapping[str, Any]
) -> SourceTargetStudy:
    """The study of the dataset last used.

    Raises:
        RetrainError: nothing was used yet, or there is no such backbone.
    """
    used = LastUsed.load(workspace)
    source = source_of(used.image_dir)
    name = options.get("network", PAPER)
    if name == PAPER:
        return kind(_paper_schools(source), **options)
    spec = _spec_of(name, used)
    facts = {"network": spec.settled_on_own().fingerprint(), "trained": TRAINED}
    return kind(_backbone_schools(spec, source, workspace), facts, **options)


def _spec_of(name: str, used: LastUsed) -> BackboneSpec:
    """The backbone last used where it is called so, with its weights; else one as it is usual.

    Raises:
        BackboneError: there is no such one, or one whose layers are not known.
    """
    if name == used.backbone.name and used.backbone.kind == "table":
        return used.backbone
    spec = BackboneSpec(name)
    if spec.kind != "table" or name not in KERAS_BACKBONES:
        raise BackboneError(
            f"{setting('network')} takes {PAPER}, or a backbone whose layers are known, not "
            f"{name!r}: `retrain doctor --backbones` lists them"
        )
    return spec.resolve()


def _paper_schools(source: PhotoSource) -> OpenSchool:
    held: list[tuple[StudyData, School]] = []

    def open_school(data: StudyData, rules: LearningRules) -> AbstractContextManager[School]:
        if not held or held[0][0] is not data:
            shelf = PixelShelf([source.locate(path) for path in data.images.paths])
            held[:] = [(data, PaperSchool(shelf, rules))]
        return nullcontext(held[0][1])

    return open_school


def _backbone_schools(spec: BackboneSpec, source: PhotoSource, workspace: Workspace) -> OpenSchool:
    built: list[Parts] = []

    @contextmanager
    def open_school(data: StudyData, rules: LearningRules) -> Iterator[School]:
        if not built:
            built.append(Parts.build(spec, tuning_of(rules)))
        photos = [
            PhotoFile(source.locate(path), digest.tobytes())
            for path, digest in zip(data.images.paths, data.images.digest, strict=True)
        ]
        settings, load = ExtractionSettings(), loader_of(workspace)
        tuned = TunedPhotos(photos, np.empty(0, np.int64))  # views of none
        with open_source(built[0], tuned, workspace, settings, load) as batches:
            yield BackboneSchool(built[0], batches, rules)

    return open_school
