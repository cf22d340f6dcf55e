"""The door to Keras: devices, and silence."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from retrain_cli import engine
from retrain_cli.errors import ConfigError, DeviceError, WeightsError


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the engine see these GPUs; an exception is raised instead."""

    def see(found: list[str] | Exception) -> None:
        def list_devices(kind: str) -> list[str]:
            if isinstance(found, Exception):
                raise found
            return found

        keras = SimpleNamespace(distribution=SimpleNamespace(list_devices=list_devices))
        monkeypatch.setattr(engine, "load_keras", lambda: keras)

    return see


@pytest.mark.parametrize("wanted", ["", "tpu", "gpu:", "gpu:x", "cpu:1", "auto:0", "gpu:0 "])
def test_other_devices_are_refused_without_an_engine(wanted: str) -> None:
    with pytest.raises(ConfigError, match="device takes auto"):
        engine.check_device(wanted)


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [("auto", "gpu:0"), ("cpu", "cpu:0"), ("gpu", "gpu:0"), ("gpu:1", "gpu:1")],
)
def test_devices_that_are_there(devices: Any, wanted: str, chosen: str) -> None:
    devices(["gpu:0", "gpu:1"])
    assert engine.choose_device(wanted) == chosen


def test_an_engine_that_knows_no_gpu_raises(devices: Any) -> None:
    devices(RuntimeError("Unknown backend: 'gpu' requested"))  # JAX for the processor alone
    assert engine.choose_device("auto") == "cpu:0"
    with pytest.raises(DeviceError, match="it sees no GPU"):
        engine.choose_device("gpu")


@pytest.mark.parametrize(
    ("error", "replayed"),
    [(ValueError("a fault"), True), (WeightsError("ours"), False), (KeyboardInterrupt(), False)],
)
def test_chatter_is_replayed_for_faults_only(
    capfd: pytest.CaptureFixture[str], error: BaseException, replayed: bool
) -> None:
    def work() -> None:
        with engine.quiet_engine():
            os.write(2, b"chatter\n")
            raise error

    with pytest.raises(type(error)):
        work()
    assert capfd.readouterr().err == ("chatter\n" if replayed else "")
