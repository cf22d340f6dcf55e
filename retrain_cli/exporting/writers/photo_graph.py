"""Decoding, turning and resizing photos by TensorFlow's own operations, as `images.decode` does it.

A SavedModel that takes a photo's bytes has nothing else to do it with. Each step follows ours: the
scale at which a JPEG is decoded, its exact inverse transform, EXIF orientation, white behind what
is transparent, the resize rule, a triangle filter with antialiasing, and rounding.
"""

from __future__ import annotations

from typing import Any

from retrain_cli.engine import load_tensorflow
from retrain_cli.images.decode import DRAFT_GAP
from retrain_cli.images.resizing import LETTERBOX_GREY

_SCALES = (1, 2, 4, 8)
"""At 1/1, 1/2, 1/4 or 1/8 of its size a JPEG can be decoded."""

_MOST_SEGMENTS = 64
_ORIENTATION = 0x0112

Tensor = Any


class PhotoGraph:
    """Operations from photos to pixels of one size, to be called while a graph is traced.

    Args:
        size: wanted (height, width) in pixels.
        rule: see `images.resizing.ResizeRule`.
    """

    def __init__(self, size: tuple[int, int], rule: str) -> None:
        self._tf = load_tensorflow()
        self._size = size
        name, *details = rule.split()
        self._rule = name
        self._share = float(details[0]) if details else 1.0
        self._kernel = "keyscubic" if "bicubic" in details else "triangle"

    def from_bytes(self, photos: Tensor) -> Tensor:
        """`(n,) string`, the bytes of photos, to `(n, height, width, 3) uint8`."""
        tf = self._tf
        spec = tf.TensorSpec((*self._size, 3), tf.uint8)
        return tf.map_fn(self._from_bytes, photos, fn_output_signature=spec)

    def from_pixels(self, images: Tensor) -> Tensor:
        """`(n, any height, any width, 3) uint8` to `(n, height, width, 3) uint8`."""
        tf = self._tf
        extent = tf.cast(tf.shape(images)[1:3], tf.float32)
        return self._resize(images, extent)

    def _from_bytes(self, photo: Tensor) -> Tensor:
        tf = self._tf
        is_jpeg = tf.equal(tf.strings.substr(photo, 0, 3), b"\xff\xd8\xff")
        return tf.cond(is_jpeg, lambda: self._from_jpeg(photo), lambda: self._from_other(photo))

    def _from_jpeg(self, photo: Tensor) -> Tensor:
        tf = self._tf
        orientation = self._orientation(photo)
        is_turned = orientation >= 5
        shape = tf.cast(tf.image.extract_jpeg_shape(photo)[:2], tf.float32)
        goal = tf.constant(self._size, tf.float32)
        goal = tf.where(is_turned, goal[::-1], goal)
        wanted = tf.round(self._inner(shape, goal) * DRAFT_GAP)
        ratio = tf.reduce_min(shape // wanted)
        index = tf.reduce_sum([tf.cast(ratio >= scale, tf.int32) for scale in _SCALES[1:]])
        pixels = tf.switch_case(index, [self._decoder(photo, scale) for scale in _SCALES])
        extent = shape / tf.gather(tf.constant(_SCALES, tf.float32), index)
        # Turned first and resized then: the filter is the same in both directions.
        upright = self._turn(pixels, orientation)
        return self._one(upright, tf.where(is_turned, extent[::-1], extent))

    def _decoder(self, photo: Tensor, scale: int) -> Any:
        return lambda: self._tf.io.decode_jpeg(
            photo, channels=3, ratio=scale, fancy_upscaling=True, dct_method="INTEGER_ACCURATE"
        )

    def _from_other(self, photo: Tensor) -> Tensor:
        tf = self._tf
        is_png = tf.equal(tf.strings.substr(photo, 0, 4), b"\x89PNG")
        pixels = tf.cond(
            is_png,
            lambda: self._on_white(tf.io.decode_png(photo, channels=4)),
            lambda: tf.io.decode_image(photo, channels=3, expand_animations=False),
        )
        pixels = tf.ensure_shape(pixels, (None, None, 3))
        return self._one(pixels, tf.cast(tf.shape(pixels)[:2], tf.float32))

    def _on_white(self, pixels: Tensor) -> Tensor:
        tf = self._tf
        colours, share = tf.cast(pixels[..., :3], tf.float32), tf.cast(pixels[..., 3:], tf.float32)
        return tf.cast(tf.round(255 + (colours - 255) * share / 255), tf.uint8)

    def _one(self, pixels: Tensor, extent: Tensor) -> Tensor:
        return self._resize(pixels[None], extent)[0]

    def _inner(self, extent: Tensor, goal: Tensor) -> Tensor:
        """(height, width) to resize to; smaller than the goal only where it is fitted inside."""
        tf = self._tf
        if self._rule != "letterbox":
            return goal
        return tf.maximum(1.0, tf.round(extent * tf.reduce_min(goal / extent)))

    def _resize(self, images: Tensor, extent: Tensor) -> Tensor:
        """Apply the rule to `(n, any, any, 3)` of which `extent`, (height, width), is covered."""
        tf = self._tf
        goal = tf.constant(self._size, tf.float32)
        inner = self._inner(extent, goal)
        box, start = extent, tf.zeros(2)
        if self._rule == "crop":
            box = goal * tf.reduce_min(extent / goal) * self._share
            start = tf.maximum(0.0, (extent - box) / 2)
        scale = inner / box
        resized = tf.raw_ops.ScaleAndTranslate(
            images=tf.cast(images, tf.float32),
            size=tf.cast(inner, tf.int32),
            scale=scale,
            translation=-start * scale,
            kernel_type=self._kernel,
            antialias=True,
        )
        pixels = tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
        return tf.ensure_shape(self._padded(pixels, inner), (None, *self._size, 3))

    def _padded(self, pixels: Tensor, inner: Tensor) -> Tensor:
        tf = self._tf
        if self._rule != "letterbox":
            return pixels
        left_over = tf.constant(self._size) - tf.cast(inner, tf.int32)
        before = left_over // 2
        edges = tf.stack([before, left_over - before], axis=1)
        pads = tf.concat([[[0, 0]], edges, [[0, 0]]], axis=0)
        return tf.pad(pixels, pads, constant_values=tf.constant(LETTERBOX_GREY, tf.uint8))

    def _turn(self, pixels: Tensor, orientation: Tensor) -> Tensor:
        """The right way up, as EXIF numbers what a camera did."""
        tf = self._tf

        def done(swap: bool, *axes: int) -> Any:
            def turned() -> Tensor:
                image = tf.transpose(pixels, (1, 0, 2)) if swap else pixels
                return tf.reverse(image, axes) if axes else image

            return turned

        return tf.switch_case(
            orientation - 1,
            [
                done(False), done(False, 1), done(False, 0, 1), done(False, 0),
                done(True), done(True, 1), done(True, 0, 1), done(True, 0),
            ],
        )  # fmt: skip

    def _orientation(self, photo: Tensor) -> Tensor:
        """EXIF orientation of a JPEG, 1 to 8; 1 where there is none, or none that makes sense."""
        tf = self._tf
        octets = tf.io.decode_raw(photo, tf.uint8)
        last = tf.size(octets) - 1

        def octet(at: Tensor) -> Tensor:
            return tf.cast(tf.gather(octets, tf.clip_by_value(at, 0, last)), tf.int32)

        start = self._exif_start(photo, octet, last)
        value = tf.cond(start > 0, lambda: self._exif_value(octet, start, last), lambda: 1)
        return tf.where((value >= 1) & (value <= 8), value, 1)

    def _exif_start(self, photo: Tensor, octet: Any, last: Tensor) -> Tensor:
        """Where the TIFF header of the first EXIF segment stands; 0 where there is none."""
        tf = self._tf

        def goes_on(at: Tensor, found: Tensor) -> Tensor:
            is_segment = (octet(at) == 0xFF) & (octet(at + 1) != 0xDA)
            return (found == 0) & (at + 4 < last) & is_segment

        def step(at: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
            inside = tf.minimum(at + 4, last - 6)  # short of the end, or `substr` would fail
            is_exif = tf.equal(tf.strings.substr(photo, tf.maximum(inside, 0), 4), b"Exif")
            found = tf.where((octet(at + 1) == 0xE1) & is_exif, at + 10, 0)
            return at + 2 + octet(at + 2) * 256 + octet(at + 3), found

        first = (tf.constant(2), tf.constant(0))
        return tf.while_loop(goes_on, step, first, maximum_iterations=_MOST_SEGMENTS)[1]

    def _exif_value(self, octet: Any, start: Tensor, last: Tensor) -> Tensor:
        tf = self._tf
        is_little = octet(start) == ord("I")

        def short(at: Tensor) -> Tensor:
            low, high = octet(at), octet(at + 1)
            return tf.where(is_little, low + 256 * high, 256 * low + high)

        def long(at: Tensor) -> Tensor:
            first, second = short(at), short(at + 2)
            return tf.where(is_little, first + 65536 * second, 65536 * first + second)

        directory = start + tf.clip_by_value(long(start + 4), 0, last)
        count = tf.minimum(short(directory), 512)
        places = directory + 2 + 12 * tf.range(count)
        is_it = (short(places) == _ORIENTATION) & (places + 12 <= last)
        values = tf.where(short(places + 2) == 3, short(places + 8), octet(places + 8))
        return tf.reduce_max(tf.concat([tf.where(is_it, values, 0), [0]], axis=0))
