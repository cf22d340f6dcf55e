"""TIFF as the standard has it, where Pillow's reader takes the samples for something else.

Pillow hands out samples of more than 8 bits as they are stored: white may be 0, or 4095, or
4,294,967,295. What the tags say of them is kept here, for `pixels.py` to apply. It also mixes up
bytes where samples of more than 8 bits are stored plane by plane, or compressed and in the order of
Motorola, and it has no place for some combinations that differ from known ones in one tag only.
"""

from __future__ import annotations

from typing import Any, Final

from PIL import TiffImagePlugin

from retrain_cli.images.pixels import GreyScale

_BITS, _PHOTOMETRIC, _FILL_ORDER, _SAMPLE_FORMAT = 258, 262, 266, 339
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _YCBCR = 0, 1, 6
_UNSIGNED, _SIGNED, _VOID = 1, 2, 4

_ORDERED: Final = {"F;32BF": "F;32NF", "I;32BS": "I;32NS", "I;16BS": "I;16NS"}
"""Raw modes in the order of Motorola, and those in this machine's, as libtiff hands samples out."""


class TiffFile(TiffImagePlugin.TiffImageFile):
    """Pillow's reader, told what it knows under another name.

    Attributes:
        grey_scale: what grey samples mean; None where Pillow has it right.
    """

    grey_scale: GreyScale | None = None

    def _setup(self) -> None:
        tags: Any = self.tag_v2
        self.grey_scale = None
        stored, order = self._shown_otherwise(tags), tags._prefix
        try:
            super()._setup()
        finally:
            tags._prefix = order
            for tag, value in stored.items():
                tags[tag] = value
        in_planes = self._planar_configuration == 2 and not self.use_load_libtiff
        if in_planes and tags.get(_PHOTOMETRIC) == _YCBCR:  # Pillow before 13 mixes them up
            raise SyntaxError("unknown pixel mode")
        self._mend_tiles(order)

    def _shown_otherwise(self, tags: Any) -> dict[int, Any]:
        """Give tags the values under which Pillow has a reader; returns what they were."""
        bits, formats = tags.get(_BITS, (1,)), tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))
        photometric = tags.get(_PHOTOMETRIC, _WHITE_IS_ZERO)
        new: dict[int, Any] = {}
        if set(formats) == {_VOID}:  # untyped data: as good as unsigned
            formats = new[_SAMPLE_FORMAT] = (_UNSIGNED,)
        is_grey = photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) and len(bits) == 1
        if is_grey and bits[0] > 8:
            self._show_grey(tags, bits[0], formats, photometric, new)
        elif is_grey and bits[0] == 8 and tags.get(_FILL_ORDER, 1) == 2:
            new[_PHOTOMETRIC] = _BLACK_IS_ZERO
            self.grey_scale = GreyScale(255, photometric == _WHITE_IS_ZERO)
        stored = {tag: tags[tag] for tag in new if tag in tags}
        for tag, value in new.items():
            tags[tag] = value
        return stored

    def _show_grey(
        self, tags: Any, bits: int, formats: tuple[int, ...], photometric: int, new: dict[int, Any]
    ) -> None:
        is_unsigned = formats[0] == _UNSIGNED
        if photometric == _WHITE_IS_ZERO:
            new[_PHOTOMETRIC] = _BLACK_IS_ZERO
        if bits == 12:
            tags._prefix = b"II"  # bits follow each other the same way in both orders
        if bits == 32 and is_unsigned:
            new[_SAMPLE_FORMAT] = (_SIGNED,)
        self.grey_scale = GreyScale(
            (1 << bits) - 1 if is_unsigned else None,
            photometric == _WHITE_IS_ZERO,
            is_unsigned and bits == 32,
        )

    def _mend_tiles(self, order: bytes) -> None:
        """Have samples of 16 and 32 bits unpacked in the order in which they come."""
        if self.use_load_libtiff:
            self.tile = [_renamed(tile, _ORDERED) for tile in self.tile]
        elif self._planar_configuration == 2 and 16 in self.tag_v2.get(_BITS, (1,)):
            ending = ";16L" if order == b"II" else ";16B"
            bands = {band: band + ending for band in ("R", "G", "B", "A", "C", "M", "Y", "K")}
            self.tile = [_renamed(tile, bands) for tile in self.tile]


def _renamed(tile: Any, names: dict[str, str]) -> Any:
    raw_mode, *others = tile.args
    return tile._replace(args=(names.get(raw_mode, raw_mode), *others))
