"""What a mistyped word may stand for."""

from __future__ import annotations

import pytest

from retrain_cli.backbones.table import _SAME_AS as OTHER_BACKBONES
from retrain_cli.backbones.table import KERAS_BACKBONES
from retrain_cli.checks import _SAME_AS, closest, not_one_of
from retrain_cli.heads.config import OPTIMIZERS
from retrain_cli.workflows.evaluate import CHARTS


@pytest.mark.parametrize(
    ("choices", "typed", "meant"),
    [
        (OPTIMIZERS, "Adam", "adam"),
        (OPTIMIZERS, "l-bfgs", "lbfgs"),
        (OPTIMIZERS, "logistic", "lbfgs"),
        (OPTIMIZERS, "RMSProp", "rmsprop"),
        (OPTIMIZERS, "ridg", "ridge"),
        (CHARTS, "precision-recall", "pr"),
        (CHARTS, "AUC", "roc"),
        (CHARTS, "confusion_matrix", "confusion"),
        (CHARTS, "hist", "histogram"),
        (("float32", "bfloat16"), "bf16", "bfloat16"),
    ],
)
def test_other_names_and_slips_lead_to_the_choice(
    choices: tuple[str, ...], typed: str, meant: str
) -> None:
    said = not_one_of("it", choices, typed)
    assert said == f"it takes one of {', '.join(choices)}, not {typed!r}: did you mean {meant}?"


def test_nothing_near_and_no_name_that_is_not_there() -> None:
    assert not_one_of("it", OPTIMIZERS, "quux").endswith(", not 'quux'")
    assert not_one_of("it", ("auto", "keras"), "bf16").endswith(", not 'bf16'")


def test_the_start_of_names_gives_all_of_them_but_no_more_than_three() -> None:
    assert closest("mobilenet_v", KERAS_BACKBONES, {})[0].startswith("mobilenet_v")
    assert len(closest("mobilenet_v", KERAS_BACKBONES, {})) == 3


def test_other_names_are_bare_and_hide_no_real_one() -> None:
    for peers, names in ((OTHER_BACKBONES, KERAS_BACKBONES), (_SAME_AS, ())):
        assert not set(peers) & {name.replace("_", "") for name in names}
        assert all(peer.isalnum() and peer == peer.casefold() for peer in peers)
    assert set(OTHER_BACKBONES.values()) <= set(KERAS_BACKBONES)
