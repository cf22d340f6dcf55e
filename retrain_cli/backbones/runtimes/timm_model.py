"""A network of timm: built with torch, run by it, or converted for OpenVINO and compared."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.digests import digest_file
from retrain_cli.backbones.runtimes.conversion import keep_compared, least_cosine, neutral_names
from retrain_cli.backbones.runtimes.kept_models import KeptModel
from retrain_cli.backbones.runtimes.own_devices import choose_own_device, load_runtime
from retrain_cli.backbones.spec import RANDOM, RANDOM_SEED, BackboneSpec
from retrain_cli.backbones.user_networks.resolving import BY_DIGEST
from retrain_cli.backbones.user_networks.scalings import parse_scaling
from retrain_cli.backbones.user_networks.timm_network import (
    describe_timm,
    fetch_timm_weights,
    load_timm,
)
from retrain_cli.engine import load_openvino, quiet_engine
from retrain_cli.errors import BackboneError, RetrainError, WeightsError, reason_of, setting
from retrain_cli.files import read_file

_MOST_BYTES = 16 << 30


class TimmBackbone:
    """A network of timm on torch; `load_backbone` makes it.

    Attributes:
        module: 8-bit pixels in, vectors out.
        width: length of a bottleneck.
        input_size: (height, width) in pixels.
        device: such as "gpu:0".
        any_batch_size: yes.
        batches_at_once: one; torch spreads over all processors by itself.
    """

    any_batch_size = True
    batches_at_once = 1

    def __init__(self, module: Any, side: int, device: str) -> None:
        self._torch = load_runtime("torch", "timm")
        self._place = device.replace("gpu", "cuda")
        self.module = module.to(self._place)
        self.device = device
        self.input_size = (side, side)
        self.width = int(self(np.zeros((1, side, side, 3), np.uint8)).shape[1])

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Bottlenecks of a batch: (n, height, width, 3) uint8 RGB to (n, width) float32."""
        with self._torch.inference_mode():
            pixels = self._torch.from_numpy(np.ascontiguousarray(images)).to(self._place)
            return np.asarray(self.module(pixels).cpu().numpy(), np.float32)


def build_timm_backbone(spec: BackboneSpec, device: str) -> TimmBackbone:
    """Build the network of a resolved spec of timm on torch and load its weights.

    Raises:
        MissingExtraError, BackboneError: timm is not installed, or has no such network.
        DeviceError: torch sees no such GPU.
        WeightsError: the weights cannot be found, or do not fit.
    """
    load_timm()
    torch = load_runtime("torch", setting("runtime", "torch"))
    chosen = choose_own_device(torch, device)
    with quiet_engine(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = _build(torch, spec)
        assert spec.input_size is not None
        try:
            return TimmBackbone(_module(torch, network, spec), spec.input_size, chosen)
        except RetrainError:
            raise
        except Exception as error:  # whatever the network raises
            raise BackboneError(
                f"{spec.name} must turn images of {spec.input_size} px into vectors, and fails on "
                f"one ({reason_of(error):.200}): check {setting('input_size')}"
            ) from error


def convert_timm(spec: BackboneSpec, models: Path) -> KeptModel:
    """Build the network on torch, convert it for OpenVINO, compare the two, keep it in `models`.

    Raises:
        ConversionError: OpenVINO does not take it, or computes something else.
        RetrainError: as `build_timm_backbone`; the folder cannot be written.
    """
    backbone = build_timm_backbone(spec, "cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, of shapes that are constants here
        return keep_compared(
            spec,
            models,
            lambda xml: _write_model(backbone, xml),
            lambda xml: agreement(backbone, xml),
            _message,
            "torch",
        )


def _message(spec: BackboneSpec, reason: str) -> str:
    return (
        f"{setting('runtime', 'openvino')} needs a network that OpenVINO can run, and {spec.name} "
        f"is none ({reason:.200}): choose {setting('runtime', 'torch')}"
    )


def _write_model(backbone: TimmBackbone, xml: Path) -> None:
    openvino = load_openvino()
    torch = load_runtime("torch", "timm")
    height, width = backbone.input_size
    example = torch.zeros((2, height, width, 3), dtype=torch.uint8)
    with torch.inference_mode():
        traced = torch.jit.trace(backbone.module, example, check_trace=False)
    model = openvino.convert_model(traced, example_input=example)
    model.reshape({model.input(0): openvino.PartialShape([-1, height, width, 3])})
    neutral_names(model)
    openvino.serialize(model, xml)


def agreement(backbone: TimmBackbone, xml: Path) -> float:
    """Least cosine between the vectors of both, over three images of noise: no batch as traced."""
    shape = (3, *backbone.input_size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    theirs = np.concatenate([backbone(images[row : row + 1]) for row in range(3)])
    return least_cosine(xml, images, theirs)


def _build(torch: Any, spec: BackboneSpec) -> Any:
    """The network with its weights, all of them or none.

    Raises:
        WeightsError: the file cannot be read, or does not fit.
    """
    timm = load_timm()
    options: dict[str, Any] = {}
    told = timm.models.get_pretrained_cfg(spec.timm_name)
    if told is None:
        describe_timm(spec.timm_name)  # which says what is wrong
    if told.fixed_input_size and told.input_size[-1] != spec.input_size:
        options["img_size"] = spec.input_size
    if spec.weights == RANDOM:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(RANDOM_SEED)
            return timm.create_model(spec.timm_name, pretrained=False, **options).eval()
    path = _weights_path(spec)
    tensors = _read_tensors(torch, path)
    classes = _class_count(tensors, told)
    try:
        return timm.create_model(
            spec.timm_name,
            pretrained=True,
            pretrained_cfg_overlay={"state_dict": tensors, "num_classes": classes},
            num_classes=classes,
            **options,
        ).eval()
    except Exception as error:  # torch tells of all tensors that do not fit, each in a line
        raise WeightsError(
            f"{setting('weights')} must fit {spec.name}, and {path} does not "
            f"({' '.join(str(error).split()):.200}): give the file of this architecture"
        ) from error


def _weights_path(spec: BackboneSpec) -> Path:
    if not spec.weights.startswith(BY_DIGEST):
        return Path(spec.weights)
    path = fetch_timm_weights(describe_timm(spec.timm_name))
    then, now = spec.weights.removeprefix(BY_DIGEST), digest_file(path)
    if then != now:
        raise WeightsError(
            f"this was computed with the weights of {spec.name} of BLAKE2b {then}, and those at "
            f"Hugging Face are {now} now ({path}): put the old file back as {setting('weights')}, "
            "or run `retrain bottlenecks` and `retrain train` again"
        )
    return path


def _read_tensors(torch: Any, path: Path) -> dict[str, Any]:
    if path.suffix != ".safetensors":
        raise WeightsError(
            f"{setting('weights')} of a network of timm takes a .safetensors file, for reading one "
            f"of torch can run any program in it, and got {path}: where you trust it, save its "
            "tensors with safetensors.torch.save_file (docs/backbones.md)"
        )
    import safetensors
    import safetensors.torch

    try:
        return dict(safetensors.torch.load(read_file(path, _MOST_BYTES)))
    except (OSError, safetensors.SafetensorError) as error:
        raise WeightsError(
            f"{setting('weights')} takes an intact file, and {path} is none "
            f"({reason_of(error)}): download it again"
        ) from error


def _class_count(tensors: Mapping[str, Any], told: Any) -> int:
    """Classes of the classifier in the file, which must fit as well; 0 for a file without one."""
    names = told.classifier if isinstance(told.classifier, (tuple, list)) else (told.classifier,)
    found = [tensors[f"{name}.weight"] for name in names if f"{name}.weight" in tensors]
    return int(found[0].shape[0]) if found else 0


def _module(torch: Any, network: Any, spec: BackboneSpec) -> Any:
    """Scaling, network and pooling as one module: 8-bit pixels in, float32 vectors out."""
    scaling = parse_scaling(str(spec.scaling))
    mean, deviation = torch.tensor(scaling.mean), torch.tensor(scaling.deviation)

    class _Whole(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.register_buffer("mean", mean)
            self.register_buffer("deviation", deviation)

        def forward(self, images: Any) -> Any:
            pixels = images.flip(-1) if scaling.bgr else images
            scaled = (pixels.float() / scaling.divisor - self.mean) / self.deviation
            features = self.network.forward_features(scaled.permute(0, 3, 1, 2))
            return _pool(self.network, features, spec).float()

    return _Whole().eval()


def _pool(network: Any, features: Any, spec: BackboneSpec) -> Any:
    """The network's own pooling, or that of a map (n, c, h, w) or of tokens (n, tokens, c).

    Raises:
        BackboneError: there is no first token, or nothing that could be pooled.
    """
    if spec.pooling == "own":
        return network.forward_head(features, pre_logits=True).flatten(1)
    prefix = int(getattr(network, "num_prefix_tokens", 0) or 0)
    rank = len(features.shape) if hasattr(features, "shape") else 0
    if rank not in (3, 4) or (spec.pooling == "cls" and not (rank == 3 and prefix)):
        raise BackboneError(
            f"{setting('pooling', spec.pooling)} needs {'a class token' * (spec.pooling == 'cls')}"
            f"{'a map or tokens' * (spec.pooling != 'cls')}, and {spec.name} gives none: leave "
            f"{setting('pooling')} out"
        )
    if spec.pooling == "cls":
        return features[:, 0]
    channels_first = features.shape[1] == network.num_features
    axes: tuple[int, ...] = (2, 3) if channels_first else (1, 2)
    if rank == 3:  # of the patches alone
        features, axes = features[:, prefix:], (1,)
    return features.amax(axes) if spec.pooling == "max" else features.mean(axes)
