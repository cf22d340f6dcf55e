"""Extraction end to end, from files to cache: EfficientNet-Lite against Inception v3."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import retrain_cli as rt
from benchmarks.extraction import ExtractionBench, OurExtraction
from benchmarks.photos import gather_photos
from benchmarks.timing import Comparison, Contestant, compare_rates

NAMES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


def measure(
    reference: rt.BackboneSpec, photos: Path | None, images: int, repeats: int
) -> list[Comparison]:
    """How many times as many photos a second each network takes, at the reference's precision.

    Args:
        reference: Inception v3, whole or up to a layer.
        photos: folder of photos; None makes them up.
        images: photos at most.
        repeats: rounds; in each one both are measured.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        count = gather_photos(photos, root / "photos", images)

        def contestant(spec: rt.BackboneSpec) -> Contestant:
            bench = ExtractionBench(spec)
            ours = OurExtraction(bench, root / "photos", root / spec.name)
            ours.run()  # converts and calibrates
            return Contestant(ours.label, ours.run, count)

        slow = contestant(reference)
        specs = [
            replace(
                reference, name=name, layer=None, weights="imagenet", alpha=None, input_size=None
            )
            for name in NAMES
        ]
        return [
            found
            for spec in specs
            for found in compare_rates(contestant(spec), [slow], "images", repeats)
        ]
