"""Networks of timm with random weights: its preprocessing, poolings, weights and OpenVINO's form.

These run where timm and torch are installed (the extra `timm`), and are skipped elsewhere.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retrain_cli.backbones.loader import load_backbone
from retrain_cli.backbones.spec import BackboneSpec, Pooling
from retrain_cli.backbones.user_networks import timm_network
from retrain_cli.errors import BackboneError, MissingExtraError, RetrainError, WeightsError

with_timm = pytest.mark.skipif(
    find_spec("timm") is None or find_spec("torch") is None, reason="timm or torch is missing"
)
ignore = pytest.mark.filterwarnings("ignore")  # of torch and timm, in what they do to each other

SIDE = 32
CNN = BackboneSpec("timm:resnet10t.c3_in1k", weights="random", input_size=SIDE, precision="float32")
VIT = replace(CNN, name="timm:vit_tiny_patch16_224.augreg_in21k")


def images(count: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"retrain-cli\[timm\]"):
        BackboneSpec("timm:resnet18", weights="random").resolve()


def test_a_resolved_spec_needs_no_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that commands on cached vectors, and OpenVINO's form, run where torch is not installed."""
    monkeypatch.setitem(sys.modules, "torch", None)
    known = replace(CNN, scaling="torch", resize="crop", crop="0.95 bicubic", pooling="own")
    identity = known.identity()
    assert identity["name"] == "timm_resnet10t.c3_in1k"
    assert (identity["resize"], identity["pooling"]) == ("crop 0.95 bicubic", "own")
    assert known.fingerprint() != replace(known, crop="1 bicubic").fingerprint()


@ignore
@with_timm
def test_timm_says_how_photos_are_prepared() -> None:
    spec = BackboneSpec("timm:vit_tiny_patch16_224", weights="random").resolve()
    told = timm_network.load_timm().models.get_pretrained_cfg("vit_tiny_patch16_224")
    assert spec.name == f"timm:vit_tiny_patch16_224.{told.tag}"
    assert spec.input_size == told.input_size[-1]
    assert spec.scaling == "0.5,0.5,0.5/0.5,0.5,0.5"
    assert (spec.resize, spec.crop) == ("crop", f"{told.crop_pct:g} {told.interpolation}")
    assert spec.pooling == "own"
    assert spec.resolve() == spec
    squashed = BackboneSpec(spec.name, weights="random", resize="squash").resolve()
    assert (squashed.resize_rule, squashed.scaling) == ("squash", spec.scaling)
    assert spec.default_source_classes() == "none"


@ignore
@with_timm
@pytest.mark.parametrize("spec", [CNN, VIT], ids=["convolutions", "tokens"])
def test_openvino_computes_what_torch_computes(spec: BackboneSpec, tmp_path: Path) -> None:
    on_torch = load_backbone(replace(spec, runtime="torch"), "cpu")
    on_openvino = load_backbone(replace(spec, runtime="openvino"), "cpu", tmp_path)
    theirs, ours = on_torch(images(5)), on_openvino(images(5))
    assert (on_torch.width, on_torch.input_size) == (on_openvino.width, (SIDE, SIDE))
    scale = np.abs(theirs).max()
    assert np.abs(theirs - theirs.mean(axis=0)).max() > 0.01 * scale  # they tell images apart
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * scale)


@ignore
@with_timm
def test_it_is_timms_own_answer_for_what_it_prepares() -> None:
    import torch

    timm = timm_network.load_timm()
    spec = replace(VIT, runtime="torch").resolve()
    backbone: Any = load_backbone(spec, "cpu")
    network = backbone.module.network
    transform = timm.data.create_transform(
        **timm.data.resolve_model_data_config(network, {"input_size": (3, SIDE, SIDE)})
    )
    normalise = transform.transforms[-1]
    pixels = torch.from_numpy(images()).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        wanted = network.forward_head(network.forward_features(normalise(pixels)), pre_logits=True)
    np.testing.assert_allclose(backbone(images()), wanted.numpy(), atol=1e-5)


@ignore
@with_timm
@pytest.mark.parametrize("pooling", ["avg", "max", "cls"])
def test_tokens_are_pooled(pooling: Pooling) -> None:
    import torch

    backbone: Any = load_backbone(replace(VIT, runtime="torch", pooling=pooling), "cpu")
    network = backbone.module.network
    pixels = (torch.from_numpy(images()).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        tokens = network.forward_features(pixels).numpy()
    patches = tokens[:, 1:]
    wanted = {"avg": patches.mean(1), "max": patches.max(1), "cls": tokens[:, 0]}[pooling]
    np.testing.assert_allclose(backbone(images()), wanted, atol=1e-5)


@ignore
@with_timm
def test_there_is_no_class_token_in_a_map() -> None:
    with pytest.raises(BackboneError, match="needs a class token"):
        load_backbone(replace(CNN, runtime="torch", pooling="cls"), "cpu")


@ignore
@with_timm
@pytest.mark.parametrize("classes", [1000, 7, 0])
def test_weights_of_a_file_are_taken_whole_or_not_at_all(classes: int, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    timm = timm_network.load_timm()
    torch.manual_seed(4)
    network = timm.create_model("resnet10t", pretrained=False, num_classes=classes).eval()
    file = tmp_path / "mine.safetensors"
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(tensors, file)
    spec = replace(CNN, weights=str(file), runtime="torch")
    found: Any = load_backbone(spec, "cpu")
    for name, tensor in found.module.network.state_dict().items():
        assert torch.equal(tensor, tensors[name])
    before = spec.fingerprint()

    missing = next(name for name in tensors if name.startswith("layer3"))
    save_file({name: one for name, one in tensors.items() if name != missing}, file)
    assert spec.fingerprint() != before
    with pytest.raises(WeightsError, match=missing):
        load_backbone(spec, "cpu")


@ignore
@with_timm
def test_what_cannot_be_weights_is_refused(tmp_path: Path) -> None:
    for name, words in (("a.pth", "any program in it"), ("a.safetensors", "intact file")):
        (tmp_path / name).write_bytes(b"\x80\x02ctorch")
        with pytest.raises(WeightsError, match=words):
            load_backbone(replace(CNN, weights=str(tmp_path / name), runtime="torch"), "cpu")


@ignore
@with_timm
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet", "did you mean"),
        ("resnet18.nosuch", "did you mean resnet18."),
        ("hf-hub:some/one", "takes the name of a network"),
        ("../x", "takes the name of a network"),
        ("", "takes the name of a network"),
    ],
)
def test_names_that_timm_does_not_know(name: str, words: str) -> None:
    with pytest.raises(BackboneError, match=words) as caught:
        BackboneSpec(f"timm:{name}", weights="random").resolve()
    assert "\n" not in str(caught.value)


@ignore
@with_timm
def test_published_weights_count_by_their_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from safetensors.torch import save_file

    timm = timm_network.load_timm()
    file = tmp_path / "model.safetensors"
    state = timm.create_model("resnet10t", pretrained=False).state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, file)
    asked = []

    def download(repository: str, name: str) -> str:
        asked.append((repository, name))
        return str(file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    spec = replace(CNN, weights="imagenet", runtime="torch").resolve()
    assert asked == [("timm/resnet10t.c3_in1k", "model.safetensors")]
    assert spec.weights.startswith("blake2b:")
    assert load_backbone(spec, "cpu").width == 512
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(WeightsError, match="put the old file back"):
        load_backbone(spec, "cpu")

    def offline(repository: str, name: str) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(WeightsError, match=r"no route to host.*give it as weights='FILE'"):
        replace(CNN, weights="imagenet").resolve()


@pytest.mark.parametrize(
    "settings", [{"alpha": 0.5}, {"layer": "x"}, {"output": "y"}, {"runtime": "keras"}]
)
def test_options_of_other_backbones(settings: dict[str, Any]) -> None:
    with pytest.raises(RetrainError):
        replace(CNN, **settings).resolve()
