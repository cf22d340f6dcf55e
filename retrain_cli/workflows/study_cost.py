"""What `study cost` needs to know of cache and backbone."""

from __future__ import annotations

from math import prod

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.weight_files import open_weights
from retrain_cli.errors import CacheError
from retrain_cli.studies.cost import CostFacts
from retrain_cli.workflows.cache import list_caches
from retrain_cli.workflows.last_used import LastUsed
from retrain_cli.workspace import Workspace


def cost_facts(workspace: Workspace) -> CostFacts:
    """Facts of the backbone last used.

    Raises:
        RetrainError: nothing was used here, or its cache is gone.
    """
    used = LastUsed.load(workspace)
    for cache in list_caches(workspace):
        if cache.in_use:
            return CostFacts(
                cache.bottlenecks,
                cache.images_per_second,
                cache.bytes,
                _parameters(used.backbone),
            )
    raise CacheError(
        f"study cost looks at the cache of {used.backbone.label()}, and it is gone: run "
        "`retrain bottlenecks` again"
    )


def _parameters(backbone: BackboneSpec) -> int | None:
    path = backbone.weights_file
    if path is None or not path.is_file():
        return None
    with open_weights(path) as stored:
        return sum(int(prod(array.shape)) for layer in stored.layers for array in layer.arrays)
