"""Where a network is cut for what is to be trained."""

from __future__ import annotations

from typing import Any

import pytest
from small_networks import branched_network, small_network

from retrain_cli.errors import BackboneError, ConfigError
from retrain_cli.finetuning.freeze_points import blocks_of, choose_freeze_point, stages_of


@pytest.fixture(scope="module")
def small() -> Any:
    return small_network()


@pytest.fixture(scope="module")
def branched() -> Any:
    return branched_network()


def test_blocks_end_at_linear_bottlenecks_and_sums(small: Any) -> None:
    ends = [stage.name for stage in stages_of(small) if stage.ends_block]
    assert ends == ["block_0_project_norm", "block_1_add"]
    first, last = blocks_of(stages_of(small))
    assert "stem" in first
    assert {"block_1_expand", "top"} <= last  # one convolution on top is no block of its own


@pytest.mark.parametrize(
    ("trainable", "cut", "trained"),
    [
        ("last-block", "block_0_project_norm", {"block_1_expand", "block_1_project", "top"}),
        ("last:1", "block_0_project_norm", {"block_1_expand", "block_1_project", "top"}),
        ("from:block_1_add", "block_1_add", {"top"}),
        ("top*", "block_1_add", {"top"}),
        ("block_1_project", "block_0_project_norm", {"block_1_project"}),
        ("last:2", None, {"stem", "block_0_project", "block_1_expand", "block_1_project", "top"}),
        ("all", None, {"stem", "block_0_project", "block_1_expand", "block_1_project", "top"}),
        ("first-block", None, {"stem", "block_0_project"}),
        ("first+last", None, {"stem", "block_0_project", "block_1_expand", "block_1_project"}),
    ],
)
def test_what_is_trained_and_where_it_begins(
    small: Any, trainable: str, cut: str | None, trained: set[str]
) -> None:
    point = choose_freeze_point(small, trainable)
    kernels = {name for name in point.trained if not name.endswith("_norm")}
    assert point.cut == cut
    assert kernels == trained or (trainable == "first+last" and trained < kernels)
    assert (point.shape == ()) == (cut is None)


def test_the_thinner_cut_is_taken(small: Any) -> None:
    """Behind the widening layer there are twice as many numbers as before it."""
    assert choose_freeze_point(small, "block_1_project").shape == (4, 4, 4)


def test_branches_are_cut_where_they_come_together(branched: Any) -> None:
    assert choose_freeze_point(branched, "last-block").cut == "mixed0"
    assert choose_freeze_point(branched, "right_1").cut == "mixed0"


@pytest.mark.parametrize(
    ("trainable", "words"),
    [
        ("from:left_1", "beside left_1 runs another branch: take trainable from:mixed0"),
        ("from:mixed1", "nothing follows mixed1"),
    ],
)
def test_a_cut_inside_a_branch_is_refused(branched: Any, trainable: str, words: str) -> None:
    with pytest.raises((BackboneError, ConfigError), match=words):
        choose_freeze_point(branched, trainable)


@pytest.mark.parametrize(
    ("trainable", "words"),
    [
        ("last:0", "from 1 to 2"),
        ("last:3", "from 1 to 2"),
        ("last:x", "from 1 to 2"),
        ("last:", "from 1 to 2"),
        ("last", "no layer is called like"),
        ("nonsense*", "no layer is called like"),
        ("from:nonsense", "takes the name of a layer"),
        ("from:", "takes the name of a layer"),
        ("block_1_add", "must mean layers with weights"),
        ("*_relu", "must mean layers with weights"),
    ],
)
def test_what_means_nothing_is_refused(small: Any, trainable: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        choose_freeze_point(small, trainable)


def test_a_network_of_one_piece_is_refused() -> None:
    with pytest.raises(BackboneError, match="this is one piece"):
        choose_freeze_point(object(), "last-block")
