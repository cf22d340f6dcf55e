"""Cached views: crops and blends of the photos, each with what the teachers say about it.

The student sees exactly the crop that its teachers saw (a consistent teacher), and half of the
views blend two photos, which turns a few thousand photos into many more (Beyer et al., "Knowledge
distillation: a good teacher is patient and consistent", CVPR 2022). A round is one view of every
photo; a training epoch uses up one round.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mini.photos import PhotoList, Pixels
from mini.teachers import VIEW_SIDE, Lesson, Teachers, resize_all

SMALLEST_AREA = 0.25
WIDEST_STRETCH = 4 / 3
BLENDED_SHARE = 0.5
TEACHING_BATCH = 64


@dataclass(frozen=True)
class Recipe:
    """How one view is made.

    Attributes:
        first: index of the photo; its share of the view is `share`.
        second: index of the photo blended in.
        share: 1 for a plain crop.
        boxes: two crop boxes as (left, top, right, bottom) fractions of each photo.
        pasted: True to paste the second photo as a rectangle, False to average the two.
        corner: (x, y) fractions of where the pasted rectangle begins.
    """

    first: int
    second: int
    share: float
    boxes: tuple[tuple[float, ...], tuple[float, ...]]
    pasted: bool
    corner: tuple[float, float]


@dataclass(frozen=True)
class Round:
    """One view of every photo, with the teachers' answers.

    Attributes:
        pixels: `(n, size, size, 3) uint8`, what the student sees.
        labels: `(n, 2) int64`, class of the first and second photo, or -1.
        shares: `(n,) float32`, the first photo's share.
        lesson: the teachers' answers.
    """

    pixels: Pixels
    labels: NDArray[np.int64]
    shares: NDArray[np.float32]
    lesson: Lesson


@dataclass(frozen=True)
class CachePlan:
    """How many rounds of which size (pixels) to cache, from which seed."""

    rounds: int
    size: int
    seed: int


def write_recipe(rng: np.random.Generator, first: int, n_photos: int) -> Recipe:
    """Draw at random how photo `first` is shown."""
    blended = rng.random() < BLENDED_SHARE
    share = float(rng.uniform(0.3, 0.9)) if blended else 1.0
    x, y = rng.random(2)
    return Recipe(
        first=first,
        second=int(rng.integers(n_photos)),
        share=share,
        boxes=(_draw_box(rng), _draw_box(rng)),
        pasted=bool(rng.random() < 0.5),
        corner=(float(x), float(y)),
    )


def _draw_box(rng: np.random.Generator) -> tuple[float, ...]:
    """A random crop, in fractions of width and height; often nearly the whole photo."""
    area = rng.uniform(SMALLEST_AREA, 1.0)
    stretch = math.exp(rng.uniform(-1, 1) * math.log(WIDEST_STRETCH) / 2)
    width, height = min(1.0, math.sqrt(area) * stretch), min(1.0, math.sqrt(area) / stretch)
    left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    return float(left), float(top), float(left + width), float(top + height)


def make_view(recipe: Recipe, photos: list[Image.Image]) -> Pixels:
    """Carry out a recipe.

    Returns:
        `(224, 224, 3) uint8`.
    """
    first = _crop(photos[recipe.first], recipe.boxes[0])
    if recipe.share == 1:
        return np.asarray(first)
    second = _crop(photos[recipe.second], recipe.boxes[1])
    if not recipe.pasted:
        return np.asarray(Image.blend(second, first, recipe.share))
    side = round(VIEW_SIDE * math.sqrt(1 - recipe.share))
    x, y = (round(fraction * (VIEW_SIDE - side)) for fraction in recipe.corner)
    first.paste(second.crop((x, y, x + side, y + side)), (x, y))
    return np.asarray(first)


def _crop(photo: Image.Image, box: tuple[float, ...]) -> Image.Image:
    """Cut a box and stretch it to the teachers' square."""
    left, top, right, bottom = box
    pixels = (left * photo.width, top * photo.height, right * photo.width, bottom * photo.height)
    return photo.resize((VIEW_SIDE, VIEW_SIDE), Image.Resampling.BICUBIC, box=pixels)


def make_round(
    recipes: list[Recipe],
    photos: list[Image.Image],
    listed: PhotoList,
    teachers: Teachers,
    size: int,
) -> Round:
    """Make all views of a round and ask the teachers about them; `size` is the student's input."""

    def prepare(begin: int) -> tuple[Pixels, Pixels]:
        chosen = recipes[begin : begin + TEACHING_BATCH]
        views = np.stack([make_view(recipe, photos) for recipe in chosen])
        return views, resize_all(views, size)

    with ThreadPoolExecutor(2) as pool:
        batches = pool.map(prepare, range(0, len(recipes), TEACHING_BATCH))
        taught = [(small, teachers.teach(views)) for views, small in batches]
    lessons = [lesson for _, lesson in taught]
    return Round(
        pixels=np.concatenate([small for small, _ in taught]),
        labels=np.stack([listed.labels[[r.first, r.second]] for r in recipes]),
        shares=np.array([r.share for r in recipes], np.float32),
        lesson=Lesson(
            logits=np.concatenate([lesson.logits for lesson in lessons]),
            mobilenet=np.concatenate([lesson.mobilenet for lesson in lessons]),
            inception=np.concatenate([lesson.inception for lesson in lessons]),
        ),
    )


def save_round(path: Path, made: Round) -> None:
    """Write a round as one `.npz`; a broken-off write leaves no file of that name."""
    partial = path.with_suffix(".partial.npz")
    np.savez(
        partial,
        pixels=made.pixels,
        labels=made.labels,
        shares=made.shares,
        logits=made.lesson.logits,
        mobilenet=made.lesson.mobilenet,
        inception=made.lesson.inception,
    )
    partial.replace(path)


def load_round(path: Path) -> Round:
    """Read what `save_round` wrote."""
    with np.load(path) as file:
        lesson = Lesson(file["logits"], file["mobilenet"], file["inception"])
        return Round(file["pixels"], file["labels"], file["shares"], lesson)


def round_path(work: Path, number: int) -> Path:
    """Where round `number` is kept."""
    return work / f"round_{number:03d}.npz"


def cache_rounds(
    work: Path, listed: PhotoList, photos: list[Image.Image], teachers: Teachers, plan: CachePlan
) -> None:
    """Make the rounds that `work` does not hold yet; each depends on seed and number only."""
    for number in range(plan.rounds):
        path = round_path(work, number)
        if path.exists():
            continue
        rng = np.random.default_rng((plan.seed, number))
        recipes = [write_recipe(rng, i, len(photos)) for i in range(len(photos))]
        save_round(path, make_round(recipes, photos, listed, teachers, plan.size))
        print(f"cached round {number + 1} of {plan.rounds}", flush=True)
