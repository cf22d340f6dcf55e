"""Ray, imported, silent, and connected for the length of a block."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from retrain_cli import waiting
from retrain_cli.errors import MissingExtraError, RetrainError, last_reason_of, reason_of
from retrain_cli.extraction.distributed.cluster_settings import RAY, ClusterSettings, EngineError

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_LOG_LEVEL": "ERROR",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Nothing is told to Ray's makers, and what goes wrong is told by us; what the user set holds."""

_QUIET = ("ray", "ray.data", "ray._private.authentication", "ray._private.worker")


@contextmanager
def connected_ray(settings: ClusterSettings) -> Iterator[Any]:
    """Ray's module, connected to a cluster; the cluster stays, unless it was started for this.

    `ray` stands for the cluster that `$RAY_ADDRESS` names, `auto` for the one that runs on this
    machine; without that for one of this machine alone, for as long as the block runs. Nothing is
    guessed: the traces of a cluster that is gone make Ray wait for minutes. A program that is
    connected already stays so.

    Raises:
        MissingExtraError: Ray is not installed.
        EngineError: there is no cluster at that address.
    """
    ray = _imported()
    if ray.is_initialized():
        yield ray
        return
    with waiting.for_("connecting to Ray"):
        _connect(ray, settings)
    try:
        with _translated(ray):
            yield ray
    finally:
        ray.shutdown()  # of this connection; a cluster that others started is theirs


def _imported() -> Any:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("clusters of Ray", "ray") from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    return ray


def _connect(ray: Any, settings: ClusterSettings) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if settings.engine != RAY or os.environ.get("RAY_ADDRESS"):
            ray.init(None if settings.engine == RAY else settings.engine, **quiet)
        else:
            ray.init("local", include_dashboard=False, **quiet)
    except Exception as error:  # Ray raises plain ones, such as where a machine is too busy
        raise EngineError(
            f"there must be a Ray cluster at {settings.engine}, of this version of Ray and Python, "
            f"and with its token here, and it cannot be used ({last_reason_of(error)}): look at "
            "`ray status` there"
        ) from error


@contextmanager
def _translated(ray: Any) -> Iterator[None]:
    """What a worker or Ray itself raises, in our words.

    Raises:
        RetrainError: what a worker has raised of ours.
        EngineError: anything else.
    """
    try:
        yield
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        while cause is not None and not isinstance(cause, RetrainError):
            cause = getattr(cause, "cause", None) or cause.__cause__
        if cause is not None:
            raise EngineError(f"a worker of Ray: {cause}") from error
        raise EngineError(
            f"Ray gave the work up ({reason_of(error)}): what was done is kept; look at "
            "`ray status`, and run the same command again"
        ) from error
