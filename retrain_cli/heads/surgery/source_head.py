"""The backbone's own classifier as a head: one class for each source class, named by WordNet id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.source_top import load_source_top
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.datasets.source_classes import SourceClasses
from retrain_cli.errors import DatasetError
from retrain_cli.heads.head import Head


def read_source_head(spec: BackboneSpec, source: SourceClasses | None, top: Path | None) -> Head:
    """The head that the backbone was pre-trained with; see `load_source_top`.

    Raises:
        DatasetError: the source classes are not known.
        BackboneError, WeightsError: there is no such classifier for these bottlenecks.
    """
    if source is None:
        raise DatasetError(
            "a backbone's own classifier needs the names of its classes, and the source classes "
            "are not known: name them with `retrain bottlenecks --source-classes`"
        )
    own = load_source_top(spec, len(source.classes), top)
    return Head(tuple(one.wnid for one in source.classes), own.weights, own.bias)


def source_columns(
    origins: Sequence[ClassOrigin], source: SourceClasses
) -> list[NDArray[np.int64]]:
    """For each class the columns of the source head that it stands for; none for EXT classes."""
    return [
        np.array([source.by_wnid[wnid.lower()].index for wnid in origin.wnids], np.int64)
        for origin in origins
    ]
