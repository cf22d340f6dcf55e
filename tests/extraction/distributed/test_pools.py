"""Pools that cannot stand still, and work that is watched."""

from __future__ import annotations

import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain_cli.errors import ConfigError
from retrain_cli.extraction.distributed.cluster_settings import ClusterSettings, EngineError
from retrain_cli.extraction.distributed.pools import size_pools
from retrain_cli.extraction.distributed.watching_results import watched


@given(st.lists(st.integers(1, 96), min_size=1, max_size=6), st.integers(0, 9), st.data())
def test_wherever_actors_are_a_decoder_finds_room(
    nodes: list[int], gpus: int, data: st.DataObject
) -> None:
    pools = size_pools(nodes, gpus)
    free = [float(count) for count in nodes]
    for _ in range(pools.actors):
        room = [place for place, left in enumerate(free) if left >= pools.actor_cpus]
        if not room:
            break
        free[data.draw(st.sampled_from(room))] -= pools.actor_cpus
    assert max(free) >= pools.decoder_cpus
    assert pools.actors >= 1
    assert max(nodes) >= pools.actor_cpus


def test_pools_of_some_clusters() -> None:
    two, sixteen, gpu = size_pools([2], 0), size_pools([16, 16, 16], 0), size_pools([16], 4)
    assert (two.actors, two.actor_cpus, two.decoder_cpus) == (1, 1.0, 1.0)
    assert (sixteen.actors, sixteen.actor_cpus) == (3, 8.0)
    assert (gpu.actors, gpu.actor_gpus, gpu.actor_cpus) == (4, 1, 0.0)


def test_a_cluster_without_processors() -> None:
    with pytest.raises(EngineError, match="has none"):
        size_pools([0], 8)


def test_results_come_in_order_and_errors_at_the_end() -> None:
    def results() -> itertools.chain[int]:
        def fail() -> int:
            raise ValueError("the end")

        return itertools.chain(range(200), (fail() for _ in range(1)))

    taken: list[int] = []
    with pytest.raises(ValueError, match="the end"):
        taken.extend(watched(results(), 60, lambda: EngineError("no")))
    assert list(watched(range(200), 60, lambda: EngineError("no"))) == list(range(200))


def test_what_stands_still_is_given_up() -> None:
    never = threading.Event()
    with pytest.raises(EngineError, match="nothing came"):
        next(watched((never.wait() for _ in range(1)), 0.4, lambda: EngineError("nothing came")))
    never.set()


@pytest.mark.parametrize("engine", ["local", "ray", "ray://head:10001", "ray://10.0.0.1:10001"])
def test_engines(engine: str) -> None:
    assert ClusterSettings(engine).is_local == (engine == "local")


@pytest.mark.parametrize("engine", ["", "spark", "ray:", "ray://", "ray://a b", "http://head"])
def test_no_engines(engine: str) -> None:
    with pytest.raises(ConfigError, match="takes local, ray"):
        ClusterSettings(engine)
