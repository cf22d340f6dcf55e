"""Numbered cases: the number alone gives the input, so that any of them can be tried again."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from random import Random
from typing import get_args

from fuzz.mutations import mutate
from fuzz.repairs import repair
from fuzz.seeds import sound_images
from fuzz.structures import restructure
from retrain_cli.errors import ImageError
from retrain_cli.images.decode import check_image, decode_image, load_rgb
from retrain_cli.images.resizing import ResizeRule
from retrain_cli.images.streams.stream import Skipped, split_images

_LONGEST_REASON = 250
_WITHIN = 0.8  # share of the cases whose structure stays whole, so that they are decoded
_REPAIRED = 0.7  # share of the others whose checksums and lengths are made to fit
_SIDES = (1, 32, 224, 299)


class FaultError(Exception):
    """The decoder broke its promise: pixels of the wanted shape, or an ImageError of one line."""


@dataclass(frozen=True)
class Case:
    """An input.

    Attributes:
        seed: name of the sound image that it was made of.
        data: the file's bytes.
        size: wanted (height, width).
        resize: how.
        is_whole: whether its structure was kept, with lengths, offsets and checksums that fit.
    """

    seed: str
    data: bytes
    size: tuple[int, int]
    resize: ResizeRule
    is_whole: bool


def make_case(number: int, formats: tuple[str, ...] = ()) -> Case:
    """The case of a number; `formats` limits the seeds to those whose names begin so."""
    images = sound_images()
    random = Random(number)
    names = sorted(name for name in images if not formats or name.startswith(formats))
    kind = random.choice(sorted({kind_of(name) for name in names}))
    kin = [name for name in names if kind_of(name) == kind]
    seed = random.choice(kin)
    # Half of the splices stay within the format, where they get further.
    other = images[random.choice(kin if random.random() < 0.5 else names)]
    size = (random.choice(_SIDES), random.choice(_SIDES))
    data = images[seed]
    if random.random() < _WITHIN:
        data = restructure(data, random)
        return Case(seed, data, size, random.choice(get_args(ResizeRule)), is_whole=True)
    data = mutate(data, other, random)
    if random.random() < _REPAIRED:
        data = repair(data)
    return Case(seed, data, size, random.choice(get_args(ResizeRule)), is_whole=False)


def kind_of(seed: str) -> str:
    """The format that a seed's name begins with."""
    return seed.split("-", maxsplit=1)[0]


def try_case(case: Case) -> str | None:
    """Decode; None where that gave pixels, else the reason that a user would read.

    Raises:
        FaultError: neither of the two came of it.
    """
    skipped: list[Skipped] = []
    found = list(split_images([case.data[:99], case.data[99:]], skipped.append))
    if not all(found) or sum(map(len, found)) > len(case.data):
        raise FaultError("a stream that is split into more than it holds")
    for look in (check_image, load_rgb):
        with contextlib.suppress(ImageError):
            look(case.data)
    try:
        pixels = decode_image(case.data, case.size, case.resize)
    except ImageError as error:
        reason = str(error)
        if not reason or "\n" in reason or len(reason) > _LONGEST_REASON:
            raise FaultError(f"a reason that is no short line: {reason!r}") from error
        return reason
    if pixels.shape != (*case.size, 3):
        raise FaultError(f"pixels of shape {pixels.shape}, not {case.size}")
    return None
