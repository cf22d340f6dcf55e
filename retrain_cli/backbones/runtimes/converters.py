"""Which conversion to OpenVINO a network needs, by where it comes from."""

from __future__ import annotations

from pathlib import Path

from retrain_cli.backbones.runtimes.kept_models import KeptModel
from retrain_cli.backbones.spec import BackboneSpec


def convert_network(spec: BackboneSpec, models: Path) -> KeptModel:
    """Make OpenVINO's form of a resolved spec, of no SavedModel, and keep it in `models`.

    Raises:
        ConversionError: OpenVINO does not take it, or computes something else.
        RetrainError: it cannot be built or read, or the folder cannot be written.
    """
    if spec.kind == "onnx":
        from retrain_cli.backbones.runtimes.onnx_conversion import convert_onnx

        return convert_onnx(spec, models)
    if spec.kind == "timm":
        from retrain_cli.backbones.runtimes.timm_model import convert_timm

        return convert_timm(spec, models)
    from retrain_cli.backbones.runtimes.conversion import convert_backbone

    return convert_backbone(spec, models)
