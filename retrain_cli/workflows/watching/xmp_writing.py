"""The program that reads and writes XMP: one question a line of JSON in, one answer a line out.

Metadata is an old way to attack programs, and Exiv2 is written in C++: so it works in a process of
its own, and what crashes it crashes nothing else. `xmp_tagger.py` is the other end.
"""

from __future__ import annotations

import hashlib
import io
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

NAMESPACE: Final = "urn:retrain-cli:xmp:1#"
_KEYWORDS: Final = "Xmp.dc.subject"
_MORE_KEYWORDS: Final = ("Xmp.lr.hierarchicalSubject", "Xmp.digiKam.TagsList")
"""Lists that Lightroom, darktable and digiKam read in place of `dc:subject` where there is one."""

_OURS, _SCORES, _MODEL = (f"Xmp.retrain.{name}" for name in ("Keywords", "Scores", "Model"))
_EMBEDS: Final = frozenset({"image/jpeg", "image/png", "image/webp", "image/tiff"})


class CannotCarryError(Exception):
    """A file whose XMP had better be in a file beside it."""


def main() -> None:
    """Answer until the input ends."""
    import exiv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the other end, which waits for us
    exiv2.LogMsg.setLevel(exiv2.LogMsg.Level.mute)
    exiv2.XmpProperties.registerNs(NAMESPACE, "retrain")
    for line in sys.stdin:
        try:
            answer: dict[str, Any] = {"answer": _answer(**json.loads(line))}
        except CannotCarryError as error:
            answer = {"error": str(error)}
        except OSError as error:
            answer = {"os_error": [error.errno, error.strerror]}
        except Exception as error:  # whatever a damaged file makes of it
            answer = {"error": str(getattr(error, "message", error))}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _answer(source: str | None, target: str | None, scores: list[Any] | None, model: str) -> Any:
    """Do what is asked for.

    Args:
        source: the photo or XMP file; None for a new XMP file.
        target: where to write the same with other keywords; None to write nothing.
        scores: label and score of each keyword, best first; None to look who labelled last.
        model: who labels.

    Returns:
        Who labelled last; or else whether the keywords differ from what is there.
    """
    data = None if source is None else Path(source).read_bytes()
    image = _opened(data)
    if scores is None:
        return _first(_listed(image.xmpData(), _MODEL))
    is_other = retag(image.xmpData(), scores, model)
    if target is not None:
        image.writeMetadata()
        with image.io().mmap() as written:
            new = bytes(written)
        if data is not None and not _same_pixels(image.mimeType(), data, new):
            raise CannotCarryError("its image data would change")
        Path(target).write_bytes(new)
    return is_other


def _opened(data: bytes | None) -> Any:
    import exiv2

    if data is None:
        return exiv2.ImageFactory.create(exiv2.ImageType.xmp)
    image = exiv2.ImageFactory.open(data)
    image.readMetadata()
    kind = image.mimeType()
    if kind not in _EMBEDS and kind != "application/rdf+xml":
        raise CannotCarryError(f"Exiv2 writes no XMP into {kind}")
    if image.xmpPacket() and not len(image.xmpData()):  # it would be overwritten
        raise CannotCarryError("its XMP is damaged")
    return image


def retag(xmp: Any, scores: Sequence[tuple[str, float]], model: str) -> bool:
    """Put labels among the keywords in place of those that we put there earlier.

    A keyword that somebody else put there stays, and is not ours, whatever its name.

    Args:
        xmp: `exiv2.XmpData`.
        scores: label and score, best first.
        model: who labels.

    Returns:
        Whether anything is other than before.
    """
    keys = (_KEYWORDS, *(key for key in _MORE_KEYWORDS if key in xmp))
    before = [_listed(xmp, key) for key in (*keys, _SCORES, _MODEL)]
    earlier, labels = _listed(xmp, _OURS), [label for label, _ in scores]
    foreign = [word for word in _listed(xmp, _KEYWORDS) if word not in earlier]
    for key in keys:
        kept = [word for word in _listed(xmp, key) if word not in earlier]
        _put(xmp, key, [*kept, *(label for label in labels if label not in kept)])
    _put(xmp, _OURS, [label for label in labels if label not in foreign])
    _put(xmp, _SCORES, [f"{score:.4f} {label}" for label, score in scores])
    xmp[_MODEL] = model
    return before != [_listed(xmp, key) for key in (*keys, _SCORES, _MODEL)]


def _listed(xmp: Any, key: str) -> list[str]:
    import exiv2

    if key not in xmp:
        return []
    value = xmp[key].value()
    return [*map(str, value)] if isinstance(value, exiv2.XmpArrayValue) else [str(value)]


def _put(xmp: Any, key: str, words: list[str]) -> None:
    import exiv2

    if words:
        kind = exiv2.TypeId.xmpSeq if key == _SCORES else exiv2.TypeId.xmpBag
        xmp[key] = exiv2.XmpArrayValue(words, kind)
    elif key in xmp:
        del xmp[key]


def _first(words: list[str]) -> str | None:
    return words[0] if words else None


def _same_pixels(kind: str, old: bytes, new: bytes) -> bool:
    """Whether the image data of two files is the same: of a JPEG byte by byte, else decoded."""
    if kind == "image/jpeg":
        return new.endswith(old[_end_of_metadata(old) :])
    if kind == "application/rdf+xml":
        return True
    return _frames(old) == _frames(new)


def _frames(data: bytes) -> list[str]:
    """A digest of each frame of an image."""
    from PIL import Image, ImageSequence

    with Image.open(io.BytesIO(data)) as image:
        return [
            f"{frame.mode} {frame.size} {hashlib.blake2b(frame.tobytes()).hexdigest()}"
            for frame in ImageSequence.Iterator(image)
        ]


def _end_of_metadata(data: bytes) -> int:
    """Where the image data of a JPEG begins, or the table of further images, which counts from it.

    Markers: ITU-T T.81, B.1.1; the table: CIPA DC-007, Multi-Picture Format, 5.1.
    """
    at = 2
    while data[at] == 0xFF and data[at + 1] != 0xDA and data[at + 4 : at + 8] != b"MPF\0":
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big") if data[at + 1] != 0xFF else 1
    return at
