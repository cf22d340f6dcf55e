"""What is open in `--backbone onnx:FILE`, from the file itself: size, layout, scaling, output.

What the file does not tell, the user has to: a wrong scaling gives vectors that look right.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retrain_cli.backbones.user_networks.onnx_file import OnnxFile, OnnxTensor, read_onnx
from retrain_cli.backbones.user_networks.scalings import canonical_scaling
from retrain_cli.errors import BackboneError, ConfigError, setting

ONNX_PREFIX = "onnx:"

_PIXELS = ("float32", "float16", "bfloat16", "float64", "uint8")
_CHANNELS = 3
_MOST_PIXELS = 4096
_RANGES = {
    "NominalRange_0_255": "none",
    "Normalized_0_1": "0/1",
    "Normalized_1_1": "tf",
}
_ORDERS = {"Rgb8": "", "Bgr8": ":bgr"}
"""Values of ONNX's metadata of images (docs/MetadataProps.md of onnx), `Image.NominalPixelRange`
and `Image.BitmapPixelFormat`."""


@dataclass(frozen=True, slots=True)
class OnnxNetwork:
    """How to use an ONNX file as a backbone.

    Attributes:
        path: the file.
        image: name of the input that takes the images.
        kind: its element type.
        channels_first: whether its layout is NCHW, not NHWC.
        batch: images that it takes at once; None for any number.
        size: (height, width) in pixels.
        scaling: how pixels become its input.
        output: name of the output that gives the vectors.
    """

    path: Path
    image: str
    kind: str
    channels_first: bool
    batch: int | None
    size: tuple[int, int]
    scaling: str
    output: str


def describe_onnx(
    path: Path, output: str | None, scaling: str | None, input_size: int | None
) -> OnnxNetwork:
    """Fill in from the file what the user left open.

    Raises:
        WeightsError: it is no ONNX file.
        BackboneError: it takes something else than images, or does not tell how.
    """
    file = read_onnx(path)
    image = _image_input(path, file)
    channels_first = _channels_first(path, image, file.metadata)
    axes = image.shape or ()
    return OnnxNetwork(
        path,
        image.name,
        image.kind,
        channels_first,
        axes[0],
        _size(path, axes[2:4] if channels_first else axes[1:3], input_size),
        _scaling(path, image, file.metadata, scaling),
        _output(path, file, output),
    )


def _image_input(path: Path, file: OnnxFile) -> OnnxTensor:
    if len(file.inputs) != 1:
        named = ", ".join(map(str, file.inputs)) or "none"
        takes_text = any("ids" in one.name or "mask" in one.name for one in file.inputs)
        advice = (
            "it takes text beside the image; export its image part alone (such as "
            "CLIPVisionModelWithProjection or SiglipVisionModel of transformers)"
            if takes_text
            else "export the part between the image and the vector alone"
        )
        raise BackboneError(
            f"an {ONNX_PREFIX} backbone takes one input, a batch of images, and {path} takes "
            f"{len(file.inputs)}: {named}: {advice}"
        )
    (image,) = file.inputs
    if image.kind not in _PIXELS or image.shape is None or len(image.shape) != 4:
        raise BackboneError(
            f"an {ONNX_PREFIX} backbone takes a batch of images, (n, 3, height, width) or "
            f"(n, height, width, 3) in {', '.join(_PIXELS)}, and {path} takes {image}: export the "
            "model with such an input"
        )
    return image


def _channels_first(path: Path, image: OnnxTensor, metadata: dict[str, str]) -> bool:
    """Whether the channels stand before height and width.

    Raises:
        BackboneError: the file does not tell.
    """
    said = metadata.get("layout", "").upper()
    if said in ("NCHW", "NHWC"):
        found = [1 if said == "NCHW" else 3]
    elif "DATA_CHANNEL" in image.meanings:
        found = [image.meanings.index("DATA_CHANNEL")]
    else:
        found = [axis for axis in (1, 3) if (image.shape or ())[axis] == _CHANNELS]
    if len(found) != 1 or found[0] not in (1, 3):
        raise BackboneError(
            f"an {ONNX_PREFIX} backbone takes RGB images whose 3 channels are its second or its "
            f"last axis, and {path} takes {image}: export the model with that axis fixed to 3, or "
            "write layout = NCHW or NHWC into its metadata (onnx.helper.set_model_props)"
        )
    if (image.shape or ())[found[0]] not in (None, _CHANNELS):
        raise BackboneError(
            f"an {ONNX_PREFIX} backbone takes RGB images, of 3 channels, and {path} takes {image}: "
            "export the model with that input"
        )
    return found[0] == 1


def _size(path: Path, axes: tuple[int | None, ...], wanted: int | None) -> tuple[int, int]:
    if wanted is None and None in axes:
        raise BackboneError(
            f"{path} takes images of any size and does not tell which: give the side in pixels "
            f"that it was trained at as {setting('input_size', 'N')}"
        )
    size = (axes[0] or wanted or 0, axes[1] or wanted or 0)
    if wanted is not None and size != (wanted, wanted):
        raise BackboneError(
            f"{path} takes images of {size[0]} x {size[1]} px only, not "
            f"{setting('input_size', wanted)}: leave {setting('input_size')} out"
        )
    if max(size) > _MOST_PIXELS:
        raise BackboneError(
            f"an {ONNX_PREFIX} backbone takes images of at most {_MOST_PIXELS} px a side, not "
            f"{size[0]} x {size[1]}: export the model with a smaller input"
        )
    return size


def _scaling(path: Path, image: OnnxTensor, metadata: dict[str, str], wanted: str | None) -> str:
    """What the user says, else the file's metadata; 8-bit pixels are scaled by the network.

    Raises:
        BackboneError: nobody says.
    """
    if image.kind == "uint8":
        if wanted is not None and not canonical_scaling(wanted).startswith("none"):
            raise BackboneError(
                f"{path} takes 8-bit pixels, which it scales by itself, so "
                f"{setting('scaling', wanted)} cannot be: leave {setting('scaling')} out"
            )
        return canonical_scaling(wanted or "none")
    said = wanted or metadata.get("scaling") or _by_metadata(metadata)
    if not said:
        raise BackboneError(
            f"{path} does not tell how pixels become its input, and a wrong scaling would only "
            f"make every answer worse: give {setting('scaling', 'torch')} (ImageNet's mean and "
            "deviation), tf (-1..1), caffe, none (0..255) or MEAN/DEVIATION as its preprocessing "
            "has them (docs/backbones.md)"
        )
    try:
        return canonical_scaling(said)
    except ConfigError as error:
        if wanted:
            raise
        raise BackboneError(
            f"the metadata of {path} have a scaling that is none: {error}; give "
            f"{setting('scaling')}"
        ) from error


def _by_metadata(metadata: dict[str, str]) -> str:
    scaling = _RANGES.get(metadata.get("Image.NominalPixelRange", ""))
    order = _ORDERS.get(metadata.get("Image.BitmapPixelFormat", "Rgb8"))
    return "" if scaling is None or order is None else scaling + order


def _output(path: Path, file: OnnxFile, wanted: str | None) -> str:
    names = [one.name for one in file.outputs]
    named = ", ".join(map(str, file.outputs))
    if wanted is not None and wanted not in names:
        raise BackboneError(
            f"{setting('output')} takes the name of an output of {path}, not "
            f"{wanted!r:.80}: it has {named}"
        )
    if wanted is None and len(names) != 1:
        raise BackboneError(
            f"{path} has {len(names)} outputs: {named}: name the one to take with "
            f"{setting('output', 'NAME')}"
        )
    return wanted if wanted is not None else names[0]
