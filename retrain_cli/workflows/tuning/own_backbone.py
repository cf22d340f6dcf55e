"""A backbone that is a run's own: its weights lie in the run's folder, whatever becomes of that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.weights import named_weights
from retrain_cli.engine import has_openvino
from retrain_cli.runs.info import OWN_BACKBONE
from retrain_cli.workspace import Workspace, writing_to


@dataclass(frozen=True)
class KeptBackbone:
    """The backbone of a new run.

    Attributes:
        spec: as the run's `config.json` tells it: weights of its own by their name alone.
        fingerprint: names the cache of its bottlenecks.
    """

    spec: BackboneSpec
    fingerprint: str


def keep_backbone(
    folder: Path, workspace: Workspace, base: BackboneSpec, network: Any
) -> KeptBackbone:
    """Write the weights of a tuned network into the folder of its run, and settle it.

    Args:
        folder: of the run in the making.
        workspace: keeps the converted network.
        base: the settled backbone that the network was before.
        network: the bare Keras network, tuned.

    Raises:
        WorkspaceError: the disk is full.
    """
    from safetensors.numpy import save

    path = folder / OWN_BACKBONE
    with writing_to(path):
        path.write_bytes(save(named_weights(network)))  # save_file lets nobody else read it
    precision = "float32" if base.precision == "int8" else base.precision
    spec = replace(base, weights=str(path), precision=precision, model=None)
    spec = _settled(spec, workspace, network)
    return KeptBackbone(replace(spec, weights=OWN_BACKBONE), spec.fingerprint())


def _settled(spec: BackboneSpec, workspace: Workspace, network: Any) -> BackboneSpec:
    """On the runtime that it had, where that runs it."""
    if spec.runtime != "openvino" or not has_openvino():
        return spec.settled_on_own()
    from retrain_cli.backbones.runtimes.conversion import ConversionError, convert_backbone

    try:
        kept = convert_backbone(spec, workspace.models_dir, network)
    except ConversionError:
        return spec.settled_on_own()
    return replace(spec, model=kept.digest)
