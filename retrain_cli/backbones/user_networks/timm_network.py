"""What timm says of a network of its own: its full name, its preprocessing, its weights."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from retrain_cli import waiting
from retrain_cli.backbones.user_networks.scalings import scaling_of
from retrain_cli.engine import quiet_engine
from retrain_cli.errors import BackboneError, MissingExtraError, WeightsError, reason_of, setting

TIMM_PREFIX = "timm:"
_PACKAGES = ("timm", "torch", "torchvision")
_FILTERS = ("bilinear", "bicubic")
_FILE = "model.safetensors"


@dataclass(frozen=True, slots=True)
class TimmNetwork:
    """A network of timm, by its `pretrained_cfg`.

    Attributes:
        name: with the tag of its weights, such as "vit_small_patch14_dinov2.lvd142m".
        input_size: side in pixels.
        scaling: its mean and deviation, see `scalings`.
        crop: the share of a photo's shorter side that it takes, and the filter.
        hub: of its weights at Hugging Face, "owner/repository"; "" where they are not there.
    """

    name: str
    input_size: int
    scaling: str
    crop: str
    hub: str


def load_timm() -> Any:
    """Import timm, and torch with it.

    Raises:
        MissingExtraError: it is not installed.
        BackboneError: it does not run here.
    """
    try:
        with waiting.for_("loading timm"), quiet_engine():
            import_module("torch")
            return import_module("timm")
    except (ImportError, RuntimeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name in _PACKAGES:
            raise MissingExtraError(f"networks of timm ({TIMM_PREFIX}NAME)", "timm") from error
        raise BackboneError(
            f"{TIMM_PREFIX} networks need timm, torch and torchvision that fit each other, and "
            f"their import failed ({reason_of(error)}): pip install -U 'retrain-cli[timm]'"
        ) from error


def describe_timm(name: str) -> TimmNetwork:
    """Ask timm for a network.

    Raises:
        MissingExtraError: timm is not installed.
        BackboneError: it has no such network, or does not tell how to prepare photos.
    """
    timm = load_timm()
    architecture, _, tag = name.partition(".")
    try:
        found = timm.models.get_pretrained_cfg(name) if timm.is_model(architecture) else None
    except RuntimeError:  # there is the network, and no such tag
        found = None
    if found is None or (tag and found.tag != tag):
        raise BackboneError(_unknown(timm, name, architecture))
    told = found.to_dict()
    channels, height, width = told["input_size"]
    if channels != 3 or height != width:
        raise BackboneError(
            f"a backbone takes square RGB images, and {TIMM_PREFIX}{name} takes {channels} x "
            f"{height} x {width}: choose another one"
        )
    share, kind = float(told.get("crop_pct") or 0.875), str(told.get("interpolation"))
    if not (math.isfinite(share) and 0 < share <= 1):
        share = 1.0
    return TimmNetwork(
        f"{architecture}.{found.tag}" if found.tag else architecture,
        int(height),
        scaling_of(told["mean"], told["std"]),
        f"{share:g} {kind if kind in _FILTERS else 'bicubic'}",
        str(told.get("hf_hub_id") or ""),
    )


def _unknown(timm: Any, name: str, architecture: str) -> str:
    tagged = timm.list_models(f"{architecture}.*", pretrained=True)
    near = tagged[:3] or difflib.get_close_matches(architecture, timm.list_models(), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "timm.list_models() lists all"
    return (
        f"{setting('BackboneSpec.name', TIMM_PREFIX)} takes the name of a network of the installed "
        f"timm {timm.__version__}, not {name!r:.80}: {hint}"
    )


def fetch_timm_weights(network: TimmNetwork) -> Path:
    """The file of weights that timm would load, from Hugging Face or from its cache here.

    Raises:
        WeightsError: there is none, or it cannot be downloaded.
    """
    other = (
        f"download its {_FILE} elsewhere and give it as {setting('weights', 'FILE')}, or take "
        f"{setting('weights', 'random')} to try the network alone"
    )
    if not network.hub:
        raise WeightsError(
            f"timm has no weights of {network.name} at Hugging Face: give your own as "
            f"{setting('weights', 'FILE.safetensors')}"
        )
    try:
        with waiting.for_(f"fetching the weights of {network.name}"), quiet_engine():
            hub = import_module("huggingface_hub")
            return Path(hub.hf_hub_download(network.hub, _FILE))
    except Exception as error:  # whatever the network, the disk or the hub's client raises
        raise WeightsError(
            f"the weights of {network.name} cannot be fetched from {network.hub} at Hugging Face "
            f"({reason_of(error):.200}): {other}"
        ) from error
