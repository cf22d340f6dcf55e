"""Cut a stream of images that follow each other (`ffmpeg -f image2pipe`, `cat`) into single ones.

Each image is followed by its own structure to its end. Padding between images, and what phones put
behind a photo, is passed over; anything else is told, and the next image is looked for in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from retrain_cli.errors import ImageError
from retrain_cli.images.formats import HEAD_BYTES, ImageFormat, has_tga_header, sniff_format
from retrain_cli.images.photo_files import MAX_FILE_BYTES
from retrain_cli.images.streams.ends import ENDS, TO_THE_LAST, boxes_end
from retrain_cli.images.streams.jpeg_end import BrokenError, Held, Walk, samsung_end, thumbnail_at

_PADDING: Final = re.compile(rb"[\0 \t\r\n]*")
_SHORT = 32  # bytes that tell most formats
_CHECKED = 4096  # bytes that tell whether an image really begins in the midst of something else
_STARTS: Final = re.compile(
    rb"\xff\xd8\xff[\xc0-\xcf\xdb-\xfe]|\x89PNG\r\n\x1a\n\0\0\0\rIHDR|GIF8[79]a|II[*+]\0|MM\0[*+]"
    rb"|RIFF....WEBPVP8[ LX]|\0\0\0.ftyp(?:avi[fs]|hei[cxms]|hev[cxms]|mif1|msf1)"
    rb"|\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51\0"
    rb"|BM....\0\0\0\0..\0\0[\x0c\x28\x34\x38\x6c\x7c]\0\0\0"
    rb"|P[4-6]\n(?:#[^\n]*\n)*\d+ \d+\n|DDS \x7c\0\0\0|qoif\0",
    re.DOTALL,
)
_LONGEST_START = 64
_CONTAINERS: Final = ((b"%PDF", b"%%EOF", 0), (b"PK\3\4", b"PK\5\6", 18))
"""What may hold images that are no images of the stream, how it ends, and how many bytes more."""

_HOLD_NO_OTHERS: Final = frozenset(
    {"jpeg", "png", "gif", "bmp", "netpbm", "sun", "sgi", "dds", "pcx", "qoi"}
)
"""Formats in whose parts no image of another file is kept, but for the thumbnails of JPEGs."""


@dataclass(frozen=True)
class Skipped:
    """A part of a stream that is no image and not understood.

    Attributes:
        offset: where it begins.
        length: bytes.
    """

    offset: int
    length: int


def split_images(
    pieces: Iterable[bytes],
    on_skipped: Callable[[Skipped], None] = lambda skipped: None,
    most: int = MAX_FILE_BYTES,
) -> Iterator[bytes]:
    """Images one by one, in order, as soon as each is complete.

    An image that is cut, or breaks off where another one begins, comes as it is: the decoder says
    what is wrong with it. A TGA, which has no magic number, is the whole stream.

    Args:
        pieces: the stream, in pieces of any size.
        on_skipped: called with each part that is not understood.
        most: bytes of an image.

    Raises:
        ImageError: an image of more.
    """
    yield from _Splitter(pieces, on_skipped, most).images()


class _Splitter:
    """What has come of the stream and was not handed on yet: `_held`, `_passed` bytes into it."""

    def __init__(
        self, pieces: Iterable[bytes], on_skipped: Callable[[Skipped], None], most: int
    ) -> None:
        self._pieces, self._on_skipped, self._most = iter(pieces), on_skipped, most
        self._held, self._passed, self._is_over = Held(), 0, False

    def images(self) -> Iterator[bytes]:
        while (start := self._find_start()) is not None:
            image = self._image(start)
            yield image
            self._drop(len(image))
            del image
            self._skip_trailer()

    def _need(self, count: int) -> bool:
        """Have so many bytes at hand; False where the stream ends before."""
        while len(self._held) < count and not self._is_over:
            piece = next(self._pieces, None)
            if piece is None:
                self._is_over = True
            else:
                self._held += piece
            if len(self._held) > self._most:
                raise ImageError(
                    f"an image may have {self._most >> 20} MiB at most; the one at byte "
                    f"{self._passed:,} of standard input is larger: give it as a file"
                )
        return len(self._held) >= count

    def _drop(self, count: int) -> None:
        del self._held[:count]
        self._passed += count

    def _find_start(self) -> ImageFormat | None:
        """Drop all that is before the next image; None where there is none."""
        if self._passed == 0 and self._need(_SHORT) and self._is_tga():
            return "tga"
        while self._need(1):
            self._need(_SHORT)
            if found := self._sniff(0):
                return found
            padding = _PADDING.match(self._held)
            end = padding.end() if padding else 0
            if end == len(self._held) and not self._is_over:
                self._drop(max(0, end - 4))  # the last may begin a box, whose size begins with 0
                self._need(len(self._held) + 1)
                continue
            for at in range(max(0, end - 4), end + 1):
                self._need(at + _SHORT)
                if self._sniff(at) or self._held[at + 4 : at + 8] == b"ftyp":
                    end = at
                    break
            self._drop(end)
            if self._sniff(0):
                continue
            if self._held:
                self._skip_to_next()
        return None

    def _sniff(self, at: int) -> ImageFormat | None:
        found = sniff_format(bytes(self._held[at : at + HEAD_BYTES]))
        if found is None and bytes(self._held[at : at + 1]) in (b"P", b"\n", b"\0"):
            self._need(at + HEAD_BYTES)  # formats that are told by more of their header
            found = sniff_format(bytes(self._held[at : at + HEAD_BYTES]))
        return found

    def _is_tga(self) -> bool:
        head = bytes(self._held[:_SHORT])
        return sniff_format(head) is None and has_tga_header(head)

    def _skip_to_next(self) -> None:
        """Drop what is no image, up to where one begins or the stream ends, and tell it."""
        begin = self._passed
        self._drop(self._container_end())
        at, is_found = 1, self._passed > begin
        while not is_found:
            at, is_found = self._search(at)
            self._drop(at)
            at = 0
            if self._is_over and not self._held:
                break
        self._on_skipped(Skipped(begin, self._passed - begin))

    def _search(self, at: int) -> tuple[int, bool]:
        """How much to drop, and whether an image begins there."""
        self._need(at + _CHECKED)
        if (start := self._next_mark(at)) is not None:
            return start, True
        if self._is_over:
            return len(self._held), False
        return max(at, len(self._held) - _LONGEST_START), False

    def _next_mark(self, at: int, but: int | None = None) -> int | None:
        """Where an image begins in what is at hand."""
        while found := _STARTS.search(self._held, at):
            start = found.start()
            del found  # it would not let the buffer grow
            self._need(start + _CHECKED)
            if start != but and self._is_start(start):
                return start
            at = start + 1
        return None

    def _is_start(self, at: int) -> bool:
        """Whether an image begins in the midst of other bytes, where chance can look like one."""
        head = self._held[at : at + _CHECKED]
        if sniff_format(bytes(head[:HEAD_BYTES])) is None:
            return False
        if head[:2] != b"\xff\xd8":
            return True
        place, segments = 2, 0
        while place + 4 <= len(head) and segments < 4 and head[place] == 0xFF:
            if head[place + 1] == 0xDA:
                return True
            place += 2 + int.from_bytes(head[place + 2 : place + 4], "big")
            segments += 1
        return segments > 0 and (place + 4 > len(head) or head[place] == 0xFF)

    def _container_end(self) -> int:
        """Where a document ends that may hold images of its own; 0 where there is none."""
        if self._held[4:8] == b"ftyp":
            return self._walk_over(boxes_end(self._held))
        if self._held[:4] == b"RIFF":
            size = 8 + int.from_bytes(self._held[4:8], "little")
            return size if self._need(size) else len(self._held)
        for start, end, more in _CONTAINERS:
            if self._held.startswith(start):
                at = 0
                while (place := self._held.find(end, at)) < 0:
                    at = max(0, len(self._held) - len(end))
                    if not self._need(len(self._held) + 1):
                        return 0  # it is not what it seems
                self._need(place + len(end) + more)
                return min(place + len(end) + more, len(self._held))
        return 0

    def _skip_trailer(self) -> None:
        """A moving photo is followed by its video, others by what only their camera reads."""
        if not self._is_over and not self._held:
            return  # nothing has come yet, and what is complete shall not wait
        self._need(_SHORT)
        if self._held[:2] == b"\0\0" and self._sniff(0) is None:
            self._drop(self._walk_over(samsung_end(self._held)))
        if self._held[4:8] == b"ftyp" and self._sniff(0) is None:
            self._drop(self._walk_over(boxes_end(self._held)))

    def _walk_over(self, walk: Walk) -> int:
        """Follow something to its end; as far as the stream goes."""
        end = self._follow(walk)
        return len(self._held) if end is None else end

    def _follow(self, walk: Walk) -> int | None:
        """Where something ends; None where the stream ends before."""
        try:
            need = next(walk)
            while self._need(need):
                need = walk.send(None)
        except StopIteration as end:
            is_there = end.value == TO_THE_LAST or self._need(end.value)
            return int(end.value) if is_there else None
        return None

    def _image(self, start: ImageFormat) -> bytes:
        """The image that begins here."""
        self._held.unit = 0
        try:
            end = self._follow(ENDS[start](self._held))
        except BrokenError:
            end = self._next_start()
        if end is None and start in _HOLD_NO_OTHERS:
            end = self._next_start()
        if end is None:
            self._need(TO_THE_LAST)
        return bytes(self._held[:end])

    def _next_start(self) -> int | None:
        """Where another image begins that a broken or cut one runs into; None for nowhere."""
        at, but = max(self._held.unit, 1), thumbnail_at(self._held)
        if self._held[at + 4 : at + 8] == b"Exif":
            at += 18  # EXIF itself is a TIFF
        while (start := self._next_mark(at, but)) is None:
            at = max(at, len(self._held) - _LONGEST_START)
            if not self._need(len(self._held) + 1):
                return None
        return start
