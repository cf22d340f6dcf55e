"""What the machine refuses is told as that, also where somebody took it for something else."""

from __future__ import annotations

import errno
import os

import pytest

from retrain_cli import engine
from retrain_cli.cli import console, environment
from retrain_cli.cli.main import exit_codes
from retrain_cli.errors import ConfigError, DeviceError, RetrainError, WorkspaceError

resource = pytest.importorskip("resource")


def _wrapped(error: RetrainError, cause: Exception) -> None:
    try:
        raise cause
    except Exception as fault:
        raise error from fault


@pytest.mark.parametrize(
    ("error", "cause", "advice"),
    [
        (
            WorkspaceError("state.json could not be read: check its permissions"),
            OSError(errno.EMFILE, "Too many open files", "state.json"),
            "raise `ulimit -n`",
        ),
        (
            ConfigError("Keras cannot start with keras.json: mend or remove that file"),
            ImportError("libtensorflow_cc.so.2: failed to map segment from shared object"),
            "raise `ulimit -v`",
        ),
        (RetrainError("damaged: remove it"), MemoryError(), "raise `ulimit -v`"),
    ],
)
def test_advice_is_about_the_limit_and_not_about_the_file(
    error: RetrainError, cause: Exception, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(console, "error", told.append)
    with pytest.raises(SystemExit) as left, exit_codes():
        _wrapped(error, cause)
    assert left.value.code == 3
    assert advice in told[0]
    assert str(error) not in told[0]


def test_other_causes_keep_the_advice_of_the_error() -> None:
    error, cause = ConfigError("check it"), PermissionError(errno.EACCES, "denied", "state.json")
    error.__cause__ = cause
    assert environment.refusal_beneath(error) == ""
    cause.__cause__ = error  # as TensorFlow does where it cannot be loaded
    assert environment.refusal_beneath(error) == ""


@pytest.mark.parametrize(
    ("allowed", "threads"),
    [(600_000 << 10, "1"), (8 << 30, None), (resource.RLIM_INFINITY, None)],
)
def test_openblas_takes_little_where_little_is_allowed(
    allowed: int, threads: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (allowed, resource.RLIM_INFINITY))
    environment.spare_address_space()
    assert os.environ.get("OPENBLAS_NUM_THREADS") == threads
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    environment.spare_address_space()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"


def test_too_little_address_space_is_told_before_a_library_waits_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (300_000 << 10, 300_000 << 10))
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    with pytest.raises(RetrainError, match="512 MiB of address space must be there"):
        environment.spare_address_space()


def test_an_engine_that_would_abort_for_want_of_address_space_is_not_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine.need_address_space("OpenVINO", 1 << 50)  # there is no limit
    monkeypatch.setattr(resource, "getrlimit", lambda which: (8 << 30, 8 << 30))
    with pytest.raises(DeviceError, match="OpenVINO needs 1048576 MiB of address space"):
        engine.need_address_space("OpenVINO", 1 << 40)
