"""All answers for some photos at once, for a notebook: a table of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrain_cli.backbones.loader import BackboneLoader
from retrain_cli.notebook.frames import frame
from retrain_cli.notebook.sheets import Cell, Grid, sheet
from retrain_cli.workflows.label import Label, LabelledImage, LabelRequest
from retrain_cli.workflows.portable.file_labeller import open_labeller
from retrain_cli.workflows.shared.embedding import Photos
from retrain_cli.workspace import Workspace

if TYPE_CHECKING:
    from pandas import DataFrame


class LabelledImages(tuple[LabelledImage, ...]):
    """The answers for some images, in order."""

    __slots__ = ()

    def to_frame(self) -> DataFrame:
        """A row for each image: its path, its best label and score, and why it has none.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        rows = [
            [
                one.path,
                *((best.label, best.score) if (best := _best(one)) else (None, None)),
                one.reason or None,
                one.novelty,
            ]
            for one in self
        ]
        return frame(("path", "label", "score", "reason", "novelty"), rows)

    def _repr_html_(self) -> str:
        rows: list[list[Cell]] = [
            [one.path, one.labels[0].label, one.labels[0].score]
            if one.labels
            else [one.path, one.reason, None]
            for one in self
        ]
        named = f"{len(self):,} photo{'s' * (len(self) != 1)}"
        return sheet(named, Grid(("photo", "label", "score"), rows, bars=True))


def _best(image: LabelledImage) -> Label | None:
    return image.labels[0] if image.labels else None


def label_photos(
    photos: Photos,
    workspace: Workspace,
    request: LabelRequest | None = None,
    load: BackboneLoader | None = None,
) -> LabelledImages:
    """Label some photos, or a single one, and have all answers at once; see `Labeller.label`.

    Args:
        photos: paths, folders, bytes of files, pictures of Pillow or arrays.
        workspace: where the run is.
        request: which run, exported file or bundle, and how; None for the latest run.
        load: how to load the backbone; None for the usual way.

    Raises:
        RetrainError: no such run, or its backbone is gone; something is no photo.
    """
    with open_labeller(request or LabelRequest(), workspace, load) as labeller:
        return LabelledImages(labeller.label(photos))
