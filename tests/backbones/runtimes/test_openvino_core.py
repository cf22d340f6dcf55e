"""One core of OpenVINO a process: signals still arrive when networks come and go."""

from __future__ import annotations

import signal

import pytest

from retrain_cli.engine import load_openvino, openvino_core


def test_there_is_one_core_and_ctrl_c_arrives_after_networks_have_gone() -> None:
    """Where each network had a core of its own, this ended the process on AVX-512."""
    openvino = load_openvino()
    ops = openvino.opset13
    kept = []
    for _ in range(3):
        taken = ops.parameter([1, 4], openvino.Type.f32)
        model = openvino.Model([ops.relu(taken)], [taken])
        kept.append(openvino_core().compile_model(model, "CPU"))
    assert openvino_core() is openvino_core()
    while kept:
        kept.pop(0)  # the first one first
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
