"""Changes within the structure of an image: lengths, offsets and checksums fit again afterwards.

Most files that are hurt like this are still decoded, and so get further than those that any header
check refuses: other tables, other pixels, parts that are new, moved, repeated or cut differently.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from random import Random

_PNG = b"\x89PNG\r\n\x1a\n"
_EXTRA_CHUNKS = (b"tEXt", b"gAMA", b"cHRM", b"pHYs", b"tIME", b"eXIf", b"abCd")
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}
_TIFF_EXTRAS = (270, 271, 274, 282, 296, 305, 306, 315, 33432, 34665, 40961, 50000, 65000)
_REPEATS_FROM = 0xC0  # a byte of PCX from here on says how often the next one comes
_PIXELS_BEHIND = 0.4  # of the length: there most formats have nothing but pixels


def restructure(data: bytes, random: Random) -> bytes:
    """The file with one to four changes of its structure; what is no image we know stays."""
    for _ in range(random.choice((1, 1, 2, 4))):
        data = _way(data)(data, random)
    return data


def _way(data: bytes) -> Callable[[bytes, Random], bytes]:
    for start, way in _WAYS:
        if data.startswith(start):
            return way
    return _boxes if data[4:8] in (b"ftyp", b"jP  ") else _pixels


def _change_some(data: bytes, random: Random, first: int = 0) -> bytes:
    """Up to eight bytes are others, from a place on."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 2, 8)) if len(data) > first else 0):
        changed[random.randrange(first, len(data))] = random.randrange(256)
    return bytes(changed)


def _pixels(data: bytes, random: Random) -> bytes:
    return _change_some(data, random, int(len(data) * _PIXELS_BEHIND))


def _end(data: bytes, random: Random) -> bytes:
    """Of formats whose pixels are packed so that most changes break them."""
    return _change_some(data, random, int(len(data) * 0.97))


def _chunks_of_png(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks: list[tuple[bytes, bytes]] = []
    at = len(_PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def _png(data: bytes, random: Random) -> bytes:
    chunks = _chunks_of_png(data)
    place = random.randrange(len(chunks)) if chunks else 0
    kinds = [kind for kind, _ in chunks]
    what = random.choice(("pixels", "split", "extra", "palette"))
    if what == "pixels" and b"IDAT" in kinds:
        chunks = _other_pixels(chunks, random)
    elif what == "split" and chunks and kinds[place] == b"IDAT":
        kind, body = chunks[place]
        cut = random.randrange(len(body) + 1)
        chunks[place : place + 1] = [(kind, body[:cut]), (kind, body[cut:])]
    elif what == "palette" and b"PLTE" in kinds:
        at = kinds.index(b"PLTE")
        chunks[at] = (b"PLTE", _change_some(chunks[at][1], random))
    elif chunks:
        body = random.randbytes(random.choice((0, 1, 4, 9, 32)))
        chunks.insert(1, (random.choice(_EXTRA_CHUNKS), body))
    return _PNG + b"".join(
        len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
        for kind, body in chunks
    )


def _other_pixels(chunks: list[tuple[bytes, bytes]], random: Random) -> list[tuple[bytes, bytes]]:
    """The pixels are unpacked, changed, and packed at another level."""
    packed = b"".join(body for kind, body in chunks if kind == b"IDAT")
    try:
        pixels = zlib.decompress(packed)
    except zlib.error:
        return chunks
    body = zlib.compress(_change_some(pixels, random), random.choice((0, 1, 9)))
    first = next(place for place, (kind, _) in enumerate(chunks) if kind == b"IDAT")
    others = [(place, one) for place, one in enumerate(chunks) if one[0] != b"IDAT"]
    before = [one for place, one in others if place < first]
    return [*before, (b"IDAT", body), *(one for place, one in others if place > first)]


def _jpeg(data: bytes, random: Random) -> bytes:
    segments, scan = _segments_of_jpeg(data)
    what = random.choice(("scan", "scan", "tables", "extra", "order"))
    tables = [place for place, (marker, _) in enumerate(segments) if marker == 0xDB]
    if what == "tables" and tables:
        place = random.choice(tables)
        body = bytearray(segments[place][1])
        for _ in range(4):
            body[random.randrange(1, len(body))] = random.randrange(1, 256)
        segments[place] = (0xDB, bytes(body))
    elif what == "extra":
        marker = random.choice((0xFE, *range(0xE1, 0xF0)))
        segments.insert(0, (marker, random.randbytes(random.choice((0, 2, 14, 300)))))
    elif what == "order" and len(tables) > 1:
        one, other = random.sample(tables, 2)
        segments[one], segments[other] = segments[other], segments[one]
    else:
        scan = _other_scan(scan, random)
    head = b"".join(
        b"\xff" + bytes([marker]) + (len(body) + 2).to_bytes(2, "big") + body
        for marker, body in segments
    )
    return b"\xff\xd8" + head + scan


def _segments_of_jpeg(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The segments before the first scan, and the rest from that scan's marker on."""
    segments: list[tuple[int, bytes]] = []
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        segments.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + length
    return segments, data[at:]


def _other_scan(scan: bytes, random: Random) -> bytes:
    """Bytes of a scan are others, none of which makes a marker or takes one away."""
    changed = bytearray(scan)
    for _ in range(random.choice((1, 2, 8)) if len(scan) > 24 else 0):
        at = random.randrange(20, len(scan) - 2)
        if 0xFF not in changed[at - 1 : at + 1]:
            changed[at] = random.randrange(255)
    return bytes(changed)


def _riff(data: bytes, random: Random) -> bytes:
    """A chunk of a kind that nobody knows, or other pixels; the lengths fit."""
    if random.random() < 0.5:
        body = random.randbytes(random.choice((0, 2, 30)))
        data += b"abCd" + len(body).to_bytes(4, "little") + body
        return data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:]
    return _pixels(data, random)


def _tiff(data: bytes, random: Random) -> bytes:
    """The directory moves to the end of the file and has some more entries; no data moves."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    if random.random() < 0.3 or at + 2 > len(data):
        return _change_some(data, random, 8) if at > len(data) // 2 else _pixels(data, random)
    (count,) = struct.unpack_from(order + "H", data, at)
    end = at + 2 + 12 * count
    if end + 4 > len(data):
        return data
    entries = {
        data[place : place + 2]: data[place : place + 12] for place in range(at + 2, end, 12)
    }
    for _ in range(random.choice((1, 3))):
        entry = _tiff_entry(order, random)
        entries.setdefault(entry[:2], entry)
    rows = sorted(entries.values(), key=lambda row: int(struct.unpack(order + "H", row[:2])[0]))
    data += bytes(len(data) % 2)
    moved = struct.pack(order + "H", len(rows)) + b"".join(rows) + data[end : end + 4]
    return data[:4] + struct.pack(order + "I", len(data)) + data[8:] + moved


def _tiff_entry(order: str, random: Random) -> bytes:
    tag = random.choice(_TIFF_EXTRAS)
    kind = 3 if tag in (274, 296, 40961) else random.choice(sorted(_TIFF_SIZES))
    count = 1 if kind in (3, 4) else random.randrange(1, 5)
    value = struct.pack(order + "HH", random.randrange(1, 9), 0)
    if _TIFF_SIZES[kind] * count > 4:
        value = struct.pack(order + "I", 8)  # somewhere within the file
    return struct.pack(order + "HHI", tag, kind, count) + value


def _gif(data: bytes, random: Random) -> bytes:
    """Other colours, or an extension before the first image."""
    size = 3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0
    what = random.choice(("palette", "comment", "control"))
    if what == "palette" and size:
        return data[:13] + _change_some(data[13 : 13 + size], random) + data[13 + size :]
    body = random.randbytes(random.choice((1, 20, 255)))
    extension = b"\x21\xfe" + bytes([len(body)]) + body + b"\0"
    if what == "control":
        extension = b"\x21\xf9\x04" + bytes([random.randrange(32)]) + random.randbytes(3) + b"\0"
    return data[: 13 + size] + extension + data[13 + size :]


def _bmp(data: bytes, random: Random) -> bytes:
    """Room before the pixels, or other pixels; offset and length fit."""
    (pixels,) = struct.unpack_from("<I", data, 10)
    if random.random() < 0.5 or not 26 <= pixels <= len(data):
        return _change_some(data, random, pixels)
    gap = random.randbytes(random.choice((1, 4, 50)))
    data = data[:pixels] + gap + data[pixels:]
    sizes = struct.pack("<I", len(data)), struct.pack("<I", pixels + len(gap))
    return data[:2] + sizes[0] + data[6:10] + sizes[1] + data[14:]


def _boxes(data: bytes, random: Random) -> bytes:
    """A box at the end that nobody has to read, or other pixels."""
    if random.random() < 0.8:
        body = random.randbytes(random.choice((0, 3, 40)))
        return data + (8 + len(body)).to_bytes(4, "big") + random.choice((b"free", b"skip")) + body
    return _change_some(data, random, int(len(data) * 0.9))


def _icon(data: bytes, random: Random) -> bytes:
    """Each picture is changed as what it is; offsets and lengths fit."""
    (count,) = struct.unpack_from("<H", data, 4)
    rows = [data[6 + 16 * number : 22 + 16 * number] for number in range(count)]
    places = [struct.unpack("<II", row[8:]) for row in rows]
    bodies = [data[at : at + length] for length, at in places]
    bodies = [
        _png(body, random) if body.startswith(_PNG) else _pixels(body, random) for body in bodies
    ]
    at = 6 + 16 * count
    for number, body in enumerate(bodies):
        rows[number] = rows[number][:8] + struct.pack("<II", len(body), at)
        at += len(body)
    return data[:6] + b"".join(rows) + b"".join(bodies)


def _pcx(data: bytes, random: Random) -> bytes:
    """Colours are others; what counts repeats stays."""
    changed = bytearray(data)
    palette = 769 if data[-769:-768] == b"\x0c" else 0
    colours, at = [], 128
    while at < len(data) - palette:
        at += data[at] >= _REPEATS_FROM
        colours.append(at)
        at += 1
    for _ in range(random.choice((1, 2, 8))):
        changed[random.choice(colours)] = random.randrange(_REPEATS_FROM)
    return bytes(changed)


def _digits(data: bytes, random: Random) -> bytes:
    """Netpbm in words: digits of the last two thirds are others."""
    changed = bytearray(data)
    first = len(data) // 3
    digits = [at for at in range(first, len(data)) if data[at : at + 1].isdigit()]
    for at in random.sample(digits, min(len(digits), random.choice((1, 2, 8)))):
        changed[at] = random.choice(b"01" if data.startswith(b"P1") else b"01234")
    return bytes(changed)


_WAYS: tuple[tuple[bytes, Callable[[bytes, Random], bytes]], ...] = (
    (_PNG, _png),
    (b"\xff\xd8\xff", _jpeg),
    (b"RIFF", _riff),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"GIF", _gif),
    (b"BM", _bmp),
    (b"\x0a\x05", _pcx),
    (b"icns", _end),
    (b"\0\0\1\0", _icon),
    (b"\0\0\2\0", _icon),  # CUR
    (b"P1", _digits),
    (b"P2", _digits),
    (b"P3", _digits),
)
