"""What `auto` means on machines that we may not have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from retrain_cli.backbones import machine
from retrain_cli.backbones.machine import choose_for_machine
from retrain_cli.backbones.runtimes import openvino_model
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.errors import ConfigError

SPEC = BackboneSpec("inception_v3").resolve()


@dataclass(frozen=True)
class Machine:
    """A machine as the rules see it."""

    gpu: tuple[int, int] | None = None
    openvino: bool = True
    bfloat16: bool = True


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Choose on a machine."""

    def choose(there: Machine, spec: BackboneSpec, device: str = "auto") -> tuple[str, str]:
        monkeypatch.setattr(machine, "may_have_gpu", lambda: there.gpu is not None)
        monkeypatch.setattr(machine, "choose_device", lambda device: "gpu:0" if there.gpu else "")
        monkeypatch.setattr(machine, "gpu_capability", lambda device: there.gpu)
        monkeypatch.setattr(machine, "has_openvino", lambda: there.openvino)
        monkeypatch.setattr(openvino_model, "has_bfloat16", lambda: there.bfloat16)
        choice = choose_for_machine(spec, device).backbone
        return choice.runtime, choice.precision

    return choose


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (Machine(), ("openvino", "bfloat16")),
        (Machine(bfloat16=False), ("openvino", "float32")),
        (Machine(openvino=False), ("keras", "float32")),
        (Machine(gpu=(9, 0)), ("keras", "bfloat16")),
        (Machine(gpu=(7, 5)), ("keras", "float16")),
        (Machine(gpu=(0, 0)), ("keras", "float32")),
    ],
)
def test_everything_left_to_the_machine(there: Any, expected: Any, on: Any) -> None:
    assert on(there, SPEC) == expected


@pytest.mark.parametrize("there", [Machine(), Machine(gpu=(9, 0))])
def test_a_network_that_loses_by_it_stays_in_float32(there: Any, on: Any) -> None:
    """MobileNetV2's heads lost a point on vectors in bfloat16."""
    assert on(there, BackboneSpec("mobilenet_v2").resolve())[1] == "float32"


def test_what_was_asked_for_is_what_comes(on: Any) -> None:
    assert on(Machine(gpu=(9, 0)), replace(SPEC, precision="float32")) == ("keras", "float32")
    assert on(Machine(), replace(SPEC, precision="float32")) == ("openvino", "float32")
    assert on(Machine(), replace(SPEC, runtime="keras")) == ("keras", "float32")
    assert on(Machine(gpu=(9, 0)), SPEC, "cpu") == ("openvino", "bfloat16")
    asked = replace(SPEC, precision="int8").resolve()
    assert on(Machine(gpu=(9, 0)), asked) == ("openvino", "int8")


def test_a_processor_without_openvino_is_told_how_to_be_faster(
    on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(Machine(openvino=False), SPEC)
    assert "pip install openvino" in choose_for_machine(SPEC, "cpu").note
    assert not choose_for_machine(replace(SPEC, runtime="keras"), "cpu").note


def test_openvino_on_a_gpu_is_refused_before_anything_is_converted(on: Any) -> None:
    with pytest.raises(ConfigError, match="device='gpu' cannot be"):
        on(Machine(gpu=(9, 0)), replace(SPEC, runtime="openvino"), "gpu")


def test_a_machine_without_a_gpu_imports_no_engine_to_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "may_have_gpu", lambda: False)
    monkeypatch.setattr(machine, "choose_device", pytest.fail)
    assert choose_for_machine(SPEC, "auto").backbone.runtime in ("openvino", "keras")
