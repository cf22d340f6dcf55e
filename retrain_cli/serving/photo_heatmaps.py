"""Where the run that answers looks on a photo, for the page and for `POST /label?heatmap=1`."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

from retrain_cli.errors import ImageError, RetrainError
from retrain_cli.reports.heatmaps.heat_colours import levels, overlay
from retrain_cli.runs.run import Run
from retrain_cli.workflows.explaining.explainer import ExplainedPhoto, Explainer, ExplainRequest
from retrain_cli.workflows.explaining.heatmap_makers import HeatmapMaker
from retrain_cli.workflows.shared.embedding import Source
from retrain_cli.workspace import Workspace

_SIDE = 480
"""Pixels of the longer side of a picture: fields are a few dozen at most, and browsers enlarge."""

_NAME = "photo"


class PhotoHeatmaps:
    """Class activation maps; the first one loads the network that gives maps. For one thread.

    Args:
        run: the run that answers.
        workspace: where its network is kept.
        timeout: seconds of processor time for a photo that may take very long by its header.
        maker: how heatmaps are made; None for class activation maps of the run's backbone.
    """

    def __init__(
        self, run: Run, workspace: Workspace, timeout: float, maker: HeatmapMaker | None = None
    ) -> None:
        self._run, self._workspace, self._timeout, self._maker = run, workspace, timeout, maker
        self._explainer: Explainer | None = None
        self._problem: str | None = None

    @classmethod
    def of(cls, run: Run, workspace: Workspace, timeout: float) -> PhotoHeatmaps | None:
        """Those of a run; None where they would take TensorFlow, which takes seconds to load."""
        is_light = run.info.backbone.runtime == "openvino"
        return cls(run, workspace, timeout) if is_light else None

    def of_photo(self, data: bytes, label: str) -> dict[str, Any]:
        """What speaks for a class on a photo, in the words of `retrain explain --json`.

        Args:
            data: the bytes of its file.
            label: the class.

        Returns:
            `size`, `box`, `label`, `score`, `logit`, `bias` and `grid`, and as `picture` a PNG of
            the photo's shape to be laid over it, in a data URL; or `error`, why there is none.
        """
        if self._problem is None:
            try:
                return _told(self._explained(data, label))
            except ImageError as error:
                return {"error": str(error)}
            except RetrainError as error:  # of the network: the next photo would meet it, too
                self._problem = str(error)
        return {"error": self._problem}

    def _explained(self, data: bytes, label: str) -> ExplainedPhoto:
        if self._explainer is None:
            request = ExplainRequest(
                str(self._run.folder), readers="threads", workers=1, photo_timeout=self._timeout
            )
            self._explainer = Explainer(request, self._workspace, self._maker)
        wanted = {_NAME: (self._run.labels.index(label),)}
        return next(iter(self._explainer.explain([Source(_NAME, data)], wanted)))


def _told(photo: ExplainedPhoto) -> dict[str, Any]:
    """The answer; of a network with several layers the map of the last one."""
    if photo.error is not None or photo.placement is None:
        raise ImageError(photo.error or "there is no heatmap of it")
    told, heatmap = photo.to_dict(), photo.heatmaps[-1]
    scale = _SIDE / max(photo.placement.photo)
    width, height = (max(1, round(scale * extent)) for extent in photo.placement.photo)
    heat = levels(heatmap, photo.placement, (width, height))
    packed = BytesIO()
    overlay(heat, signed=heatmap.is_signed).save(packed, "PNG", compress_level=1)
    url = f"data:image/png;base64,{base64.b64encode(packed.getvalue()).decode()}"
    return {"size": told["size"], "box": told["box"], **told["maps"][-1], "picture": url}
