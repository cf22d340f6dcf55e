"""Where the work is done: in this process, or by the workers of a Ray cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass

from retrain_cli.checks import check_positive
from retrain_cli.errors import ConfigError, RetrainError, setting

LOCAL, RAY = "local", "ray"


class EngineError(RetrainError):
    """An engine cannot be reached, or does not get on."""


@dataclass(frozen=True)
class ClusterSettings:
    """Who computes; nothing here changes a vector.

    Attributes:
        engine: `local`, `ray` (see `connected_ray`), or `ray://HOST:PORT` for a Ray Client server.
        engine_timeout: minutes without one photo after which a cluster is given up; 0 for never.
    """

    engine: str = LOCAL
    engine_timeout: float = 10.0

    def __post_init__(self) -> None:
        check_positive(self, "engine_timeout", with_0=True)
        if not re.fullmatch(r"local|ray(://[^\s/]+)?", self.engine):
            raise ConfigError(
                f"{setting('engine')} takes local, ray, or ray://HOST:PORT, not {self.engine!r}"
            )

    @property
    def is_client(self) -> bool:
        """Whether this process is no part of the cluster."""
        return "://" in self.engine

    @property
    def is_local(self) -> bool:
        """Whether this process computes."""
        return self.engine == LOCAL


LOCAL_CLUSTER = ClusterSettings()
