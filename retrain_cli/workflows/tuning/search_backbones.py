"""The backbones of a search: the one last used, or several that were used in this workspace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.cache_files import cache_file
from retrain_cli.errors import CacheError, ConfigError, setting
from retrain_cli.workflows.shared.last_used import LastUsed, known_backbones
from retrain_cli.workspace import Workspace


def find_backbones(names: Iterable[str], workspace: Workspace) -> list[LastUsed]:
    """The dataset last used with each of the backbones; with the one last used for no names.

    A name is that of a backbone, or that of its cache where several are called so.

    Raises:
        RetrainError: nothing was used here yet, or no bottlenecks of a backbone of that name.
        ConfigError: a name that several backbones have.
    """
    used = LastUsed.load(workspace)
    names = tuple(dict.fromkeys(names))
    if not names:
        return [used]
    known = {**known_backbones(workspace), used.fingerprint: used.backbone}
    cached = {
        f"{path.stem}": (fingerprint, spec)
        for fingerprint, spec in known.items()
        if (path := cache_file(workspace, fingerprint)) is not None
    }
    found = [_find(name, cached, used) for name in names]
    return [_with_backbone(used, *one) for one in dict(found).items()]


def _find(
    name: str, cached: dict[str, tuple[str, BackboneSpec]], used: LastUsed
) -> tuple[str, BackboneSpec]:
    """Fingerprint and backbone of a name."""
    if name in cached:
        return cached[name]
    if name == used.backbone.name:
        return used.fingerprint, used.backbone
    of_name = {stem: one for stem, one in cached.items() if one[1].name == name}
    if len(of_name) > 1:
        raise ConfigError(
            f"{setting('SearchRequest.backbone')} takes one backbone a name, and "
            f"{len(of_name)} are called {name}: name the caches, {' or '.join(sorted(of_name))}"
        )
    if not of_name:
        there = ", ".join(sorted({spec.name for _, spec in cached.values()})) or "none"
        raise CacheError(
            f"a search works on cached bottlenecks, and this workspace knows none of {name} (but "
            f"of {there}): run `retrain bottlenecks {used.image_dir} --backbone {name}` first; "
            "what is cached is not computed again"
        )
    return next(iter(of_name.values()))


def _with_backbone(used: LastUsed, fingerprint: str, spec: BackboneSpec) -> LastUsed:
    """The same dataset with another backbone; of its views nothing is known."""
    if fingerprint == used.fingerprint:
        return used
    return replace(used, backbone=spec, remembered=fingerprint, views=0, distortion="")
