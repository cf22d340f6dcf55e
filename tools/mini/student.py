"""The student: the network's mirror with its throw-away heads, its losses and its augmentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - its usual name

from mini.mirror import Arrays, Mirror, Tensor
from mini.photos import UNLABELLED
from mini.teachers import Lesson
from mini.views import Round

TEMPERATURE = 2.0
LOGIT_WEIGHT = 6.0
FEATURE_WEIGHT = 5.0
CLASS_WEIGHT = 0.3
LABEL_SMOOTHING = 0.1
LARGEST_DEVIATION = 6.0  # of a teacher's feature, in standard deviations
GREY_SHARE = 0.05
JITTER = 0.3


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of a teacher's features, each `(1280,)`."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def measure(cls, features: Any) -> Scale:
        """Measure them over `(n, 1280)` features."""
        values = torch.from_numpy(features.astype(np.float32))
        return cls(values.mean(0), values.std(0) + 1e-3)

    def apply(self, features: Tensor) -> Tensor:
        """Standardise, and clip outliers."""
        scaled = (features.float() - self.mean) / self.deviation
        return scaled.clamp(-LARGEST_DEVIATION, LARGEST_DEVIATION)


@dataclass(frozen=True)
class Scales:
    """One scale per teacher."""

    mobilenet: Scale
    inception: Scale

    @classmethod
    def measure(cls, lesson: Lesson) -> Scales:
        """Measure both over one round's lesson."""
        return cls(Scale.measure(lesson.mobilenet), Scale.measure(lesson.inception))


@dataclass(frozen=True)
class Batch:
    """Tensors of some views: what `Round` holds, as the losses want it.

    Attributes:
        pixels: `(n, 3, size, size) float32` in [-1, 1], augmented.
        targets: `(n, n_classes) float32`, shares of the labelled classes; zero for unlabelled.
        logits: `(n, 1000) float32`.
        mobilenet: `(n, 1280) float32`, standardised.
        inception: `(n, 1280) float32`, standardised.
    """

    pixels: Tensor
    targets: Tensor
    logits: Tensor
    mobilenet: Tensor
    inception: Tensor


def take_batch(data: Round, rows: Any, scales: Scales, n_classes: int) -> Batch:
    """Take some rows of a round, with new random augmentation."""
    labels, shares = torch.from_numpy(data.labels[rows]), torch.from_numpy(data.shares[rows])
    lesson = data.lesson
    return Batch(
        pixels=augment(torch.from_numpy(data.pixels[rows])),
        targets=_share_out(labels, shares, n_classes),
        logits=torch.from_numpy(lesson.logits[rows]).float(),
        mobilenet=scales.mobilenet.apply(torch.from_numpy(lesson.mobilenet[rows])),
        inception=scales.inception.apply(torch.from_numpy(lesson.inception[rows])),
    )


def _share_out(labels: Tensor, shares: Tensor, n_classes: int) -> Tensor:
    """Soft targets of blended views; unlabelled photos add nothing."""
    targets = torch.zeros(len(labels), n_classes)
    for column, weights in ((0, shares), (1, 1 - shares)):
        known = labels[:, column] != UNLABELLED
        rows = known.nonzero().flatten()
        targets[rows, labels[rows, column]] += weights[rows]
    return targets


def augment(pixels: Tensor) -> Tensor:
    """Flip, shift in brightness, contrast and saturation, and turn a few views grey.

    Args:
        pixels: `(n, size, size, 3) uint8`.

    Returns:
        `(n, 3, size, size) float32` in [-1, 1], channels_last in memory.
    """
    x = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
    n = len(x)
    x = torch.where(torch.rand(n, 1, 1, 1) < 0.5, x, x.flip(3))
    mean = x.mean((2, 3), keepdim=True)
    x = (x - mean) * _jitter(n) + mean + (_jitter(n) - 1)
    grey = x.mean(1, keepdim=True)
    saturation = torch.where(torch.rand(n, 1, 1, 1) < GREY_SHARE, torch.zeros(()), _jitter(n))
    x = grey + (x - grey) * saturation
    return x.clamp(-1, 1).contiguous(memory_format=torch.channels_last)


def _jitter(n: int) -> Tensor:
    """Factors around 1, one per view."""
    return 1 + (torch.rand(n, 1, 1, 1) * 2 - 1) * JITTER


class Student:
    """The mirrored network and four linear heads on its bottleneck, dropped after training.

    Args:
        model: the Keras network.
        n_classes: labelled classes.
        width: of the bottleneck.
    """

    def __init__(self, model: Any, n_classes: int, width: int) -> None:
        self.mirror = Mirror(model)
        sizes = {"logits": 1000, "mobilenet": 1280, "inception": 1280, "classes": n_classes}
        self._heads = torch.nn.ModuleDict(
            {name: torch.nn.Linear(width, size) for name, size in sizes.items()}
        )

    def trained(self) -> Arrays:
        """Everything that the optimiser changes, by name."""
        heads = {f"head.{name}": array for name, array in self._heads.named_parameters()}
        return {**self.mirror.parameters, **heads}

    def state(self) -> Arrays:
        """Everything that a checkpoint must hold, by name."""
        return {**self.trained(), **self.mirror.statistics}

    def loss(self, batch: Batch) -> Tensor:
        """The weighted sum of logit distillation, feature distillation and classification."""
        with torch.autocast("cpu", dtype=torch.bfloat16):
            maps = self.mirror(batch.pixels, training=True)
        bottleneck = maps.float().mean((2, 3))
        said = {name: head(bottleneck) for name, head in self._heads.items()}
        features = F.mse_loss(said["mobilenet"], batch.mobilenet)
        features = features + F.mse_loss(said["inception"], batch.inception)
        return (
            LOGIT_WEIGHT * _divergence(said["logits"], batch.logits)
            + FEATURE_WEIGHT * features / 2
            + CLASS_WEIGHT * _classification(said["classes"], batch.targets)
        )


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Kullback-Leibler divergence at a raised temperature (Hinton et al., 2015)."""
    wanted = F.log_softmax(teacher / TEMPERATURE, dim=1)
    said = F.log_softmax(student / TEMPERATURE, dim=1)
    return F.kl_div(said, wanted, log_target=True, reduction="batchmean")


def _classification(student: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy on the labelled shares, smoothed; averaged over all views."""
    known = targets.sum(1, keepdim=True)
    smooth = targets * (1 - LABEL_SMOOTHING) + known * LABEL_SMOOTHING / targets.shape[1]
    return -(smooth * F.log_softmax(student, dim=1)).sum(1).mean()
