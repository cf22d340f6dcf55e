"""How the output of a user's network becomes one vector an image: by its axes.

(n, width)                  it is the vector
(n, tokens, width)          the mean or the maximum of all tokens, or the first of them
(n, channels, h, w)         the mean or the maximum over height and width
(n, h, w, channels)         the same
"""

from __future__ import annotations

from collections.abc import Sequence

from retrain_cli.errors import BackboneError, setting


def pooled_axes(
    shape: Sequence[int | None], pooling: str, *, channels_first: bool, named: str
) -> tuple[int, ...]:
    """The axes to pool over; () where the output is a vector already.

    Args:
        shape: of the output; None for an axis that is not known.
        pooling: avg, max or cls.
        channels_first: what a map is whose shape could be either, as that of the input is.
        named: the network and its output, for messages.

    Raises:
        BackboneError: it is no vector, row of tokens or map, or this pooling does not fit it.
    """
    if len(shape) not in (2, 3, 4):
        axes = " x ".join(str(axis or "any") for axis in shape)
        raise BackboneError(
            f"a backbone gives a vector (n, width), tokens (n, tokens, width) or a map of four "
            f"axes, and {named} gives {axes}: name another one with "
            f"{setting('output', 'NAME')}, or export the model with such an output"
        )
    if pooling == "cls" and len(shape) != 3:
        raise BackboneError(
            f"{setting('pooling', 'cls')} takes the first of a row of tokens, and {named} gives "
            f"{'a vector' if len(shape) == 2 else 'a map'}: leave {setting('pooling')} out"
        )
    if pooling == "max" and len(shape) == 2:
        raise BackboneError(
            f"{setting('pooling', 'max')} takes the maximum over a map or tokens, and {named} "
            f"gives a vector already: leave {setting('pooling')} out"
        )
    if len(shape) == 4:
        return (2, 3) if _is_channels_first(shape, channels_first) else (1, 2)
    return (1,) if len(shape) == 3 else ()


def _is_channels_first(shape: Sequence[int | None], like_input: bool) -> bool:
    """A map is a square as the image is; where that tells nothing it has the image's layout."""
    _, second, third, last = shape
    if None in (second, third, last) or (third == last) == (second == third):
        return like_input
    return third == last
