"""What is known of each backbone: its size, what it is published to reach, how fast it is here.

Sizes and speeds are those that `tools/measure_backbones.py` printed; accuracies are quoted.
"""

from __future__ import annotations

from dataclasses import dataclass

KERAS_TABLE = "Keras Applications, keras.io/api/applications"
KERAS_MOBILENET_V3 = "Keras, the module keras.applications.mobilenet_v3"
LITE_README = "EfficientNet-Lite, github.com/tensorflow/tpu"

MEASURED_ON = "one core of an AMD EPYC without AVX-512, OpenVINO"
"""What the speeds were measured on."""


@dataclass(frozen=True, slots=True)
class BackboneFigures:
    """The figures of one backbone, at its own input size and default width.

    Attributes:
        parameters: numbers in its weights, without the classifier.
        top1: share of ImageNet's validation photos that its classifier gets right, as published.
        source: who published that.
        speed: photos per processor second in float32, relative to Inception v3 in float32; None
            where it was not measured.
        speed_8_bits: the same in 8 bits, relative to Inception v3 in 8 bits; likewise.
    """

    parameters: int
    top1: float
    source: str
    speed: float | None = None
    speed_8_bits: float | None = None


FIGURES: dict[str, BackboneFigures] = {
    "inception_v3": BackboneFigures(21_802_784, 0.779, KERAS_TABLE, 1.0, 1.0),
    "inception_resnet_v2": BackboneFigures(54_336_736, 0.803, KERAS_TABLE, 0.44, 0.45),
    "xception": BackboneFigures(20_861_480, 0.790, KERAS_TABLE, 0.61, 0.48),
    "vgg16": BackboneFigures(14_714_688, 0.713, KERAS_TABLE, 0.4, 0.37),
    "vgg19": BackboneFigures(20_024_384, 0.713, KERAS_TABLE, 0.31, 0.31),
    "resnet50": BackboneFigures(23_587_712, 0.749, KERAS_TABLE, 1.6, 1.6),
    "resnet101": BackboneFigures(42_658_176, 0.764, KERAS_TABLE, 0.83, 0.77),
    "densenet121": BackboneFigures(7_037_504, 0.750, KERAS_TABLE, 1.8, 1.7),
    "mobilenet": BackboneFigures(3_228_864, 0.704, KERAS_TABLE, 7.9, 7.9),
    "mobilenet_v2": BackboneFigures(2_257_984, 0.713, KERAS_TABLE, 10.1, 10.2),
    "mobilenet_v3_small": BackboneFigures(939_120, 0.681, KERAS_MOBILENET_V3, 47.6, 30.7),
    "mobilenet_v3_large": BackboneFigures(2_996_352, 0.756, KERAS_MOBILENET_V3, 14.5, 12.2),
    "efficientnet_v2_b0": BackboneFigures(5_919_312, 0.787, KERAS_TABLE, 3.1),
    "efficientnet_v2_s": BackboneFigures(20_331_360, 0.839, KERAS_TABLE),
    "efficientnet_v2_m": BackboneFigures(53_150_388, 0.853, KERAS_TABLE),
    "convnext_tiny": BackboneFigures(27_820_128, 0.813, KERAS_TABLE, 0.96, 0.45),
    "efficientnet_lite0": BackboneFigures(3_413_024, 0.751, LITE_README, 9.3, 8.2),
    "efficientnet_lite1": BackboneFigures(4_189_344, 0.767, LITE_README, 6.0, 5.0),
    "efficientnet_lite2": BackboneFigures(4_869_168, 0.776, LITE_README, 4.0, 3.9),
}
