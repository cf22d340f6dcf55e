"""Make a mutated file consistent again, so that decoders get past its checksums and lengths."""

from __future__ import annotations

import zlib

_PNG = b"\x89PNG\r\n\x1a\n"


def repair(data: bytes) -> bytes:
    """The same with sound checksums (PNG) and a length that fits (WebP, BMP, ICNS)."""
    if data.startswith(_PNG):
        return _repair_png(data)
    size = len(data)
    if data[:4] == b"RIFF":
        return data[:4] + (max(size, 8) - 8).to_bytes(4, "little") + data[8:]
    if data[:2] == b"BM":
        return data[:2] + size.to_bytes(4, "little") + data[6:]
    if data[:4] == b"icns":
        return data[:4] + size.to_bytes(4, "big") + data[8:]
    return data


def _repair_png(data: bytes) -> bytes:
    """Chunk by chunk; the last one is cut where the data ends."""
    parts, at = [_PNG], len(_PNG)
    while at + 12 <= len(data):
        length = min(int.from_bytes(data[at : at + 4], "big"), len(data) - at - 12)
        body = data[at + 4 : at + 8 + length]
        parts.append(length.to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big"))
        at += 12 + length
    return b"".join(parts)
