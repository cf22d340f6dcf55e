"""All blocks of a backbone in one pass over the photos, and `--layer auto`, which chooses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from retrain_cli import waiting
from retrain_cli.backbones.loader import BackboneLoader, LazyBackbone, loader_of
from retrain_cli.backbones.spec import AUTO_LAYER, BackboneSpec
from retrain_cli.engine import quiet_engine
from retrain_cli.extraction.progress import ExtractionCounts, Progress
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.full_batch.layer_choice import LayerChoice, choose_layers
from retrain_cli.paths import absolute
from retrain_cli.runs.command_lines import options_of
from retrain_cli.similarity.survey import Told
from retrain_cli.workflows.bottlenecks import (
    BottleneckRequest,
    extract,
    fill_cache,
    open_dataset,
)
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.shared.training_set import load_training_set
from retrain_cli.workflows.summaries.bottleneck_summary import BottleneckSummary
from retrain_cli.workspace import Workspace


def with_all_blocks(spec: BackboneSpec) -> BackboneSpec:
    """The backbone with a layer of each of its blocks side by side.

    Raises:
        BackboneError: it is not of the table, and has no layers to choose from.
    """
    from retrain_cli.backbones.runtimes.blocks import block_layers

    found = spec.resolve() if spec.kind == "table" else spec
    with waiting.for_(f"looking at the layers of {spec.name}"):
        names = block_layers(found)
    return replace(found, layer=",".join(names), model=None)


def with_layers(request: BottleneckRequest) -> BottleneckRequest:
    """The request with all blocks where the layer is to be chosen among them."""
    if request.backbone.layer != AUTO_LAYER:
        return request
    return replace(request, backbone=with_all_blocks(request.backbone))


def fill_layers(
    backbone: BackboneSpec,
    used: LastUsed,
    workspace: Workspace,
    on_progress: Progress = lambda counts: None,
    load: BackboneLoader | None = None,
) -> LastUsed:
    """Compute what is not cached of a backbone for a dataset, whose own backbone stays in use.

    Raises:
        RetrainError: as `fill_cache`; finished batches stay.
    """
    request = BottleneckRequest(
        used.image_dir,
        backbone,
        used.source_classes,
        used.int_ext,
        group=used.group,
        layout=used.layout,
    )
    return _filled(request, workspace, on_progress, lambda warning: None, load)


def _filled(
    request: BottleneckRequest,
    workspace: Workspace,
    on_progress: Progress,
    on_warning: Callable[[str], None],
    load: BackboneLoader | None,
) -> LastUsed:
    def on_stage(stage: str) -> None:
        on_progress(ExtractionCounts(total=0, stage=stage))

    with (
        quiet_engine(),
        open_dataset(request, workspace, on_stage=on_stage, on_warning=on_warning) as opened,
    ):
        backbone = LazyBackbone(
            opened.used.backbone, request.settings.device, load or loader_of(workspace)
        )
        extract(opened, backbone, request.settings, on_progress)
        return replace(opened.used, complete=True)


def fill_cache_auto(
    request: BottleneckRequest,
    workspace: Workspace,
    on_progress: Progress = lambda counts: None,
    load: BackboneLoader | None = None,
    on_look: Told = lambda done, total: None,
    on_warning: Callable[[str], None] = lambda warning: None,
) -> BottleneckSummary:
    """`fill_cache`; a layer that is `auto` is chosen first, by the photos.

    Raises:
        DatasetError: too few photos to choose by.
        RetrainError: as `fill_cache`.
    """
    if request.backbone.layer != AUTO_LAYER:
        return fill_cache(request, workspace, on_progress, load, on_look, on_warning)
    wide = with_layers(request)
    used = _filled(wide, workspace, on_progress, on_warning, load)
    config = TrainingConfig(
        validation_percentage=request.validation_percentage,
        testing_percentage=request.testing_percentage,
    )
    data = load_training_set(workspace, config, used=used).data
    with waiting.for_("comparing the layers"):
        choice = choose_layers(data, data.layer_widths, config.seed)
    names = used.backbone.layers
    chosen = replace(request, backbone=replace(request.backbone, layer=_layer(choice, names)))
    summary = fill_cache(chosen, workspace, on_progress, load, on_look)
    return replace(summary, chosen_layer=_in_words(choice, names))


def _layer(choice: LayerChoice, names: tuple[str, ...]) -> str | None:
    if choice.taken is choice.last:
        return None
    return ",".join(names[place] for place in choice.taken.layers)


def _in_words(choice: LayerChoice, names: tuple[str, ...]) -> str:
    last = f"{100 * choice.last.accuracy:.1f}% at the last layer, {names[-1]}"
    judged = f"by cross-validation on {choice.n_judged:,} training photos"
    if choice.taken is choice.last:
        return f"the last layer: no other gains more than two standard errors ({last}, {judged})"
    gain, error = choice.taken.gain_over(choice.last)
    taken = " + ".join(names[place] for place in choice.taken.layers)
    return (
        f"{taken}: {100 * choice.taken.accuracy:.1f}%, against {last} ({100 * gain:+.1f} points, "
        f"standard error {100 * error:.1f}; {judged})"
    )


def bottlenecks_command(used: LastUsed, workspace: Workspace) -> tuple[str, ...]:
    """The words of `retrain bottlenecks` that computed these, without the layer."""
    spec = used.backbone
    usual = BackboneSpec(spec.name).resolve() if spec.kind == "table" else spec
    same = [name for name in ("alpha", "input_size") if getattr(spec, name) == getattr(usual, name)]
    without = {"layer", "precision", "runtime", *spec.settles_itself, *same}
    elsewhere = Workspace.locate().root != workspace.root
    image_dir, here = used.image_dir, absolute(".")
    if image_dir != here and image_dir.is_relative_to(here):
        image_dir = image_dir.relative_to(here)
    return (
        "retrain",
        *(("--workspace", str(workspace.root)) if elsewhere else ()),
        "bottlenecks",
        str(image_dir),
        *options_of(spec, without),
    )
