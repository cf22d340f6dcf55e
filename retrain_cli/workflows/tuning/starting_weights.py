"""Which weights a backbone starts from: published, random, a file's, or those of a tuned run.

`weights` takes the backbone of a run as it is, whichever that is; `init_from` the tuned weights of
a run, which have to be there and to fit the backbone last used.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from retrain_cli.backbones.loader import BackboneLoader
from retrain_cli.backbones.spec import IMAGENET, RANDOM, BackboneSpec
from retrain_cli.datasets.splits import SPLITS
from retrain_cli.errors import RunError, setting
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.extraction.progress import ExtractionCounts
from retrain_cli.runs.run import Run, RunStore
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workspace import Workspace


@dataclass(frozen=True)
class StartingWeights:
    """What was asked for; at most one of the two.

    Attributes:
        weights: imagenet, random, a weights file, or a run.
        init_from: a run whose tuned weights fit the backbone.
    """

    weights: str | None = None
    init_from: str | None = None

    def of(self, backbone: BackboneSpec, workspace: Workspace) -> BackboneSpec:
        """The backbone with these weights; itself where nothing was asked for.

        Raises:
            RunError: there is no such file or run, or one that does not fit.
        """
        if self.init_from is not None:
            return tuned_run(self.init_from, backbone, workspace).info.backbone
        return started_from(backbone, self.weights, workspace)


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


def tuned_run(name: str, network: BackboneSpec, workspace: Workspace) -> Run:
    """The run of a fine-tuning whose weights another network of the same make can go on from.

    Args:
        name: the run.
        network: what is to start from its weights, whichever it has now.
        workspace: with the run.

    Raises:
        RunError: there is no such run, or one that keeps no tuned backbone, or that of another
            network.
    """
    run = RunStore(workspace.runs_dir).get(name)
    own = run.info.backbone
    if not run.info.has_own_backbone:
        raise RunError(
            f"{setting('init_from')} takes a run that keeps a fine-tuned backbone, and {run.name} "
            f"keeps a head alone, on {own.label()}: name a run of `retrain finetune` that was "
            "better than its head alone"
        )
    if _make_of(own) != _make_of(network):
        raise RunError(
            f"{setting('init_from')} takes weights of the network that they are for; {run.name} "
            f"has those of {_plain_label(own)}, and the backbone last used is "
            f"{_plain_label(network)}: name another run, or run `retrain bottlenecks` with that "
            "backbone first"
        )
    return run


def _make_of(spec: BackboneSpec) -> tuple[object, ...]:
    """What two backbones have in common whose weights can stand for each other."""
    return (spec.name, spec.alpha, spec.layer, spec.input_size, spec.pooling, spec.resize_rule)


def _plain_label(spec: BackboneSpec) -> str:
    """The network for people, whatever its weights and what runs it."""
    return replace(spec, weights=IMAGENET, model=None, precision="float32", runtime="keras").label()


def digests_seen(run: Run) -> set[bytes]:
    """Digests of the photos that a run was trained on, or its best epoch was chosen by."""
    images = run.predictions.images
    seen = images.split != SPLITS.index("test")
    return {one.tobytes() for one in images.digest[seen]}


def fill_from(
    start: StartingWeights,
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
    spec = start.of(used.backbone, workspace)
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
