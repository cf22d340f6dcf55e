"""`doctor` on what runs networks of the user's: ONNX files and those of timm."""

from __future__ import annotations

import pytest

from retrain_cli.workflows import doctor


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (
            {"openvino"},
            [
                ("onnx:FILE", "ok", "for a GPU: pip install 'retrain-cli[onnx]'"),
                ("timm:NAME", "missing", "pip install 'retrain-cli[timm]'"),
            ],
        ),
        (
            {"openvino", "onnxruntime", "timm", "torch"},
            [("onnx:FILE", "ok", ""), ("timm:NAME", "ok", "")],
        ),
        (
            {"timm"},
            [
                ("onnx:FILE", "missing", "pip install openvino"),
                ("timm:NAME", "missing", "pip install 'retrain-cli[timm]'"),
            ],
        ),
    ],
)
def test_doctor_lists_both_kinds(
    monkeypatch: pytest.MonkeyPatch, there: set[str], told: list[tuple[str, str, str]]
) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: name if name in there else None)
    monkeypatch.setattr(doctor, "has_openvino", lambda: "openvino" in there)
    monkeypatch.setattr(doctor, "version", lambda name: "1.0")
    found = doctor._user_networks()
    assert [(one.subject, one.verdict, one.remedy) for one in found] == told
