"""Spaces that are ready to be searched."""

from __future__ import annotations

from typing import Final, Literal

from retrain_cli.studies.search.axes import EPOCHS, Choices, Space, Span

SpaceName = Literal["usual", "dense"]

USUAL_TRIALS: Final = 30
"""Settings that are drawn from the usual space where nobody says how many."""

SPACES: Final[dict[SpaceName, Space]] = {
    "usual": {
        "learning_rate": Span(0.0003, 0.1),
        "hidden": Choices(((), (64,), (256,))),
        "dropout": Choices((0.0, 0.25, 0.5)),
        "normalise": Choices(("none", "l2", "standardise")),
        "l2": Choices((None, 0.0001, 0.001)),
    },
    "dense": {
        EPOCHS: Choices((10, 30)),
        "optimizer": Choices(("adam", "adamax", "rmsprop", "sgd")),
        "batch_size": Choices((64, 256)),
        "hidden": Choices(((256,),)),
        "activation": Choices(("relu", "sigmoid", "tanh")),
        "dropout": Choices((0.2, 0.5)),
    },
}
"""`usual` is drawn from; `dense` is a grid over a dense layer, its dropout and how it is trained.

The axes of `dense` are those of A. Brodzicki et al., Transfer learning methods as a new approach in
computer vision tasks with small datasets (2020). They tell the best of their grid, sigmoid, dropout
0.5, Adamax, batches of 256 and 30 epochs, which is in this one; the values beside it are ours.
"""
