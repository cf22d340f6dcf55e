"""The door to Keras: devices, and silence."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import nullcontext
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from retrain_cli import engine
from retrain_cli.errors import ConfigError, DeviceError, WeightsError


def keras_on(backend: str, list_devices: Any = None) -> Any:
    """What is asked of Keras here, on an engine; `device` gives the name that it is asked for."""
    return SimpleNamespace(
        backend=SimpleNamespace(backend=lambda: backend),
        distribution=SimpleNamespace(list_devices=list_devices),
        device=nullcontext,
    )


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the engine see these GPUs; an exception is raised instead."""

    def see(found: list[str] | Exception) -> None:
        def list_devices(kind: str) -> list[str]:
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(engine, "load_keras", lambda: keras_on("jax", list_devices))

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


def test_nobody_else_names_a_device_to_keras() -> None:
    """`on_device` knows what each engine calls it."""
    package = Path(engine.__file__).parent
    users = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(r"keras(\(\))?\.device\(", path.read_text(encoding="utf-8"))
    }
    assert users == {"engine.py"}


def test_pytorch_is_asked_itself_for_its_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras has nothing there that lists devices."""
    torch = SimpleNamespace(cuda=SimpleNamespace(device_count=lambda: 2))
    monkeypatch.setattr(engine, "load_keras", lambda: keras_on("torch"))
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert engine.list_gpus() == ["gpu:0", "gpu:1"]
    assert engine.choose_devices() == ["gpu:0"]


@pytest.mark.parametrize(
    ("backend", "device", "asked"),
    [
        ("torch", "cpu:0", "cpu"),  # variables copied to "cpu:0" would not learn any more
        ("torch", "gpu:1", "gpu:1"),
        ("jax", "cpu:0", "cpu:0"),
        ("tensorflow", "cpu:0", "cpu:0"),
    ],
)
def test_the_name_of_a_device_as_each_engine_knows_it(
    monkeypatch: pytest.MonkeyPatch, backend: str, device: str, asked: str
) -> None:
    monkeypatch.setattr(engine, "load_keras", lambda: keras_on(backend))
    with engine.on_device(device) as name:
        assert name == asked


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


@pytest.mark.parametrize(
    "content",
    [
        '{"floatx": "bfloat16"}',
        '{"backend": "theano", "image_dim_ordering": "tf"}',
        "[]",
    ],
)
def test_settings_that_keras_cannot_start_with_are_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text(content)
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    code = "from retrain_cli.engine import load_keras\nload_keras()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1].startswith("retrain_cli.errors.ConfigError: Keras starts")
    assert str(tmp_path / "keras.json") in done.stderr.splitlines()[-1]


def test_the_keras_of_a_command_finds_no_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its import is a sixth of TensorFlow's start, and no command uses what Keras does with it."""
    monkeypatch.delitem(sys.modules, "sklearn", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", SimpleNamespace())  # in use already
    monkeypatch.setattr(engine, "_for_a_command", False)
    engine.serve_a_command()
    with engine._without_extras():
        with pytest.raises(ImportError):
            import_module("sklearn")
        assert sys.modules["matplotlib"] is not None
    assert find_spec("sklearn") is not None
    assert "sklearn" not in sys.modules
    assert "matplotlib" in sys.modules


def test_the_keras_of_a_notebook_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sklearn", raising=False)
    monkeypatch.setattr(engine, "_for_a_command", False)
    with engine._without_extras():
        assert "sklearn" not in sys.modules
        assert find_spec("sklearn") is not None


def test_an_engine_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    assert "KERAS_BACKEND is 'theano'" in engine._why_keras_fails(ValueError("no such thing"))
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setenv("KERAS_HOME", "/nowhere")
    assert "KERAS_BACKEND is 'tensorflow'" in engine._why_keras_fails(ImportError("no such thing"))


def test_keras_makes_float32_while_it_is_asked_to_and_what_it_did_before_afterwards() -> None:
    config = engine.load_keras().config
    before = config.floatx()
    config.set_floatx("float16")
    try:
        with engine.float32_by_default():
            with engine.float32_by_default():
                assert config.floatx() == "float32"
            assert config.floatx() == "float32"
        assert config.floatx() == "float16"
    finally:
        config.set_floatx(before)
