"""Which weights a backbone starts from: published, random, a file's, or those of a tuned run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from retrain_cli.backbones.loader import BackboneLoader
from retrain_cli.backbones.spec import IMAGENET, RANDOM, BackboneSpec
from retrain_cli.errors import RunError
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.extraction.progress import ExtractionCounts
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workspace import Workspace


def started_from(backbone: BackboneSpec, weights: str | None, workspace: Workspace) -> BackboneSpec:
    """A backbone with other weights, or the one of a run; itself for None.

    Args:
        backbone: the one last used.
        weights: imagenet, random, a weights file, or a run.
        workspace: with the run.

    Raises:
        RunError: there is neither such a file nor such a run.
    """
    if weights is None:
        return backbone
    if _names_no_run(weights):
        return replace(backbone, weights=weights, model=None).resolve()
    return RunStore(workspace.runs_dir).get(weights).info.backbone


def fill_from(
    weights: str,
    workspace: Workspace,
    settings: ExtractionSettings,
    on_photo: Callable[[int, int], None],
    load: BackboneLoader | None,
) -> None:
    """Compute the bottlenecks that are missing with such weights; they are then those last used.

    Raises:
        RetrainError: nothing was used yet, or whatever is wrong with photos or weights.
    """
    used = LastUsed.load(workspace)
    spec = started_from(used.backbone, weights, workspace)
    request = BottleneckRequest(
        used.image_dir,
        spec,
        "none" if spec.weights == RANDOM else used.source_classes,
        used.int_ext,
        settings,
        group=used.group,
        layout=used.layout,
    )

    def on_progress(counts: ExtractionCounts) -> None:
        if not counts.stage:
            on_photo(counts.done, counts.total)

    fill_cache(request, workspace, on_progress, load)


def with_backbone_of_run(request: BottleneckRequest, workspace: Workspace) -> BottleneckRequest:
    """The request with the backbone of a run where its weights name one, and no file."""
    asked, usual = request.backbone, BackboneSpec()
    if _names_no_run(asked.weights):
        return request
    with suppress(RunError):
        found = RunStore(workspace.runs_dir).get(asked.weights).info
        if found.has_own_backbone and asked.name in (usual.name, found.backbone.name):
            return replace(request, backbone=found.backbone)
    return request


def _names_no_run(weights: str) -> bool:
    """Whether these are published, random or a file's."""
    with suppress(OSError):  # a name that is too long for a file
        return weights in (IMAGENET, RANDOM) or Path(weights).is_file()
    return False
