"""Ways to hurt a file: cut, flipped, repeated, spliced with another, with numbers that lie."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

MAX_BYTES = 1 << 16
_LIES = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_ROUGH = 0.5  # share of the cases that lose their structure, as a rule
_HEADER_BYTES = 200  # where sizes, offsets and counts stand in most formats


def mutate(data: bytes, other: bytes, random: Random) -> bytes:
    """Hurt `data` in one to six ways; `other` is a file to splice in. At most 64 KiB long."""
    hurt = bytearray(data)
    ways = _WAYS if random.random() < _ROUGH else _GENTLE
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        random.choice(ways)(hurt, other, random)
    return bytes(hurt[:MAX_BYTES])


def _place(data: bytearray, random: Random) -> int:
    """Anywhere, half of the time in the header."""
    end = min(len(data), _HEADER_BYTES) if random.random() < 0.5 else len(data)
    return random.randrange(end) if end else 0


def _flip_bits(data: bytearray, _: bytes, random: Random) -> None:
    for _step in range(random.choice((1, 2, 8, 64)) if data else 0):
        data[_place(data, random)] ^= 1 << random.randrange(8)


def _set_bytes(data: bytearray, _: bytes, random: Random) -> None:
    for _step in range(random.choice((1, 2, 8)) if data else 0):
        data[_place(data, random)] = random.randrange(256)


def _lie(data: bytearray, _: bytes, random: Random) -> None:
    """Write a number at an edge of what 1, 2 or 4 bytes hold, in either byte order."""
    width = random.choice((1, 2, 4))
    number = random.choice(_LIES) & ((1 << 8 * width) - 1)
    at = _place(data, random)
    data[at : at + width] = number.to_bytes(width, random.choice(("little", "big")))


def _cut(data: bytearray, _: bytes, random: Random) -> None:
    del data[random.randrange(len(data) + 1) :]


def _delete(data: bytearray, _: bytes, random: Random) -> None:
    at = _place(data, random)
    del data[at : at + random.choice((1, 4, 64, 1024))]


def _repeat(data: bytearray, _: bytes, random: Random) -> None:
    at = _place(data, random)
    part = data[at : at + random.choice((1, 8, 64, 512))]
    data[at:at] = part * random.choice((1, 2, 16))


def _insert(data: bytearray, _: bytes, random: Random) -> None:
    at = _place(data, random)
    data[at:at] = random.randbytes(random.choice((1, 4, 32)))


def _splice(data: bytearray, other: bytes, random: Random) -> None:
    """Begin as this file and go on as the other."""
    data[random.randrange(len(data) + 1) :] = other[random.randrange(len(other)) :]


def _transplant(data: bytearray, other: bytes, random: Random) -> None:
    """Write a piece of the other file over this one."""
    start = random.randrange(len(other))
    part = other[start : start + random.choice((4, 16, 128))]
    at = _place(data, random)
    data[at : at + len(part)] = part


_WAYS: tuple[Callable[[bytearray, bytes, Random], None], ...] = (
    _flip_bits,
    _set_bytes,
    _lie,
    _lie,
    _cut,
    _delete,
    _repeat,
    _insert,
    _splice,
    _transplant,
)


def _flip_one_bit(data: bytearray, _: bytes, random: Random) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _change_pixels(data: bytearray, _: bytes, random: Random) -> None:
    """Behind the headers, where most of the bytes are those of pixels."""
    if len(data) > _HEADER_BYTES:
        at = random.randrange(_HEADER_BYTES, len(data))
        data[at : at + 4] = random.randbytes(len(data[at : at + 4]))


def _nudge(data: bytearray, _: bytes, random: Random) -> None:
    """A number of the header that is off by one."""
    at = random.randrange(min(len(data), _HEADER_BYTES)) if data else 0
    if data:
        data[at] = (data[at] + random.choice((-1, 1))) % 256


_GENTLE: tuple[Callable[[bytearray, bytes, Random], None], ...] = (
    _flip_one_bit,
    _change_pixels,
    _change_pixels,
    _nudge,
)
