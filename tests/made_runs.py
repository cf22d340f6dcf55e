"""Runs on disk without any training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.evaluation.predictions import ImageTable, predict
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import HistoryRow
from retrain_cli.runs.info import RunInfo
from retrain_cli.runs.provenance import Provenance
from retrain_cli.runs.run import Run, RunContents, RunStore


def make_contents() -> RunContents:
    """What a run of two classes and two photos holds."""
    head = Head.initial(("ant", "βους"), 3, seed=1)
    images = ImageTable(
        np.array([0, 2], np.uint8),
        np.zeros((2, 16), np.uint8),
        ["ant/1.jpg", "βους/2.jpg"],
        np.array([0, 1], np.int32),
    )
    info = RunInfo(
        Provenance(
            Path("/photos"),
            BackboneSpec(input_size=299),
            TrainingConfig(steps=7, classes=("ant", "βους")),
        ),
        cache="abc",
        versions={"retrain": "1"},
        best_step=5,
        stopped_by="steps",
    )
    return RunContents(
        info,
        [ClassOrigin("ant", "INT", ("n02219486",), "n02219486 ant"), ClassOrigin("βους", "EXT")],
        head,
        [HistoryRow(5, 0.5, 0.75, 0.6, 0.7), HistoryRow(7, 0.4, 0.8)],
        predict(head, np.ones((2, 3), np.float32), images),
        {"test": {"top1": 0.5, "top5": None}},
    )


def add(store: RunStore, name: str | None = None) -> Run:
    """Put such a run into a store."""
    with store.create(name) as writer:
        return writer.commit(make_contents())
