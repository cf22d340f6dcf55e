"""How many workers a cluster takes, so that it cannot come to stand still.

Actors of the forward pass keep their processors; what decodes comes and goes. Where actors leave no
processor for the others, nothing is decoded, nobody is told, and all wait for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from retrain_cli.extraction.distributed.cluster_settings import EngineError


@dataclass(frozen=True, slots=True)
class Pools:
    """What the workers of each kind take.

    Attributes:
        actors: most actors of the forward pass.
        actor_cpus: processors of one of them.
        actor_gpus: GPUs of one of them.
        decoder_cpus: processors of one who reads and decodes.
    """

    actors: int
    actor_cpus: float
    actor_gpus: int
    decoder_cpus: float


def size_pools(node_cpus: Sequence[float], gpus: int) -> Pools:
    """The pools for a cluster.

    An actor with a GPU takes no processor. Those without take, one a machine, a multiple of what a
    decoder takes, and leave at least one of these free: machines have whole processors, so that
    what is left of them is a multiple, too, and one machine has room for a decoder.

    Args:
        node_cpus: processors of each machine.
        gpus: GPUs that the forward pass may use, of all machines together.

    Raises:
        EngineError: there is no processor.
    """
    nodes = sorted(int(count) for count in node_cpus if count >= 1)
    if not nodes:
        raise EngineError(
            "photos are decoded by processors, and this cluster has none: look at `ray status`"
        )
    unit = 1.0 if nodes[0] >= 2 else 0.5
    if gpus:
        return Pools(gpus, 0.0, 1, unit)
    units = round(sum(nodes) / unit)
    actors = min(len(nodes), units - 1)
    each = min((units - 1) // actors, max(1, int(nodes[0] / unit) // 2))
    return Pools(actors, each * unit, 0, unit)
